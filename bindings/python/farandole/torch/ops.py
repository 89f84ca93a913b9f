"""Collectives over torch's tensors, with Horovod's names, order of arguments and defaults.

Functions that end in ``_`` write to the given tensor; those with ``_async`` return a handle for
``poll`` and ``synchronize``. Tensors are matched by name, or, where they have none, by the order of
the calls of their kind. The waiting forms that return a new tensor are differentiable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from farandole import _native, _session
from farandole.arguments import check_compression
from farandole.handles import Handle
from farandole.ops import barrier, barrier_async, split_rows
from farandole.process_sets import ProcessSet, check_process_set, global_process_set
from farandole.reduce_ops import Average, check_op, choose_op
from farandole.torch import autograd
from farandole.torch.compression import Compression, Compressor
from farandole.torch.tensors import (
    check_tensor,
    memory_of,
    plain,
    result_of,
    returning,
    writing_back,
)

__all__ = [
    "allgather",
    "allgather_async",
    "allreduce",
    "allreduce_",
    "allreduce_async",
    "allreduce_async_",
    "alltoall",
    "alltoall_async",
    "barrier",
    "barrier_async",
    "broadcast",
    "broadcast_",
    "broadcast_async",
    "broadcast_async_",
    "reducescatter",
    "reducescatter_async",
]


def allreduce_async(
    tensor: torch.Tensor,
    average: bool | None = None,
    name: str | None = None,
    op: int | None = None,
    prescale_factor: float = 1.0,
    postscale_factor: float = 1.0,
    process_set: ProcessSet = global_process_set,
) -> Handle:
    """Starts ``allreduce``, with its arguments; the handle's result is its result. Until the
    handle has finished nobody may write to what is sent."""
    name = _session.named(_native.ALLREDUCE, name)
    check_process_set(process_set)
    reduce_op = choose_op(average, op)
    source = plain(tensor)
    output = torch.empty_like(source)
    native = _session.submit(
        _native.ALLREDUCE,
        name,
        source,
        output,
        reduce_op,
        0,
        prescale_factor,
        postscale_factor,
    )
    return Handle(native, returning(output))


def allreduce(
    tensor: torch.Tensor,
    average: bool | None = None,
    name: str | None = None,
    compression: type[Compressor] = Compression.none,
    op: int | None = None,
    prescale_factor: float = 1.0,
    postscale_factor: float = 1.0,
    process_set: ProcessSet = global_process_set,
) -> torch.Tensor:
    """``op`` over the tensors of all ranks, elementwise: a new tensor of the
    tensor's shape and dtype, with the same values on every rank. Differentiable.

    tensor: of the same shape and dtype on every rank; strided, on the CPU, contiguous
        or not. uint8, int8, uint16, int16, int32, int64, float16, bfloat16,
        float32, float64, bool, complex64 or complex128.
    average: the older way to choose: True is Average, False is Sum.
    name: by which ranks match their calls, and of which one may be in flight; None takes the next
        automatic one, so that ranks have to make their unnamed calls in one order.
    compression: as what it travels: ``Compression.none``, ``.fp16`` or ``.bf16``.
    op: Average (the default), Sum, Product, Min or Max. Of whole numbers Sum and Product wrap, and
        an Average is that of the exact sum, cut towards zero. Of bool Sum and Max are "or",
        Product and Min "and", and there is no Average. Complex numbers have no Min and Max.
    prescale_factor, postscale_factor: finite numbers by which each rank's input and the result are
        multiplied; not for bool.
    process_set: ``global_process_set``, the only one so far.

    Raises InvalidArgumentError for a wrong argument and UnsupportedError for another device,
    Adasum or another set, before anything is sent; MismatchError, on every rank alike, where ranks
    disagree; PeerLostError, TimeoutError, AbortedError or OperatingSystemError where the job or
    this operation failed; NotInitializedError without ``init()``.

    Any thread may call it, several at once: they need names, or an order of their own.
    """
    name = _session.named(_native.ALLREDUCE, name)
    reduce_op = choose_op(average, op)
    check_compression(compression)
    small, ctx = compression.compress(check_tensor(tensor))
    arguments = (name, reduce_op, prescale_factor, postscale_factor, process_set)
    if autograd.wanted(small):
        reduced = autograd.apply(autograd.Allreduce, small, *arguments)
    else:
        reduced = allreduce_async(small, None, *arguments).wait()
    return compression.decompress(reduced, ctx)


def allreduce_async_(
    tensor: torch.Tensor,
    average: bool | None = None,
    name: str | None = None,
    op: int | None = None,
    prescale_factor: float = 1.0,
    postscale_factor: float = 1.0,
    process_set: ProcessSet = global_process_set,
) -> Handle:
    """Starts ``allreduce_``, with its arguments; the handle's result is its result. Until the
    handle has finished nobody may read or write what is given."""
    name = _session.named(_native.ALLREDUCE, name)
    check_process_set(process_set)
    reduce_op = choose_op(average, op)
    memory = memory_of(tensor)
    native = _session.submit(
        _native.ALLREDUCE,
        name,
        memory,
        memory,
        reduce_op,
        0,
        prescale_factor,
        postscale_factor,
    )
    return Handle(native, writing_back(tensor, memory))


def allreduce_(
    tensor: torch.Tensor,
    average: bool | None = None,
    name: str | None = None,
    op: int | None = None,
    prescale_factor: float = 1.0,
    postscale_factor: float = 1.0,
    process_set: ProcessSet = global_process_set,
) -> torch.Tensor:
    """``allreduce`` in place: the result goes to ``tensor``, which is returned.

    tensor: writable, with a place of its own for each element; need not be contiguous.
    average, name, op, prescale_factor, postscale_factor, process_set: as for ``allreduce``; so are
        errors and threads.
    """
    handle = allreduce_async_(
        tensor, average, name, op, prescale_factor, postscale_factor, process_set
    )
    result: torch.Tensor = handle.wait()
    return result


def allgather_async(
    tensor: torch.Tensor,
    name: str | None = None,
    process_set: ProcessSet = global_process_set,
) -> Handle:
    """Starts ``allgather``, with its arguments; the handle's result is its result. Until the
    handle has finished nobody may write to what is sent."""
    name = _session.named(_native.ALLGATHER, name)
    check_process_set(process_set)
    native = _session.submit(_native.ALLGATHER, name, plain(tensor))
    return Handle(native, result_of)


def allgather(
    tensor: torch.Tensor,
    name: str | None = None,
    process_set: ProcessSet = global_process_set,
) -> torch.Tensor:
    """The tensors of all ranks, one behind the other along the first dimension: a new tensor, with
    the same values on every rank. Differentiable.

    tensor: of one dimension or more; the first may differ between ranks, and be 0, the others and
        the dtype, any of those of ``allreduce``, may not.
    name, process_set: as for ``allreduce``; so are errors and threads.
    """
    name = _session.named(_native.ALLGATHER, name)
    if autograd.wanted(tensor):
        gathered: torch.Tensor = autograd.apply(autograd.Allgather, tensor, name, process_set)
        return gathered
    result: torch.Tensor = allgather_async(tensor, name, process_set).wait()
    return result


def broadcast_async(
    tensor: torch.Tensor,
    root_rank: int,
    name: str | None = None,
    process_set: ProcessSet = global_process_set,
) -> Handle:
    """Starts ``broadcast``, with its arguments; the handle's result is its result. Until the
    handle has finished nobody may write to what is sent."""
    name = _session.named(_native.BROADCAST, name)
    check_process_set(process_set)
    source = plain(tensor)
    output = torch.empty_like(source)
    native = _session.submit(_native.BROADCAST, name, source, output, 0, root_rank)
    return Handle(native, returning(output))


def broadcast(
    tensor: torch.Tensor,
    root_rank: int,
    name: str | None = None,
    process_set: ProcessSet = global_process_set,
) -> torch.Tensor:
    """The tensor of rank ``root_rank``, on every rank: a new tensor. Differentiable.

    tensor: of the same shape and dtype on every rank, any of those of ``allreduce``.
    root_rank: from 0 to size() - 1, the same on every rank.
    name, process_set: as for ``allreduce``; so are errors and threads.
    """
    name = _session.named(_native.BROADCAST, name)
    if autograd.wanted(tensor):
        gathered: torch.Tensor = autograd.apply(
            autograd.Broadcast, tensor, root_rank, name, process_set
        )
        return gathered
    result: torch.Tensor = broadcast_async(tensor, root_rank, name, process_set).wait()
    return result


def broadcast_async_(
    tensor: torch.Tensor,
    root_rank: int,
    name: str | None = None,
    process_set: ProcessSet = global_process_set,
) -> Handle:
    """Starts ``broadcast_``, with its arguments; the handle's result is its result. Until the
    handle has finished nobody may read or write what is given."""
    name = _session.named(_native.BROADCAST, name)
    check_process_set(process_set)
    memory = memory_of(tensor)
    native = _session.submit(_native.BROADCAST, name, memory, memory, 0, root_rank)
    return Handle(native, writing_back(tensor, memory))


def broadcast_(
    tensor: torch.Tensor,
    root_rank: int,
    name: str | None = None,
    process_set: ProcessSet = global_process_set,
) -> torch.Tensor:
    """``broadcast`` in place: the result goes to ``tensor``, which is returned.

    tensor: writable, with a place of its own for each element; need not be contiguous.
    root_rank, name, process_set: as for ``broadcast``; so are errors and threads.
    """
    result: torch.Tensor = broadcast_async_(tensor, root_rank, name, process_set).wait()
    return result


def alltoall_async(
    tensor: torch.Tensor,
    splits: torch.Tensor | Sequence[int] | None = None,
    name: str | None = None,
    process_set: ProcessSet = global_process_set,
) -> Handle:
    """Starts ``alltoall``, with its arguments; the handle's result is its result. Until the handle
    has finished nobody may write to what is sent."""
    name = _session.named(_native.ALLTOALL, name)
    check_process_set(process_set)
    native = _session.submit(_native.ALLTOALL, name, plain(tensor), splits=split_rows(splits))

    def finish(native: _native.Handle) -> Any:
        if splits is None:
            return result_of(native)
        return result_of(native), torch.tensor(native.splits, dtype=torch.int32)

    return Handle(native, finish)


def alltoall(
    tensor: torch.Tensor,
    splits: torch.Tensor | Sequence[int] | None = None,
    name: str | None = None,
    process_set: ProcessSet = global_process_set,
) -> Any:
    """Rows of this rank from every rank, in the order of the ranks: a new tensor. Differentiable.

    Returns it alone, or, where ``splits`` was given, with the number of rows from each rank, int32.

    tensor: of one dimension or more; the first may differ between ranks, the others and the dtype,
        any of those of ``allreduce``, may not.
    splits: how many rows go to each rank, all of them together; None: as many to each.
    name, process_set: as for ``allreduce``; so are errors and threads.
    """
    name = _session.named(_native.ALLTOALL, name)
    if not autograd.wanted(tensor):
        return alltoall_async(tensor, splits, name, process_set).wait()
    output, received = autograd.apply(autograd.Alltoall, tensor, splits, name, process_set)
    return output if splits is None else (output, received)


def reducescatter_async(
    tensor: torch.Tensor,
    name: str | None = None,
    op: int = Average,
    process_set: ProcessSet = global_process_set,
    prescale_factor: float = 1.0,
    postscale_factor: float = 1.0,
) -> Handle:
    """Starts ``reducescatter``, with its arguments; the handle's result is its result. Until the
    handle has finished nobody may write to what is sent."""
    name = _session.named(_native.REDUCESCATTER, name)
    check_process_set(process_set)
    native = _session.submit(
        _native.REDUCESCATTER,
        name,
        plain(tensor),
        None,
        check_op(op),
        0,
        prescale_factor,
        postscale_factor,
    )
    return Handle(native, result_of)


def reducescatter(
    tensor: torch.Tensor,
    name: str | None = None,
    compression: type[Compressor] = Compression.none,
    op: int = Average,
    process_set: ProcessSet = global_process_set,
    prescale_factor: float = 1.0,
    postscale_factor: float = 1.0,
) -> torch.Tensor:
    """This rank's rows of an ``allreduce``, cut along the first dimension: a new tensor. Where that
    does not divide evenly, the first ranks get a row more. Differentiable.

    tensor: of one dimension or more, of the same shape and dtype on every rank.
    name, compression, op, process_set, prescale_factor, postscale_factor: as for ``allreduce``; so
        are errors and threads.
    """
    name = _session.named(_native.REDUCESCATTER, name)
    check_compression(compression)
    small, ctx = compression.compress(check_tensor(tensor))
    arguments = (name, op, process_set, prescale_factor, postscale_factor)
    if autograd.wanted(small):
        part = autograd.apply(autograd.Reducescatter, small, *arguments)
    else:
        part = reducescatter_async(small, *arguments).wait()
    return compression.decompress(part, ctx)
