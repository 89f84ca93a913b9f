"""Collectives over NumPy arrays and whatever speaks DLPack or the buffer protocol.

Every rank calls the same function; tensors are matched by name, or, where they have none, by the
order of the calls of their kind. Functions without ``_`` at the end return a new NumPy array;
those with one write the result to the given object and return that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from farandole import _native, _session
from farandole.arguments import check_compression, check_no_overlap, shown
from farandole.compression import Compression, Compressor, bfloat16
from farandole.errors import InvalidArgumentError
from farandole.handles import Handle
from farandole.process_sets import ProcessSet, check_process_set, global_process_set
from farandole.reduce_ops import Average, check_op, choose_op


def plain_of(tensor: Any) -> Any:
    """The tensor itself, or a copy where it is an array that is not contiguous and aligned."""
    if isinstance(tensor, np.ndarray) and not (tensor.flags.c_contiguous and tensor.flags.aligned):
        return np.require(tensor, requirements=["C", "A"])
    return tensor


def memory_of(tensor: Any) -> Any:
    """As ``plain_of``, for what the result is written to. What could not be written is refused
    here, before any rank has communicated."""
    plain = plain_of(tensor)
    if plain is not tensor:
        if not tensor.flags.writeable:
            raise InvalidArgumentError(
                "the array is read-only, but the result goes into it; pass a copy, or use the form "
                "that returns a new one"
            )
        check_no_overlap("the array", tensor.shape, tensor.strides)
    return plain


def array_of(native: _native.Handle) -> Any:
    array = native.numpy()
    return array.view(bfloat16()) if native.dtype == "bfloat16" else array


def writing_back(tensor: Any, plain: Any) -> Callable[[_native.Handle], Any]:
    def finish(_: _native.Handle) -> Any:
        if plain is not tensor:
            np.copyto(tensor, plain)
        return tensor

    return finish


def allreduce_async(
    tensor: Any,
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
    native = _session.submit(
        _native.ALLREDUCE,
        name,
        plain_of(tensor),
        None,
        reduce_op,
        0,
        prescale_factor,
        postscale_factor,
    )
    return Handle(native, array_of)


def allreduce(
    tensor: Any,
    average: bool | None = None,
    name: str | None = None,
    compression: type[Compressor] = Compression.none,
    op: int | None = None,
    prescale_factor: float = 1.0,
    postscale_factor: float = 1.0,
    process_set: ProcessSet = global_process_set,
) -> Any:
    """``op`` over the tensors of all ranks, elementwise: a new array of the
    tensor's shape and dtype, with the same values on every rank.

    tensor: of the same shape and dtype on every rank; a NumPy array or what speaks DLPack or the
        buffer protocol, on the CPU. uint8, int8, uint16, int16, int32, int64, float16, bfloat16,
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
    check_compression(compression)
    small, ctx = compression.compress(tensor)
    handle = allreduce_async(
        small, average, name, op, prescale_factor, postscale_factor, process_set
    )
    return compression.decompress(handle.wait(), ctx)


