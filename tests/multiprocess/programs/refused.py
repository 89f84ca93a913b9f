"""On rank 1 Python refuses calls without a name that are right elsewhere; what follows still
matches: refused.py numpy|torch"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from common import report
from sets_common import WAY, check, fdl, passed, refused, tensor

WRONG = 1  # the rank that does

SINGLE = ("allreduce", "allgather", "alltoall", "reducescatter")
ROOTED = ("broadcast", "reduce", "gather", "scatter")


def each_kind(inside: dict[str, Any], ranks: list[int]) -> None:
    """Right calls stay in flight: nobody waits for them, and nobody else makes them."""
    rank, size = fdl.rank(), len(ranks)
    root = {"root_rank": ranks[0]}
    kept = []
    for name in SINGLE + ROOTED:
        start = getattr(fdl, f"{name}_async")
        good = {"tensor": tensor([float(rank)] * size), **(root if name in ROOTED else {})}
        later = {**good, "tensor": tensor([float(rank + 10)] * size)}
        for wrong in ({**inside, **good, "nam": "x"}, inside):
            if rank == WRONG:
                refused(functools.partial(start, **wrong), TypeError, f"{name}_async() ")
            else:
                kept.append(start(**good, **inside))
            group = {**{k: v for k, v in later.items() if k != "tensor"}, **inside}
            made = getattr(fdl, f"grouped_{name}")([later["tensor"]], **group, timeout=60)[0]
            if name in ("allgather", "broadcast", "allreduce"):
                values = np.asarray(made).tolist()
                check(values, expected(name, ranks))
    if rank == WRONG:
        refused(lambda: fdl.barrier_async(nonsense=1, **inside), TypeError, "barrier_async() ")
    else:
        kept.append(fdl.barrier_async(**inside))
    fdl.barrier(timeout=60, **inside)
    check([handle.done() for handle in kept], [False] * len(kept))


def expected(name: str, ranks: list[int]) -> list[float]:
    values = [float(rank + 10) for rank in ranks]
    if name == "allgather":
        return [value for value in values for _ in ranks]
    return [values[0] if name == "broadcast" else sum(values) / len(ranks)] * len(ranks)


def messages(inside: dict[str, Any]) -> None:
    """Between ranks 1 and 2, each way: the one that is wrong sends, then receives."""
    rank, last = fdl.rank(), 2
    if rank == WRONG:
        # To nobody, and so of no pair of ranks.
        refused(lambda: fdl.send(tensor([1.0]), **inside), TypeError, "send() missing")
        refused(lambda: fdl.send(dest=last, **inside), TypeError, "send() missing")
        fdl.send(tensor([7.0]), last, **inside)
        refused(lambda: fdl.recv(last, ou=1, **inside), TypeError, "recv() got")
        check(float(fdl.recv(last, timeout=60, **inside)[0]), 9.0)
    elif rank == last:
        kept = fdl.recv_async(WRONG, **inside)
        check(float(fdl.recv(WRONG, timeout=60, **inside)[0]), 7.0)
        lost = fdl.send_async(tensor([8.0]), WRONG, **inside)
        fdl.send(tensor([9.0]), WRONG, **inside)
        check((kept.done(), lost.done()), (False, False))


def objects() -> None:
    """These wait, so that the other ranks call what takes a name alike."""
    starts: dict[str, Callable[[], Any]] = {
        "allgather_object": lambda: fdl.allgather_async(tensor([0.0])),
        "average_metrics": lambda: fdl.allgather_async(tensor([0.0])),
        "broadcast_object": lambda: fdl.broadcast_async(tensor([0.0]), 0),
    }
    for name, start in starts.items():
        if fdl.rank() == WRONG:
            refused(functools.partial(getattr(fdl, name), nonsense=1), TypeError, f"{name}() ")
        else:
            start()
        check(fdl.allgather_object(fdl.rank()), [0, 1, 2])
        check(fdl.broadcast_object(fdl.rank(), 2), 2)


def changes_of_sets() -> None:
    """They are made by all ranks, and wait: those that nobody else makes stay in flight."""
    ends, no_set = fdl.add_process_set([0, 2]), "process_set must be a ProcessSet, not list"
    wrong: list[tuple[Callable[[], Any], type[Exception], str]] = [
        (lambda: fdl.add_process_set([0, 1], timeout=-1), ValueError, "timeout=-1 is no number"),
        (lambda: fdl.add_process_set([1, 1]), ValueError, "rank 1 stands there twice"),
        (lambda: fdl.add_process_set("01"), ValueError, "a sequence of ranks is wanted"),
        (lambda: fdl.add_process_set([9]), ValueError, "rank 9 does not exist"),
        (lambda: fdl.add_process_set(ends), ValueError, "already"),
        (lambda: fdl.add_process_set(rank=[0, 1]), TypeError, "add_process_set() got"),
        (lambda: fdl.remove_process_set(ends, timeout="x"), ValueError, "timeout='x' is no number"),
        (lambda: fdl.remove_process_set([0, 2]), ValueError, no_set),
        (lambda: fdl.remove_process_set(), TypeError, "remove_process_set() missing"),
    ]
    calls: list[Callable[[], None]] = [functools.partial(refused, *one) for one in wrong]
    # Nothing to remove, where the other ranks may have a set that is.
    calls += [
        lambda: check(fdl.remove_process_set(fdl.global_process_set), False),
        lambda: check(fdl.remove_process_set(fdl.ProcessSet([0, 1])), False),
    ]
    kept = []
    for number, call in enumerate(calls):
        if fdl.rank() == WRONG:
            call()
        else:
            try:
                fdl.add_process_set([0, 1], timeout=0)
            except fdl.PendingError as error:
                kept.append(error.handle)
        made = fdl.add_process_set([number % 3], timeout=60)
        check(fdl.remove_process_set(made, timeout=60), True)
    check(len(kept), 0 if fdl.rank() == WRONG else len(calls))
    check(any(handle.done() for handle in kept), False)
    check(fdl.allgather_object(fdl.rank()), [0, 1, 2])  # nobody leaves before all have looked


def main() -> None:
    fdl.init()
    some = fdl.add_process_set([1, 2])
    each_kind({}, [0, 1, 2])
    messages({})
    objects()
    changes_of_sets()
    if some.included():
        each_kind({"process_set": some}, [1, 2])
        messages({"process_set": some})
    if WAY == "torch" and fdl.rank() == WRONG:
        refused(lambda: fdl.sparse_allreduce_async(), TypeError, "sparse_allreduce_async() ")
    elif WAY == "torch":
        fdl.allgather_async(tensor([0.0]))
    check(fdl.allgather_object(fdl.rank()), [0, 1, 2])
    report(fdl.rank(), checks=passed())
    fdl.shutdown()


main()
