"""Sums of sparse tensors: every rank gathers all ranks' indices and values."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from farandole import _native, _session
from farandole.compression import Compression, Compressor
from farandole.errors import InvalidArgumentError, MismatchError
from farandole.handles import GroupHandle
from farandole.process_sets import (
    ProcessSet,
    check_process_set,
    contributors,
    global_process_set,
)
from farandole.reduce_ops import Average, Sum, check_op
from farandole.torch import ops
from farandole.torch.tensors import check_tensor


class SparseHandle(GroupHandle):
    """A handle that may also be called for its result, as Horovod's users do."""

    __slots__ = ()

    def __call__(self) -> torch.Tensor:
        result: torch.Tensor = self.wait()
        return result


def sparse_allreduce_async(
    tensor: torch.Tensor,
    name: str | None,
    op: int,
    process_set: ProcessSet = global_process_set,
) -> SparseHandle:
    """Starts the sum or average of sparse COO tensors; the handle's result is a new one, coalesced.

    tensor: sparse COO, of the same shape and dtype on every rank; the entries may differ, and those
        of one place are summed before they are sent. Not differentiable.
    name, process_set: as for ``allreduce``; so are errors and threads.
    op: Average or Sum.
    """
    name = _session.named(_native.ALLGATHER, name, check_process_set(process_set))
    return start_sparse(tensor, name, SparseReduction(op, process_set=process_set))


class SparseReduction(NamedTuple):
    """What becomes of the values; as for a dense allreduce."""

    op: int
    prescale: float = 1.0
    postscale: float = 1.0
    compression: type[Compressor] = Compression.none
    process_set: ProcessSet = global_process_set


def start_sparse(tensor: torch.Tensor, name: str, how: SparseReduction) -> SparseHandle:
    """As ``sparse_allreduce_async``."""
    if check_op(how.op) not in (Sum, Average):
        raise InvalidArgumentError("sparse tensors can be reduced with Sum and Average only")
    if check_tensor(tensor).layout is not torch.sparse_coo:
        raise InvalidArgumentError(f"a sparse COO tensor is wanted, not one of {tensor.layout}")
    tensor = tensor.detach().coalesce()
    shape = tensor.shape
    values, context = how.compression.compress(_scaled(tensor.values(), how.prescale))
    # Gathering is along the first dimension, that of the entries.
    parts = {"indices": tensor.indices().t(), "values": values, "shape": torch.tensor([shape])}
    group = how.process_set
    handles = [ops.allgather_async(part, f"{name}.{what}", group) for what, part in parts.items()]

    def combine(gathered: list[Any]) -> torch.Tensor:
        indices, small, shapes = gathered
        _check_shapes(name, contributors(group, len(shapes)), shapes.tolist())
        values = how.compression.decompress(small, context)
        total = torch.sparse_coo_tensor(indices.t(), values, shape, check_invariants=True)
        total = total.coalesce()
        values = total.values() if how.op == Sum else _mean(total.values(), len(shapes))
        values = _scaled(values, how.postscale)
        return torch.sparse_coo_tensor(
            total.indices(), values, shape, is_coalesced=True, check_invariants=False
        )

    return SparseHandle(handles, combine)


def _check_shapes(name: str, ranks: list[str], shapes: list[list[int]]) -> None:
    """Raises on every rank alike. The entries' own shapes tell less."""
    for rank, shape in zip(ranks, shapes, strict=True):
        if shape != shapes[0]:
            raise MismatchError(
                f'allgather "{name}": ranks disagree on shape of the sparse tensor: '
                f"{ranks[0]} has {shapes[0]}, {rank} has {shape}"
            )


def _scaled(values: torch.Tensor, factor: float) -> torch.Tensor:
    return values if factor == 1.0 else values * factor


def _mean(total: torch.Tensor, count: int) -> torch.Tensor:
    """Whole numbers are cut towards zero, as those of dense tensors are."""
    whole = not (total.is_floating_point() or total.is_complex())
    return torch.div(total, count, rounding_mode="trunc") if whole else total / count
