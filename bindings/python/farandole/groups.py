"""Allreduces of several arrays in one call, submitted all or none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from farandole import _native, _session
from farandole.arguments import check_compression, check_tensors
from farandole.compression import Compression, Compressor
from farandole.handles import GroupHandle, Handle
from farandole.ops import array_of, memory_of, plain_of, writing_back
from farandole.process_sets import ProcessSet, check_process_set, global_process_set
from farandole.reduce_ops import choose_op


def grouped_allreduce_async(
    tensors: Sequence[Any],
    average: bool | None = None,
    name: str | None = None,
    op: int | None = None,
    prescale_factor: float = 1.0,
    postscale_factor: float = 1.0,
    process_set: ProcessSet = global_process_set,
) -> Handle:
    """Starts ``grouped_allreduce``, with its arguments; the handle's result is its result. Until
    the handle has finished nobody may write to what is sent."""
    name = _session.named(_native.ALLREDUCE, name)
    check_process_set(process_set)
    reduce_op = choose_op(average, op)
    plain = [plain_of(tensor) for tensor in check_tensors(tensors)]
    natives = _session.allreduce_all(
        group_names(name, len(plain)),
        plain,
        [None] * len(plain),
        reduce_op,
        prescale_factor,
        postscale_factor,
    )
    return GroupHandle([Handle(native, array_of) for native in natives])


def grouped_allreduce(
    tensors: Sequence[Any],
    average: bool | None = None,
    name: str | None = None,
    compression: type[Compressor] = Compression.none,
    op: int | None = None,
    prescale_factor: float = 1.0,
    postscale_factor: float = 1.0,
    process_set: ProcessSet = global_process_set,
) -> list[Any]:
    """``allreduce`` of several tensors, submitted all or none: a list of new arrays.

    tensors: each as for ``allreduce``; as many, in one order, on every rank. They may differ in
        shape and dtype.
    name: of the group; its members get names made of it.
    average, compression, op, prescale_factor, postscale_factor, process_set: as for ``allreduce``;
        so are errors and threads.
    """
    name = _session.named(_native.ALLREDUCE, name)
    check_compression(compression)
    small = [compression.compress(tensor) for tensor in check_tensors(tensors)]
    handle = grouped_allreduce_async(
        [tensor for tensor, _ in small],
        average,
        name,
        op,
        prescale_factor,
        postscale_factor,
        process_set,
    )
    return [
        compression.decompress(result, ctx)
        for result, (_, ctx) in zip(handle.wait(), small, strict=True)
    ]


def grouped_allreduce_async_(
    tensors: Sequence[Any],
    average: bool | None = None,
    name: str | None = None,
    op: int | None = None,
    prescale_factor: float = 1.0,
    postscale_factor: float = 1.0,
    process_set: ProcessSet = global_process_set,
) -> Handle:
    """Starts ``grouped_allreduce_``, with its arguments; the handle's result is its result. Until
    the handle has finished nobody may read or write what is given."""
    name = _session.named(_native.ALLREDUCE, name)
    check_process_set(process_set)
    reduce_op = choose_op(average, op)
    tensors = check_tensors(tensors)
    plain = [memory_of(tensor) for tensor in tensors]
    natives = _session.allreduce_all(
        group_names(name, len(plain)), plain, plain, reduce_op, prescale_factor, postscale_factor
    )
    return GroupHandle(
        [
            Handle(native, writing_back(tensor, memory))
            for native, tensor, memory in zip(natives, tensors, plain, strict=True)
        ]
    )


def grouped_allreduce_(
    tensors: Sequence[Any],
    average: bool | None = None,
    name: str | None = None,
    op: int | None = None,
    prescale_factor: float = 1.0,
    postscale_factor: float = 1.0,
    process_set: ProcessSet = global_process_set,
) -> list[Any]:
    """``grouped_allreduce`` in place: the results go to ``tensors``, of which a list is returned.

    tensors: each as for ``allreduce_``.
    average, name, op, prescale_factor, postscale_factor, process_set: as for
        ``grouped_allreduce``.
    """
    result: list[Any] = grouped_allreduce_async_(
        tensors, average, name, op, prescale_factor, postscale_factor, process_set
    ).wait()
    return result


def group_names(name: str, count: int) -> list[str]:
    """Names of a group's members: alike on every rank, as the group's own is."""
    return [f"{name}_{i + 1}of{count}" for i in range(count)]
