"""Sums of sparse tensors: every rank gathers all ranks' indices and values."""

from __future__ import annotations

from typing import Any

import torch

from farandole import _native, _session
from farandole.errors import InvalidArgumentError
from farandole.handles import GroupHandle
from farandole.process_sets import ProcessSet, global_process_set
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

    tensor: sparse COO, of the same shape and dtype on every rank; the entries may differ.
    name, process_set: as for ``allreduce``; so are errors and threads.
    op: Average or Sum.
    """
    name = _session.named(_native.ALLGATHER, name)
    if check_op(op) not in (Sum, Average):
        raise InvalidArgumentError("sparse tensors can be reduced with Sum and Average only")
    if check_tensor(tensor).layout is not torch.sparse_coo:
        raise InvalidArgumentError(f"a sparse COO tensor is wanted, not one of {tensor.layout}")
    tensor = tensor.detach().coalesce()
    # Gathering is along the first dimension, that of the entries.
    parts = [("indices", tensor.indices().t()), ("values", tensor.values())]
    handles = [ops.allgather_async(part, f"{name}.{what}", process_set) for what, part in parts]

    def combine(gathered: list[Any]) -> torch.Tensor:
        indices, values = gathered
        if op == Average:
            values = values / _session.size()
        # Checked: the other ranks' tensors may have had another shape.
        reduced = torch.sparse_coo_tensor(indices.t(), values, tensor.shape, check_invariants=True)
        return reduced.coalesce()

    return SparseHandle(handles, combine)
