"""Collectives over NumPy arrays and whatever speaks DLPack or the buffer protocol.

Every rank calls the same function; tensors are matched by name, or, where they have none, by the
order of the calls of their kind.
"""

from __future__ import annotations

from typing import Any

from farandole import collectives
from farandole.collectives import Collectives
from farandole.framework import NumpyFramework
from farandole.groups import GroupedCollectives
from farandole.messages import Messages
from farandole.public import public
from farandole.rooted import RootedCollectives
from farandole.rooted_groups import GroupedRootedCollectives
from farandole.submission import Submitter

_submitter = Submitter(NumpyFramework())
_one: Collectives[Any] = Collectives(_submitter)
_several: GroupedCollectives[Any] = GroupedCollectives(_submitter)
_rooted: RootedCollectives[Any] = RootedCollectives(_submitter)
_several_rooted: GroupedRootedCollectives[Any] = GroupedRootedCollectives(_submitter)
_messages: Messages[Any] = Messages(_submitter)


allgather = public(_one.allgather)
allgather_async = public(_one.allgather_async)
allreduce = public(_one.allreduce)
allreduce_ = public(_one.allreduce_)
allreduce_async = public(_one.allreduce_async)
allreduce_async_ = public(_one.allreduce_async_)
alltoall = public(_one.alltoall)
alltoall_async = public(_one.alltoall_async)
barrier = public(collectives.barrier)
barrier_async = public(collectives.barrier_async)
broadcast = public(_one.broadcast)
broadcast_ = public(_one.broadcast_)
broadcast_async = public(_one.broadcast_async)
broadcast_async_ = public(_one.broadcast_async_)
gather = public(_rooted.gather)
gather_async = public(_rooted.gather_async)
grouped_allgather = public(_several.grouped_allgather)
grouped_allgather_async = public(_several.grouped_allgather_async)
grouped_allreduce = public(_several.grouped_allreduce)
grouped_allreduce_ = public(_several.grouped_allreduce_)
grouped_allreduce_async = public(_several.grouped_allreduce_async)
grouped_allreduce_async_ = public(_several.grouped_allreduce_async_)
grouped_alltoall = public(_several.grouped_alltoall)
grouped_alltoall_async = public(_several.grouped_alltoall_async)
grouped_broadcast = public(_several.grouped_broadcast)
grouped_broadcast_ = public(_several.grouped_broadcast_)
grouped_broadcast_async = public(_several.grouped_broadcast_async)
grouped_broadcast_async_ = public(_several.grouped_broadcast_async_)
grouped_gather = public(_several_rooted.grouped_gather)
grouped_gather_async = public(_several_rooted.grouped_gather_async)
grouped_recv = public(_messages.grouped_recv)
grouped_recv_async = public(_messages.grouped_recv_async)
grouped_reduce = public(_several_rooted.grouped_reduce)
grouped_reduce_ = public(_several_rooted.grouped_reduce_)
grouped_reduce_async = public(_several_rooted.grouped_reduce_async)
grouped_reduce_async_ = public(_several_rooted.grouped_reduce_async_)
grouped_reducescatter = public(_several.grouped_reducescatter)
grouped_reducescatter_async = public(_several.grouped_reducescatter_async)
grouped_scatter = public(_several_rooted.grouped_scatter)
grouped_scatter_async = public(_several_rooted.grouped_scatter_async)
grouped_send = public(_messages.grouped_send)
grouped_send_async = public(_messages.grouped_send_async)
recv = public(_messages.recv)
recv_async = public(_messages.recv_async)
reduce = public(_rooted.reduce)
reduce_ = public(_rooted.reduce_)
reduce_async = public(_rooted.reduce_async)
reduce_async_ = public(_rooted.reduce_async_)
reducescatter = public(_one.reducescatter)
reducescatter_async = public(_one.reducescatter_async)
scatter = public(_rooted.scatter)
scatter_async = public(_rooted.scatter_async)
send = public(_messages.send)
send_async = public(_messages.send_async)

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
