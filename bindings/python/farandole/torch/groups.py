"""Allreduces of several tensors in one call, submitted all or none."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from farandole import _native, _session
from farandole.arguments import check_compression, check_tensors
from farandole.groups import group_names
from farandole.handles import GroupHandle, Handle
from farandole.process_sets import ProcessSet, check_process_set, global_process_set
from farandole.reduce_ops import choose_op
from farandole.torch import autograd
from farandole.torch.compression import Compression, Compressor
from farandole.torch.tensors import check_tensor, memory_of, plain, returning, writing_back


def grouped_allreduce_async(
    tensors: Sequence[torch.Tensor],
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
    sources = [plain(tensor) for tensor in check_tensors(tensors)]
    outputs = [torch.empty_like(source) for source in sources]
    names = group_names(name, len(sources))
    natives = _session.allreduce_all(
        names, sources, outputs, reduce_op, prescale_factor, postscale_factor
    )
    pairs = zip(natives, outputs, strict=True)
    return GroupHandle([Handle(native, returning(output)) for native, output in pairs])


def grouped_allreduce(
    tensors: Sequence[torch.Tensor],
    average: bool | None = None,
    name: str | None = None,
    compression: type[Compressor] = Compression.none,
    op: int | None = None,
    prescale_factor: float = 1.0,
    postscale_factor: float = 1.0,
    process_set: ProcessSet = global_process_set,
) -> list[torch.Tensor]:
    """``allreduce`` of several tensors, submitted all or none: a list of new tensors.
    Differentiable.

    tensors: each as for ``allreduce``; as many, in one order, on every rank. They may differ in
        shape and dtype.
    name: of the group; its members get names made of it.
    average, compression, op, prescale_factor, postscale_factor, process_set: as for ``allreduce``;
        so are errors and threads.
    """
    name = _session.named(_native.ALLREDUCE, name)
    reduce_op = choose_op(average, op)
    check_compression(compression)
    small = [compression.compress(check_tensor(t)) for t in check_tensors(tensors)]
    sent = [tensor for tensor, _ in small]
    arguments = (name, reduce_op, prescale_factor, postscale_factor, process_set)
    if any(autograd.wanted(tensor) for tensor in sent):
        reduced = list(autograd.apply(autograd.GroupedAllreduce, *arguments, *sent))
    else:
        reduced = grouped_allreduce_async(sent, None, *arguments).wait()
    return [
        compression.decompress(result, ctx) for result, (_, ctx) in zip(reduced, small, strict=True)
    ]


def grouped_allreduce_async_(
    tensors: Sequence[torch.Tensor],
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
    memories = [memory_of(tensor) for tensor in tensors]
    names = group_names(name, len(memories))
    natives = _session.allreduce_all(
        names, memories, memories, reduce_op, prescale_factor, postscale_factor
    )
    return GroupHandle(
        [
            Handle(native, writing_back(tensor, memory))
            for native, tensor, memory in zip(natives, tensors, memories, strict=True)
        ]
    )


def grouped_allreduce_(
    tensors: Sequence[torch.Tensor],
    average: bool | None = None,
    name: str | None = None,
    op: int | None = None,
    prescale_factor: float = 1.0,
    postscale_factor: float = 1.0,
    process_set: ProcessSet = global_process_set,
) -> list[torch.Tensor]:
    """``grouped_allreduce`` in place: the results go to ``tensors``, of which a list is returned.

    tensors: each as for ``allreduce_``.
    average, name, op, prescale_factor, postscale_factor, process_set: as for
        ``grouped_allreduce``.
    """
    handle = grouped_allreduce_async_(
        tensors, average, name, op, prescale_factor, postscale_factor, process_set
    )
    result: list[torch.Tensor] = handle.wait()
    return result
