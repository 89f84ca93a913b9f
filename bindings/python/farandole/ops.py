"""Collectives over NumPy arrays and whatever speaks DLPack or the buffer protocol.

Every rank calls the same function; tensors are matched by name, or, where they have none, by the
order of the calls of their kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from farandole import collectives
from farandole.collectives import Collectives
from farandole.framework import NumpyFramework
from farandole.groups import GroupedCollectives
from farandole.messages import Messages
from farandole.rooted import RootedCollectives
from farandole.rooted_groups import GroupedRootedCollectives
from farandole.submission import Submitter
from farandole.uncompiled import public

F = TypeVar("F", bound=Callable[..., Any])

_submitter = Submitter(NumpyFramework())
_one: Collectives[Any] = Collectives(_submitter)
_several: GroupedCollectives[Any] = GroupedCollectives(_submitter)
_rooted: RootedCollectives[Any] = RootedCollectives(_submitter)
_several_rooted: GroupedRootedCollectives[Any] = GroupedRootedCollectives(_submitter)
_messages: Messages[Any] = Messages(_submitter)


def _public(function: F) -> F:
    return public(function, "farandole")


allgather = _public(_one.allgather)
allgather_async = _public(_one.allgather_async)
allreduce = _public(_one.allreduce)
allreduce_ = _public(_one.allreduce_)
allreduce_async = _public(_one.allreduce_async)
allreduce_async_ = _public(_one.allreduce_async_)
alltoall = _public(_one.alltoall)
alltoall_async = _public(_one.alltoall_async)
barrier = _public(collectives.barrier)
barrier_async = _public(collectives.barrier_async)
broadcast = _public(_one.broadcast)
broadcast_ = _public(_one.broadcast_)
broadcast_async = _public(_one.broadcast_async)
broadcast_async_ = _public(_one.broadcast_async_)
gather = _public(_rooted.gather)
gather_async = _public(_rooted.gather_async)
grouped_allgather = _public(_several.grouped_allgather)
grouped_allgather_async = _public(_several.grouped_allgather_async)
grouped_allreduce = _public(_several.grouped_allreduce)
grouped_allreduce_ = _public(_several.grouped_allreduce_)
grouped_allreduce_async = _public(_several.grouped_allreduce_async)
grouped_allreduce_async_ = _public(_several.grouped_allreduce_async_)
grouped_alltoall = _public(_several.grouped_alltoall)
grouped_alltoall_async = _public(_several.grouped_alltoall_async)
grouped_broadcast = _public(_several.grouped_broadcast)
grouped_broadcast_ = _public(_several.grouped_broadcast_)
grouped_broadcast_async = _public(_several.grouped_broadcast_async)
grouped_broadcast_async_ = _public(_several.grouped_broadcast_async_)
grouped_gather = _public(_several_rooted.grouped_gather)
grouped_gather_async = _public(_several_rooted.grouped_gather_async)
grouped_recv = _public(_messages.grouped_recv)
grouped_recv_async = _public(_messages.grouped_recv_async)
grouped_reduce = _public(_several_rooted.grouped_reduce)
grouped_reduce_ = _public(_several_rooted.grouped_reduce_)
grouped_reduce_async = _public(_several_rooted.grouped_reduce_async)
grouped_reduce_async_ = _public(_several_rooted.grouped_reduce_async_)
grouped_reducescatter = _public(_several.grouped_reducescatter)
grouped_reducescatter_async = _public(_several.grouped_reducescatter_async)
grouped_scatter = _public(_several_rooted.grouped_scatter)
grouped_scatter_async = _public(_several_rooted.grouped_scatter_async)
grouped_send = _public(_messages.grouped_send)
grouped_send_async = _public(_messages.grouped_send_async)
recv = _public(_messages.recv)
recv_async = _public(_messages.recv_async)
reduce = _public(_rooted.reduce)
reduce_ = _public(_rooted.reduce_)
reduce_async = _public(_rooted.reduce_async)
reduce_async_ = _public(_rooted.reduce_async_)
reducescatter = _public(_one.reducescatter)
reducescatter_async = _public(_one.reducescatter_async)
scatter = _public(_rooted.scatter)
scatter_async = _public(_rooted.scatter_async)
send = _public(_messages.send)
send_async = _public(_messages.send_async)

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
    "gather",
    "gather_async",
    "grouped_allgather",
    "grouped_allgather_async",
    "grouped_allreduce",
    "grouped_allreduce_",
    "grouped_allreduce_async",
    "grouped_allreduce_async_",
    "grouped_alltoall",
    "grouped_alltoall_async",
    "grouped_broadcast",
    "grouped_broadcast_",
    "grouped_broadcast_async",
    "grouped_broadcast_async_",
    "grouped_gather",
    "grouped_gather_async",
    "grouped_recv",
    "grouped_recv_async",
    "grouped_reduce",
    "grouped_reduce_",
    "grouped_reduce_async",
    "grouped_reduce_async_",
    "grouped_reducescatter",
    "grouped_reducescatter_async",
    "grouped_scatter",
    "grouped_scatter_async",
    "grouped_send",
    "grouped_send_async",
    "recv",
    "recv_async",
    "reduce",
    "reduce_",
    "reduce_async",
    "reduce_async_",
    "reducescatter",
    "reducescatter_async",
    "scatter",
    "scatter_async",
    "send",
    "send_async",
]
