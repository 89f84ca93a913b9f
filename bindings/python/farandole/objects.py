"""Any Python object between ranks, pickled.

Pickles are read only from ranks of the same job, which have proven that they know its secret.
"""

from __future__ import annotations

import pickle
from typing import Any

from farandole import _native, _session, ops
from farandole.arguments import check_root
from farandole.errors import InvalidArgumentError, OperatingSystemError
from farandole.handles import Deadline, GroupHandle, Handle
from farandole.process_sets import (
    ProcessSet,
    check_process_set,
    contributors,
    global_process_set,
)
from farandole.public import public

_SIZE_BYTES = 8
# What travels at once with the size: most objects are smaller and need no second message.
_INLINE_BYTES = 8184
# Instead of a size, where the object cannot be pickled: the other ranks raise, too, and wait for
# nothing.
_UNPICKLED = 2**64 - 1


def dumps(obj: Any) -> bytes:
    """By cloudpickle, which carries lambdas and local classes; by pickle where it was removed."""
    try:
        import cloudpickle
    except ImportError:
        return pickle.dumps(obj)
    return bytes(cloudpickle.dumps(obj))


def _pickled(obj: Any) -> tuple[bytes, bytes, Exception | None]:
    """The object's bytes, their number as it travels, and why there are none."""
    try:
        data = dumps(obj)
    except Exception as error:
        return b"", _UNPICKLED.to_bytes(_SIZE_BYTES, "little"), error
    return data, len(data).to_bytes(_SIZE_BYTES, "little"), None


def _size_in(field: bytes | bytearray | memoryview, who: str) -> int:
    """The number of bytes that a rank announces."""
    size = int.from_bytes(field, "little")
    if size == _UNPICKLED:
        raise InvalidArgumentError(
            f"the object of {who} cannot be pickled; the error there says why"
        )
    return size


def _room(size: int) -> bytearray | None:
    """That many bytes, or None where this process cannot have them. No object has more bytes than
    its root's process, so a larger number is refused, too: it says nothing true."""
    try:
        return bytearray(size)
    except (MemoryError, OverflowError):
        return None


def _checked_room(
    room: bytearray | None,
    all_ranks: list[int],
    size: int,
    root_rank: int,
    process_set: ProcessSet,
) -> bytearray:
    """Raises on every rank where one has no memory: it could not take part in what follows, and
    the others would wait for it."""
    ranks = contributors(process_set.ranks, len(all_ranks))
    lacking = [rank for rank, has in zip(ranks, all_ranks, strict=True) if not has]
    if lacking or room is None:
        which = ", ".join(lacking)
        raise OperatingSystemError(
            f"{which} has no memory for the object of rank {root_rank}, {size} bytes; "
            "send less at once"
        )
    return room


@public
def broadcast_object(
    obj: Any,
    root_rank: int = 0,
    name: str | None = None,
    process_set: ProcessSet = global_process_set,
    *,
    timeout: float | None = None,
) -> Any:
    """The object of rank ``root_rank``, on every rank.

    obj: what cloudpickle can carry, lambdas and local classes too; other ranks may pass None.
    root_rank, name, process_set: as for ``broadcast``; so are errors and threads. An object that
        cannot be pickled, or for which a rank has no memory, is an error on every rank.
    timeout: seconds to wait at most, for all messages together; None waits for as long as it takes.
        PendingError after that: the message that is on its way goes on, and is what the error's
        ``handle`` is of, but nothing follows it. Other ranks may wait for that, so end the job.
    """
    name = _session.named(_native.BROADCAST, name, check_process_set(process_set))
    return share_object(obj, root_rank, name, process_set, Deadline(timeout))


def share_object(
    obj: Any, root_rank: int, name: str, process_set: ProcessSet, deadline: Deadline
) -> Any:
    """As ``broadcast_object``."""
    is_root = _session.rank() == check_root(root_rank)
    pickled, size_field, failure = _pickled(obj) if is_root else (b"", bytes(_SIZE_BYTES), None)
    head = bytearray(_SIZE_BYTES + _INLINE_BYTES)
    inline = size_field + pickled[:_INLINE_BYTES]
    head[: len(inline)] = inline
    deadline.wait(ops.broadcast_async_(head, root_rank, f"{name}.object", process_set))
    if failure is not None:
        raise failure
    size = _size_in(head[:_SIZE_BYTES], f"rank {root_rank}")
    if size <= _INLINE_BYTES:
        return obj if is_root else pickle.loads(memoryview(head)[_SIZE_BYTES : _SIZE_BYTES + size])
    room = bytearray(pickled) if is_root else _room(size)
    mine = ops.allgather_async(bytes([room is not None]), f"{name}.room", process_set)
    data = _checked_room(room, deadline.wait(mine).tolist(), size, root_rank, process_set)
    deadline.wait(ops.broadcast_async_(data, root_rank, f"{name}.rest", process_set))
    return obj if is_root else pickle.loads(data)


@public
def allgather_object(
    obj: Any,
    name: str | None = None,
    process_set: ProcessSet = global_process_set,
    *,
    timeout: float | None = None,
) -> list[Any]:
    """The objects of all ranks, in a list in rank order; none of ranks that have joined.

    obj: what cloudpickle can carry, lambdas and local classes too. One that cannot be pickled is an
        error on every rank.
    name, process_set, timeout: as for ``allgather``; so are errors and threads.
    """
    name = _session.named(_native.ALLGATHER, name, check_process_set(process_set))
    deadline = Deadline(timeout)
    objects: list[Any] = deadline.wait(start_allgather_object(obj, name, process_set))
    return objects


def start_allgather_object(obj: Any, name: str, process_set: ProcessSet) -> Handle:
    """As ``allgather_object``, whose result is the handle's."""
    data, size_field, failure = _pickled(obj)
    # Each rank's size stands before its object, so that one message carries both.
    sent = ops.allgather_async(size_field + data, f"{name}.object", process_set)
    ranks = process_set.ranks

    def combine(results: list[Any]) -> list[Any]:
        if failure is not None:
            raise failure
        return _unpack(memoryview(results[0]), ranks)

    return GroupHandle([sent], combine)


def _unpack(everything: memoryview, ranks: list[int]) -> list[Any]:
    """One object of each rank that has not joined."""
    parts = []
    begin = 0
    while begin < len(everything):
        field = everything[begin : begin + _SIZE_BYTES]
        begin += _SIZE_BYTES
        size = int.from_bytes(field, "little")
        parts.append((field, begin))
        begin += 0 if size == _UNPICKLED else size
    objects = []
    for who, (field, begin) in zip(contributors(ranks, len(parts)), parts, strict=True):
        size = _size_in(field, who)
        if size > len(everything) - begin:
            raise InvalidArgumentError(
                f"{who} announced an object of {size} bytes; {len(everything) - begin} came"
            )
        objects.append(pickle.loads(everything[begin : begin + size]))
    return objects
