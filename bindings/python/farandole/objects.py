"""Any Python object between ranks, pickled.

Pickles are read only from ranks of the same job, which have proven that they know its secret.
"""

from __future__ import annotations

import pickle
from typing import Any

from farandole import _native, _session
from farandole.arguments import check_root
from farandole.errors import InvalidArgumentError
from farandole.process_sets import ProcessSet, check_process_set, global_process_set

_SIZE_BYTES = 8


def _dumps(obj: Any) -> bytes:
    """cloudpickle, where it is installed, also carries lambdas and local classes."""
    try:
        import cloudpickle
    except ImportError:
        return pickle.dumps(obj)
    return bytes(cloudpickle.dumps(obj))


def broadcast_object(
    obj: Any,
    root_rank: int = 0,
    name: str | None = None,
    process_set: ProcessSet = global_process_set,
) -> Any:
    """The object of rank ``root_rank``, on every rank. Others may pass None."""
    name = _session.named(_native.BROADCAST, name)
    check_process_set(process_set)
    is_root = _session.rank() == check_root(root_rank)
    data = bytearray(_dumps(obj)) if is_root else bytearray()
    size = bytearray(len(data).to_bytes(_SIZE_BYTES, "little"))
    _session.submit(_native.BROADCAST, f"{name}.size", size, size, root=root_rank).wait()
    if not is_root:
        data = bytearray(int.from_bytes(size, "little"))
    _session.submit(_native.BROADCAST, f"{name}.object", data, data, root=root_rank).wait()
    return obj if is_root else pickle.loads(data)


def allgather_object(
    obj: Any, name: str | None = None, process_set: ProcessSet = global_process_set
) -> list[Any]:
    """The objects of all ranks, in rank order."""
    name = _session.named(_native.ALLGATHER, name)
    check_process_set(process_set)
    data = _dumps(obj)
    size = len(data).to_bytes(_SIZE_BYTES, "little")
    sizes = _session.submit(_native.ALLGATHER, f"{name}.size", size)
    everything = _session.submit(_native.ALLGATHER, f"{name}.object", data)
    sizes.wait()
    everything.wait()
    return _unpack(sizes.tobytes(), everything.tobytes())


def _unpack(sizes: bytes, everything: bytes) -> list[Any]:
    objects = []
    begin = 0
    for at in range(0, len(sizes), _SIZE_BYTES):
        end = begin + int.from_bytes(sizes[at : at + _SIZE_BYTES], "little")
        objects.append(pickle.loads(everything[begin:end]))
        begin = end
    if begin != len(everything):
        raise InvalidArgumentError(
            f"the ranks announced {begin} bytes of objects and sent {len(everything)}"
        )
    return objects
