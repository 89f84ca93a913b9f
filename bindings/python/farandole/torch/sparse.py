"""Sums of sparse tensors: every rank gathers all ranks' indices and values."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from farandole import _native, _session
from farandole.agreement import check_alike
from farandole.arguments import shown
from farandole.compression import Compression, Compressor
from farandole.errors import InvalidArgumentError
from farandole.handles import GroupHandle
from farandole.process_sets import (
    ProcessSet,
    check_process_set,
    contributors,
    global_process_set,
)
from farandole.reduce_ops import Average, ReduceOp, Sum, check_op
from farandole.submission import group_names
from farandole.torch import ops
from farandole.torch.eager import eager
from farandole.torch.tensors import check_tensor
from farandole.uncompiled import uncompiled


class SparseHandle(GroupHandle):
    """A handle that may also be called for its result, as Horovod's users do."""

    __slots__ = ()

    @uncompiled
    def __call__(self) -> torch.Tensor:
        result: torch.Tensor = self.wait()
        return result


@eager
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
    """What becomes of the values; as for a dense allreduce.

    compression: keeps no state, and turns each value into one: rows change from step to step.
    """

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
    values, context = _compressed(_scaled(tensor.values(), how.prescale), how.compression)
    # Gathering is along the first dimension, that of the entries.
    parts = [tensor.indices().t(), values, _what(how, shape)]
    group, ranks = how.process_set, how.process_set.ranks
    # A group for the others, too: a rank whose tensor is dense, or another group, is told.
    names = group_names(name, len(parts))
    handles = [ops.allgather_async(*one, group) for one in zip(parts, names, strict=True)]

    def combine(gathered: list[Any]) -> torch.Tensor:
        indices, small, everyone = gathered
        _check_alike(name, contributors(ranks, len(everyone)), everyone)
        values = how.compression.decompress(small, context)
        count = 0 if how.op == Sum else len(everyone)
        places, total = _reduced(indices.t(), values, shape, count)
        values = _scaled(total, how.postscale).to(values.dtype)
        return torch.sparse_coo_tensor(
            places, values, shape, is_coalesced=True, check_invariants=False, device=values.device
        )

    return SparseHandle(handles, combine)


def _compressed(values: torch.Tensor, compression: Any) -> tuple[torch.Tensor, Any]:
    small, context = compression.compress(values)
    if small.shape != values.shape:
        raise InvalidArgumentError(
            f"compression={shown(compression)} has made {list(small.shape)} of values "
            f"{list(values.shape)} of a sparse tensor, whose rows other ranks' stand beside; "
            "compress each value to one, or send it as a dense tensor (sparse_as_dense=True)"
        )
    return small, context


def _what(how: SparseReduction, shape: torch.Size) -> torch.Tensor:
    """One row, in which ranks have to agree: of the values alone nobody could see it. The factors
    travel as the bits that they are."""
    factors = torch.tensor([how.prescale, how.postscale], dtype=torch.float64, device="cpu")
    extents = torch.tensor(shape, dtype=torch.int64, device="cpu")
    op = torch.tensor([how.op], device="cpu")
    return torch.cat([op, factors.view(torch.int64), extents])[None]


def _check_alike(name: str, ranks: list[str], everyone: torch.Tensor) -> None:
    """Raises on every rank alike."""
    facts = [_facts(row) for row in everyone]
    for what in facts[0]:
        values, remedy = [of_one[what] for of_one in facts], f"give one {what} on every rank"
        check_alike(f'allgather "{name}"', f"{what} of the sparse tensor", ranks, values, remedy)


def _facts(row: torch.Tensor) -> dict[str, str]:
    prescale, postscale = row[1:3].view(torch.float64).tolist()
    return {
        "shape": str(row[3:].tolist()),
        "operation": str(ReduceOp(int(row[0]))),
        "prescale_factor": str(prescale),
        "postscale_factor": str(postscale),
    }


def _scaled(values: torch.Tensor, factor: float) -> torch.Tensor:
    return values if factor == 1.0 else values * factor


def _reduced(
    places: torch.Tensor, values: torch.Tensor, shape: torch.Size, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Places, each once, and the sums there, or, where ``count`` is not 0, these divided by it: of
    a dtype in which no sum overflows whose average does not, as with dense tensors."""
    if count and not (values.is_floating_point() or values.is_complex()):
        return _whole_mean(places, values, shape, count)
    if values.dtype in (torch.float16, torch.bfloat16):
        values = values.float()
    total = torch.sparse_coo_tensor(
        places, values, shape, check_invariants=True, device=values.device
    ).coalesce()
    return total.indices(), total.values() / count if count else total.values()


def _whole_mean(
    places: torch.Tensor, values: torch.Tensor, shape: torch.Size, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut towards zero, as averages of dense tensors are. Quotients and remainders are summed apart
    from each other: the sum itself may be beyond every dtype."""
    whole = values.long()
    quotients = torch.div(whole, count, rounding_mode="floor")
    pairs = torch.stack([quotients, whole - quotients * count], -1)
    total = torch.sparse_coo_tensor(
        places, pairs, (*shape, 2), check_invariants=True, device=values.device
    ).coalesce()
    quotients, rests = total.values().unbind(-1)
    quotients = quotients + torch.div(rests, count, rounding_mode="floor")
    cut = (quotients < 0) & (rests % count != 0)
    return total.indices(), quotients + cut
