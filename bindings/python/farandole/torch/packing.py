"""Many tensors in few broadcasts: small ones travel together in buffers of bytes, whatever their
dtypes and devices."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch

from farandole import _session
from farandole.arguments import check_no_overlap
from farandole.errors import (
    FarandoleError,
    InvalidArgumentError,
    PendingError,
    UnsupportedError,
)
from farandole.framework import check_memory
from farandole.handles import Deadline, Handle
from farandole.process_sets import ProcessSet
from farandole.torch import ops
from farandole.torch.tensors import check_tensor

_BUFFER_BYTES = 32 << 20
_ALIGNMENT = 16  # at least every dtype's size
# Buffers that exist at once: one is filled while another travels.
_IN_FLIGHT = 2


class _Bucket(NamedTuple):
    """Tensors that travel together, each with where its bytes begin."""

    members: list[tuple[torch.Tensor, int]]
    size: int


def check_writable(tensors: Iterable[torch.Tensor]) -> None:
    """Refuses what a broadcast could not read and write, before any rank has communicated."""
    for tensor in tensors:
        check_memory(check_tensor(tensor))
        if tensor.layout is not torch.strided:
            raise InvalidArgumentError(
                f"a tensor of layout {tensor.layout} cannot be communicated; make it dense first "
                "(tensor.to_dense())"
            )
        if tensor.is_meta:
            raise UnsupportedError(
                'nothing here communicates memory of device "meta"; move the tensor to the CPU'
            )
        if tensor.is_quantized:
            raise InvalidArgumentError(
                "a quantized tensor cannot be communicated in place: its bytes mean nothing "
                "without its scale; give it to broadcast_object(obj, root_rank)"
            )
        check_no_overlap("the tensor", tensor.shape, tensor.stride())
        if tensor.is_inference() and not torch.is_inference_mode_enabled():
            raise InvalidArgumentError(
                "an inference tensor is written in place only within torch.inference_mode()"
            )


def broadcast_packed(
    tensors: Sequence[torch.Tensor],
    root_rank: int,
    name: str,
    process_set: ProcessSet,
    deadline: Deadline,
) -> None:
    """Gives every rank the bytes of rank ``root_rank``'s tensors, in place.

    tensors: as many, in one order, with the same shapes and dtypes on every rank. On devices that
        nothing here communicates they go by way of the CPU.

    Waits for everything that it has started, also where it raises, but for PendingError.
    Requires: check_writable has found nothing where this rank is not the root.
    """
    is_root = _session.rank() == root_rank
    waiting: deque[_Travelling] = deque()
    failure: FarandoleError | None = None
    for number, bucket in enumerate(_buckets(tensors)):
        if len(waiting) == _IN_FLIGHT:
            failure = _arrive(waiting.popleft(), is_root, deadline)
        if failure is not None:  # on every rank alike
            break
        waiting.append(_depart(bucket, root_rank, f"{name}.{number}", process_set, is_root))
    while waiting:
        later = _arrive(waiting.popleft(), is_root, deadline)
        failure = failure or later
    if failure is not None:
        raise failure


class _Travelling(NamedTuple):
    bucket: _Bucket
    buffer: torch.Tensor | None
    handle: Handle


def _depart(
    bucket: _Bucket, root_rank: int, name: str, process_set: ProcessSet, is_root: bool
) -> _Travelling:
    (first, _), *others = bucket.members
    if not others and first.device.type == "cpu" and _is_plain(first):
        # Unseen by autograd, as what comes with others: see _arrive.
        memory = first.data.reshape(-1).view(torch.uint8)
        return _Travelling(bucket, None, ops.broadcast_async_(memory, root_rank, name, process_set))
    buffer = torch.empty(bucket.size, dtype=torch.uint8, device="cpu")
    if is_root:
        buffer.zero_()  # what lies between tensors would be whatever this process once had there
        for tensor, begin in bucket.members:
            _place(buffer, tensor, begin).copy_(tensor.detach())
    handle = ops.broadcast_async_(buffer, root_rank, name, process_set)
    return _Travelling(bucket, buffer, handle)


def _arrive(travelling: _Travelling, is_root: bool, deadline: Deadline) -> FarandoleError | None:
    """Waits, and puts the values where they belong. Returns how it failed."""
    try:
        deadline.wait(travelling.handle)
    except PendingError:
        raise
    except FarandoleError as error:
        return error
    if travelling.buffer is not None and not is_root:
        for tensor, begin in travelling.bucket.members:
            # Unseen by autograd, as what is received without a buffer: buffers of a model may
            # change between a forward and its backward.
            tensor.data.copy_(_place(travelling.buffer, tensor, begin))
    return None


def _place(buffer: torch.Tensor, tensor: torch.Tensor, begin: int) -> torch.Tensor:
    """Where a tensor's values lie in a buffer."""
    size = tensor.numel() * tensor.element_size()
    return buffer[begin : begin + size].view(tensor.dtype).view(tensor.shape)


def _is_plain(tensor: torch.Tensor) -> bool:
    return tensor.is_contiguous() and not (tensor.is_conj() or tensor.is_neg())


def _buckets(tensors: Sequence[torch.Tensor]) -> Iterator[_Bucket]:
    """Cut alike on every rank: only shapes and dtypes count."""
    members: list[tuple[torch.Tensor, int]] = []
    end = 0
    for tensor in tensors:
        size = tensor.numel() * tensor.element_size()
        if size == 0:
            continue
        begin = -(-end // _ALIGNMENT) * _ALIGNMENT
        if members and begin + size > _BUFFER_BYTES:
            yield _Bucket(members, end)
            members, begin = [], 0
        members.append((tensor, begin))
        end = begin + size
    if members:
        yield _Bucket(members, end)
