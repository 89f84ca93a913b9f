"""Process sets, through NumPy or torch: process_sets.py numpy|torch"""

from __future__ import annotations

import copy
import os
import pickle
from typing import Any

from common import report, threads
from sets_common import WAY, check, fdl, passed, refused, tensor


def queries(ends: Any, rank: int, size: int) -> None:
    last = size - 1
    check(ends.ranks, [0, last])
    check(ends.process_set_id, 1)
    check(ends.size(), 2)
    check(ends.included(), rank in (0, last))
    check(ends.rank(), {0: 0, last: 1}.get(rank, -1))
    check(repr(ends), f"ProcessSet([0, {last}])")
    everybody = fdl.global_process_set
    check(everybody.ranks, list(range(size)))
    check((everybody.rank(), everybody.size(), everybody.included()), (rank, size, True))
    check(everybody.process_set_id, 0)
    # Copies of a model communicate in the same set; what is sent elsewhere has to be added there.
    check(copy.deepcopy([ends, everybody]), [ends, everybody])
    check(pickle.loads(pickle.dumps(everybody)) is everybody, True)
    other = pickle.loads(pickle.dumps(ends))
    check((other.ranks, other.process_set_id), ([0, last], None))


def collectives(ends: Any, rank: int, size: int) -> None:
    """Every kind and form, among the first rank and the last."""
    last = size - 1
    own = tensor([rank, rank])
    check(fdl.allreduce(own, op=fdl.Sum, process_set=ends).tolist(), [last, last])
    check(fdl.allreduce_(tensor([rank]), op=fdl.Max, process_set=ends).tolist(), [last])
    check(fdl.allreduce(tensor([rank]), process_set=ends).tolist(), [last / 2])
    out = tensor([0, 0])
    check(fdl.broadcast(own, last, process_set=ends, out=out) is out, True)
    check(out.tolist(), [last, last])
    check(fdl.broadcast_(tensor([rank]), 0, process_set=ends).tolist(), [0])
    check(fdl.allgather(tensor([rank] * (rank + 1)), process_set=ends).shape, (last + 2,))
    check(fdl.alltoall(own, process_set=ends).tolist(), [0, last])
    moved, rows = fdl.alltoall(own, [2, 0], process_set=ends)
    check(moved.tolist(), [0, 0, last, last] if rank == 0 else [])
    check(rows.tolist(), [2, 2] if rank == 0 else [0, 0])
    check(fdl.reducescatter(own, op=fdl.Sum, process_set=ends).tolist(), [last])
    fdl.barrier(ends)
    handle = fdl.allreduce_async(own, op=fdl.Min, process_set=ends)
    check(fdl.synchronize(handle).tolist(), [0, 0])
    pair = [tensor([1]), tensor([rank])]
    for grouped, wanted in (
        (fdl.grouped_allreduce(pair, op=fdl.Max, process_set=ends), [[1], [last]]),
        (fdl.grouped_allgather(pair, process_set=ends), [[1, 1], [0, last]]),
        (fdl.grouped_broadcast(pair, last, process_set=ends), [[1], [last]]),
        (fdl.grouped_alltoall([own], process_set=ends), [[0, last]]),
        (fdl.grouped_reducescatter([own], op=fdl.Sum, process_set=ends), [[last]]),
    ):
        check([part.tolist() for part in grouped], wanted)
    check(fdl.allgather_object({"r": rank}, process_set=ends), [{"r": 0}, {"r": last}])
    check(fdl.broadcast_object(rank, last, process_set=ends), last)
    check(fdl.average_metrics({"m": rank}, process_set=ends), {"m": last / 2})


def outsiders(ends: Any, rank: int, size: int) -> None:
    """Ranks outside of the set are refused at once, those inside do not hear of it."""
    last = size - 1
    if not ends.included():
        for call in (
            lambda: fdl.allreduce(tensor([1.0]), name="x", process_set=ends),
            lambda: fdl.barrier(ends),
            lambda: fdl.join(process_set=ends),
        ):
            refused(
                call, ValueError, f"rank {rank} is not in process set 1, whose ranks are 0, {last}"
            )
        return
    refused(
        lambda: fdl.broadcast(tensor([1]), 1, process_set=ends),
        ValueError,
        f"root rank 1 is not in process set 1, whose ranks are 0, {last}",
    )
    refused(
        lambda: fdl.alltoall(tensor([1, 2, 3]), [1, 1, 1], process_set=ends),
        ValueError,
        "3 splits for 2 ranks",
    )
    refused(
        lambda: fdl.allreduce(tensor([1] * (rank + 1)), name="y", process_set=ends),
        fdl.MismatchError,
        f"ranks disagree on shape: rank 0 has [1], rank {last} has [{last + 1}]",
    )


