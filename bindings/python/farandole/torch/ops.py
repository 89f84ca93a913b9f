"""Collectives over torch's tensors, with Horovod's names, order of arguments and defaults.

Functions that end in ``_`` write to the given tensor; those with ``_async`` return a handle for
``poll`` and ``synchronize``. Tensors are matched by name, or, where they have none, by the order of
the calls of their kind.
"""

from __future__ import annotations

import torch

from farandole import collectives, process_sets
from farandole.collectives import Collectives
from farandole.groups import GroupedCollectives
from farandole.messages import Messages
from farandole.rooted import RootedCollectives
from farandole.rooted_groups import GroupedRootedCollectives
from farandole.submission import Submitter
from farandole.torch.eager import eager
from farandole.torch.framework import TorchFramework

_submitter = Submitter(TorchFramework())
_one: Collectives[torch.Tensor] = Collectives(_submitter)
_several: GroupedCollectives[torch.Tensor] = GroupedCollectives(_submitter)
_rooted: RootedCollectives[torch.Tensor] = RootedCollectives(_submitter)
_several_rooted: GroupedRootedCollectives[torch.Tensor] = GroupedRootedCollectives(_submitter)
_messages: Messages[torch.Tensor] = Messages(_submitter)

allgather = eager(_one.allgather)
allgather_async = eager(_one.allgather_async)
allreduce = eager(_one.allreduce)
allreduce_ = eager(_one.allreduce_)
allreduce_async = eager(_one.allreduce_async)
allreduce_async_ = eager(_one.allreduce_async_)
alltoall = eager(_one.alltoall)
alltoall_async = eager(_one.alltoall_async)
barrier = eager(collectives.barrier)
barrier_async = eager(collectives.barrier_async)
broadcast = eager(_one.broadcast)
broadcast_ = eager(_one.broadcast_)
broadcast_async = eager(_one.broadcast_async)
broadcast_async_ = eager(_one.broadcast_async_)
gather = eager(_rooted.gather)
gather_async = eager(_rooted.gather_async)
grouped_allgather = eager(_several.grouped_allgather)
grouped_allgather_async = eager(_several.grouped_allgather_async)
grouped_allreduce = eager(_several.grouped_allreduce)
grouped_allreduce_ = eager(_several.grouped_allreduce_)
grouped_allreduce_async = eager(_several.grouped_allreduce_async)
grouped_allreduce_async_ = eager(_several.grouped_allreduce_async_)
grouped_alltoall = eager(_several.grouped_alltoall)
grouped_alltoall_async = eager(_several.grouped_alltoall_async)
grouped_broadcast = eager(_several.grouped_broadcast)
grouped_broadcast_ = eager(_several.grouped_broadcast_)
grouped_broadcast_async = eager(_several.grouped_broadcast_async)
grouped_broadcast_async_ = eager(_several.grouped_broadcast_async_)
grouped_gather = eager(_several_rooted.grouped_gather)
grouped_gather_async = eager(_several_rooted.grouped_gather_async)
grouped_recv = eager(_messages.grouped_recv)
grouped_recv_async = eager(_messages.grouped_recv_async)
grouped_reduce = eager(_several_rooted.grouped_reduce)
grouped_reduce_ = eager(_several_rooted.grouped_reduce_)
grouped_reduce_async = eager(_several_rooted.grouped_reduce_async)
grouped_reduce_async_ = eager(_several_rooted.grouped_reduce_async_)
grouped_reducescatter = eager(_several.grouped_reducescatter)
grouped_reducescatter_async = eager(_several.grouped_reducescatter_async)
grouped_scatter = eager(_several_rooted.grouped_scatter)
grouped_scatter_async = eager(_several_rooted.grouped_scatter_async)
join = eager(process_sets.join)
grouped_send = eager(_messages.grouped_send)
grouped_send_async = eager(_messages.grouped_send_async)
recv = eager(_messages.recv)
recv_async = eager(_messages.recv_async)
reduce = eager(_rooted.reduce)
reduce_ = eager(_rooted.reduce_)
reduce_async = eager(_rooted.reduce_async)
reduce_async_ = eager(_rooted.reduce_async_)
reducescatter = eager(_one.reducescatter)
reducescatter_async = eager(_one.reducescatter_async)
scatter = eager(_rooted.scatter)
scatter_async = eager(_rooted.scatter_async)
send = eager(_messages.send)
send_async = eager(_messages.send_async)

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
    "join",
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