def allreduce_async_(
    tensor: Any,
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
    plain = memory_of(tensor)
    native = _session.submit(
        _native.ALLREDUCE,
        name,
        plain,
        plain,
        reduce_op,
        0,
        prescale_factor,
        postscale_factor,
    )
    return Handle(native, writing_back(tensor, plain))


def allreduce_(
    tensor: Any,
    average: bool | None = None,
    name: str | None = None,
    op: int | None = None,
    prescale_factor: float = 1.0,
    postscale_factor: float = 1.0,
    process_set: ProcessSet = global_process_set,
) -> Any:
    """``allreduce`` in place: the result goes to ``tensor``, which is returned.

    tensor: writable, with a place of its own for each element; need not be contiguous.
    average, name, op, prescale_factor, postscale_factor, process_set: as for ``allreduce``; so are
        errors and threads.
    """
    return allreduce_async_(
        tensor, average, name, op, prescale_factor, postscale_factor, process_set
    ).wait()


def allgather_async(
    tensor: Any, name: str | None = None, process_set: ProcessSet = global_process_set
) -> Handle:
    """Starts ``allgather``, with its arguments; the handle's result is its result. Until the
    handle has finished nobody may write to what is sent."""
    name = _session.named(_native.ALLGATHER, name)
    check_process_set(process_set)
    native = _session.submit(_native.ALLGATHER, name, plain_of(tensor))
    return Handle(native, array_of)


def allgather(
    tensor: Any, name: str | None = None, process_set: ProcessSet = global_process_set
) -> Any:
    """The tensors of all ranks, one behind the other along the first dimension: a new array, with
    the same values on every rank.

    tensor: of one dimension or more; the first may differ between ranks, and be 0, the others and
        the dtype, any of those of ``allreduce``, may not.
    name, process_set: as for ``allreduce``; so are errors and threads.
    """
    return allgather_async(tensor, name, process_set).wait()


def broadcast_async(
    tensor: Any,
    root_rank: int,
    name: str | None = None,
    process_set: ProcessSet = global_process_set,
) -> Handle:
    """Starts ``broadcast``, with its arguments; the handle's result is its result. Until the
    handle has finished nobody may write to what is sent."""
    name = _session.named(_native.BROADCAST, name)
    check_process_set(process_set)
    native = _session.submit(_native.BROADCAST, name, plain_of(tensor), None, 0, root_rank)
    return Handle(native, array_of)


def broadcast(
    tensor: Any,
    root_rank: int,
    name: str | None = None,
    process_set: ProcessSet = global_process_set,
) -> Any:
    """The tensor of rank ``root_rank``, on every rank: a new array.

    tensor: of the same shape and dtype on every rank, any of those of ``allreduce``.
    root_rank: from 0 to size() - 1, the same on every rank.
    name, process_set: as for ``allreduce``; so are errors and threads.
    """
    return broadcast_async(tensor, root_rank, name, process_set).wait()


def broadcast_async_(
    tensor: Any,
    root_rank: int,
    name: str | None = None,
    process_set: ProcessSet = global_process_set,
) -> Handle:
    """Starts ``broadcast_``, with its arguments; the handle's result is its result. Until the
    handle has finished nobody may read or write what is given."""
    name = _session.named(_native.BROADCAST, name)
    check_process_set(process_set)
    plain = memory_of(tensor)
    native = _session.submit(_native.BROADCAST, name, plain, plain, 0, root_rank)
    return Handle(native, writing_back(tensor, plain))


def broadcast_(
    tensor: Any,
    root_rank: int,
    name: str | None = None,
    process_set: ProcessSet = global_process_set,
) -> Any:
    """``broadcast`` in place: the result goes to ``tensor``, which is returned.

    tensor: writable, with a place of its own for each element; need not be contiguous.
    root_rank, name, process_set: as for ``broadcast``; so are errors and threads.
    """
    return broadcast_async_(tensor, root_rank, name, process_set).wait()


def reducescatter_async(
    tensor: Any,
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
        plain_of(tensor),
        None,
        check_op(op),
        0,
        prescale_factor,
        postscale_factor,
    )
    return Handle(native, array_of)


def reducescatter(
    tensor: Any,
    name: str | None = None,
    compression: type[Compressor] = Compression.none,
    op: int = Average,
    process_set: ProcessSet = global_process_set,
    prescale_factor: float = 1.0,
    postscale_factor: float = 1.0,
) -> Any:
    """This rank's rows of an ``allreduce``, cut along the first dimension: a new array. Where that
    does not divide evenly, the first ranks get a row more.

    tensor: of one dimension or more, of the same shape and dtype on every rank.
    name, compression, op, process_set, prescale_factor, postscale_factor: as for ``allreduce``; so
        are errors and threads.
    """
    name = _session.named(_native.REDUCESCATTER, name)
    check_compression(compression)
    small, ctx = compression.compress(tensor)
    handle = reducescatter_async(small, name, op, process_set, prescale_factor, postscale_factor)
    return compression.decompress(handle.wait(), ctx)


def split_rows(splits: Any) -> list[int] | None:
    """``splits`` of alltoall, given as array, tensor or sequence, as numbers."""
    if splits is None:
        return None
    rows = splits.tolist() if hasattr(splits, "tolist") else splits
    rows = list(rows) if isinstance(rows, Iterable) else None
    if rows is None or not all(type(row) is int for row in rows):
        raise InvalidArgumentError(
            f"splits={shown(splits)}: a one-dimensional sequence of whole numbers is wanted"
        )
    if not rows:
        raise InvalidArgumentError("splits is empty; one number for each rank is wanted")
    return rows


def alltoall_async(
    tensor: Any,
    splits: Any = None,
    name: str | None = None,
    process_set: ProcessSet = global_process_set,
) -> Handle:
    """Starts ``alltoall``, with its arguments; the handle's result is its result. Until the handle
    has finished nobody may write to what is sent."""
    name = _session.named(_native.ALLTOALL, name)
    check_process_set(process_set)
    native = _session.submit(_native.ALLTOALL, name, plain_of(tensor), splits=split_rows(splits))

    def finish(native: _native.Handle) -> Any:
        if splits is None:
            return array_of(native)
        return array_of(native), np.array(native.splits, dtype=np.int32)

    return Handle(native, finish)


def alltoall(
    tensor: Any,
    splits: Any = None,
    name: str | None = None,
    process_set: ProcessSet = global_process_set,
) -> Any:
    """Rows of this rank from every rank, in the order of the ranks: a new array.

    Returns it alone, or, where ``splits`` was given, with the number of rows from each rank, int32.

    tensor: of one dimension or more; the first may differ between ranks, the others and the dtype,
        any of those of ``allreduce``, may not.
    splits: how many rows go to each rank, all of them together; None: as many to each.
    name, process_set: as for ``allreduce``; so are errors and threads.
    """
    return alltoall_async(tensor, splits, name, process_set).wait()


def barrier_async(process_set: ProcessSet = global_process_set) -> Handle:
    """Starts ``barrier``; the handle finishes when every rank has called it.

    process_set: as for ``allreduce``.
    """
    check_process_set(process_set)
    return Handle(_session.current().barrier())


def barrier(process_set: ProcessSet = global_process_set) -> None:
    """Returns when every rank has called it.

    process_set: as for ``allreduce``; so are errors and threads.
    """
    barrier_async(process_set).wait()