def unnamed(ends: Any, size: int) -> None:
    """What is done in a set is not counted outside of it, nor what is refused there."""
    if ends.included():
        for _ in range(3):
            refused(lambda: fdl.allreduce(None, process_set=ends), ValueError, "")
            fdl.barrier(ends)
    check(fdl.allreduce(tensor([1]), op=fdl.Sum).tolist(), [size])
    if ends.included():
        check(fdl.allreduce(tensor([1]), op=fdl.Sum, process_set=ends).tolist(), [2])
    fdl.barrier()


def changes(rank: int, size: int) -> None:
    made = fdl.ProcessSet(range(size - 1))
    for number in (2, 3):
        check(fdl.add_process_set(made) is made, True)
        check(made.process_set_id, number)
        if made.included():
            check(fdl.allreduce(tensor([1]), op=fdl.Sum, process_set=made).tolist(), [size - 1])
        refused(lambda: fdl.add_process_set(made), ValueError, f"is process set {number} already")
        refused(
            lambda: fdl.add_process_set(range(size - 1)),
            ValueError,
            f"are process set {number} already",
        )
        check(fdl.remove_process_set(made), True)
        check(made.process_set_id, None)
        check(fdl.remove_process_set(made), False)
        refused(lambda: made.rank(), ValueError, "does not exist")
        refused(lambda: fdl.barrier(made), ValueError, "does not exist")
    refused(lambda: fdl.add_process_set(range(size)), ValueError, "are process set 0 already")
    refused(lambda: fdl.add_process_set([size]), ValueError, f"rank {size} does not exist")
    refused(lambda: fdl.add_process_set([1, 1]), ValueError, "rank 1 stands there twice")
    check(fdl.remove_process_set(fdl.global_process_set), False)
    refused(
        lambda: fdl.add_process_set([0] if rank == 0 else [1]),
        fdl.MismatchError,
        "ranks disagree on its ranks",
    )
    single = fdl.add_process_set([0])
    check(single.ranks, [0])
    refused(
        lambda: fdl.remove_process_set(single) if rank == 0 else fdl.add_process_set([1]),
        fdl.MismatchError,
        "ranks disagree on operation",
    )
    check(fdl.remove_process_set(single), True)


def removal_in_flight(rank: int) -> None:
    """What not all ranks of a set have submitted ends with it; what they had is carried out."""
    pair = fdl.add_process_set([0, 1])
    whole = alone = None
    if rank < 2:
        whole = fdl.allreduce_async(tensor([1]), op=fdl.Sum, name="whole", process_set=pair)
    if rank == 0:
        alone = fdl.allreduce_async(tensor([1]), name="alone", process_set=pair)
    check(fdl.remove_process_set(pair), True)
    if whole is not None:
        check(whole.wait().tolist(), [2])
    if alone is not None:
        refused(alone.wait, ValueError, 'allreduce "alone": process set ')


def threads_of_ours() -> list[str]:
    return [name for name in threads().values() if name.startswith("fdl-")]


def main() -> None:
    last = int(os.environ["FARANDOLE_SIZE"]) - 1
    ends = fdl.ProcessSet([last, 0])
    refused(ends.rank, fdl.NotInitializedError, "call init() first")
    fdl.init(process_sets=[ends])
    rank, size = fdl.rank(), fdl.size()
    queries(ends, rank, size)
    outsiders(ends, rank, size)
    if ends.included():
        collectives(ends, rank, size)
    unnamed(ends, size)
    changes(rank, size)
    removal_in_flight(rank)
    fdl.init(process_sets=[ends])  # again, as libraries do
    check(ends.process_set_id, 1)
    fdl.shutdown()
    check(ends.process_set_id, None)
    check(threads_of_ours(), [])  # whoever keeps a set keeps nothing of the session
    fdl.init(process_sets="dynamic")  # another session, the same object
    check(ends.process_set_id, None)
    check(fdl.add_process_set(ends).process_set_id, 1)
    if ends.included():
        check(fdl.allgather_object(rank, process_set=ends), ends.ranks)
    if WAY == "torch":
        from set_training import train_in_sets

        train_in_sets([ends, fdl.add_process_set(range(1, size - 1))])
    fdl.barrier()
    report(rank, checks=passed(), size=size)
    fdl.shutdown()


main()
