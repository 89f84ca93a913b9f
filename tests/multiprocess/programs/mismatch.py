"""Ranks that disagree: every rank gets the same error, and the job stays usable."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from common import report
from ml_dtypes import float8_e4m3fn, float8_e5m2

import farandole as fdl
from farandole import objects


def disagreements(odd: bool) -> dict[str, Any]:
    """What each rank calls; the last rank is odd."""
    rows = np.ones((2, 3), "f4")
    other_columns = np.ones((2, 4 if odd else 3), "f4")
    small = rows.astype(float8_e5m2 if odd else float8_e4m3fn)
    return {
        "dtype": lambda n: fdl.allreduce(rows.astype("f8") if odd else rows, name=n),
        "shape": lambda n: fdl.allreduce(other_columns, name=n),
        "dimensions": lambda n: fdl.allreduce(rows.ravel() if odd else rows, name=n),
        "operation": lambda n: fdl.allreduce(rows, name=n, op=fdl.Max if odd else fdl.Sum),
        "scale": lambda n: fdl.allreduce(rows, name=n, prescale_factor=2.0 if odd else 1.0),
        "kind": lambda n: fdl.allgather(rows, n) if odd else fdl.allreduce(rows, name=n),
        "root": lambda n: fdl.broadcast(rows, 1 if odd else 0, n),
        "broadcast shape": lambda n: fdl.broadcast(other_columns, 0, n),
        "small dtype": lambda n: fdl.broadcast(small, 0, n),
        "bytes": lambda n: fdl.allgather(small.view("u1") if odd else small, n),
        "columns": lambda n: fdl.allgather(other_columns, n),
        "scatter operation": lambda n: fdl.reducescatter(rows, n, op=fdl.Max if odd else fdl.Sum),
    }


def message_of(call: Any, name: str) -> str:
    try:
        call(name)
    except fdl.MismatchError as error:
        assert isinstance(error, RuntimeError)
        return str(error)
    raise AssertionError(f"{name}: nobody noticed")


def mistake_of_one_rank(odd: bool) -> None:
    """An unnamed call that raises on one rank counts there, too: what follows still matches."""

    def begin() -> fdl.Handle:
        return fdl.allreduce_async(np.ones(2))

    calls: dict[str, Callable[[], Any]] = {
        "tensor": lambda: fdl.allreduce("no tensor") if odd else begin(),
        "time": lambda: fdl.allreduce(np.ones(2), timeout=-1) if odd else begin(),
        "time of a barrier": lambda: fdl.barrier(timeout=-1) if odd else fdl.barrier_async(),
    }
    unmatched = []  # where the call was right, it waits for the odd rank in vain
    for what, call in calls.items():
        try:
            unmatched.append(call())
        except ValueError:
            assert odd
        else:
            assert not odd, what
    for _ in range(2):
        assert fdl.allreduce(np.ones(3), op=fdl.Sum).tolist() == [fdl.size()] * 3
        fdl.barrier()
    assert not any(map(fdl.poll, unmatched))
    fdl.barrier()  # nobody leaves before all have looked


def object_that_one_rank_cannot_pickle(odd: bool, root: int) -> None:
    """Every rank raises, instead of waiting for what never comes, and the job goes on."""
    obj = threading.Lock() if odd else 1
    for call in (
        lambda: fdl.broadcast_object(obj if odd else None, root),
        lambda: fdl.allgather_object(obj),
    ):
        try:
            call()
        except TypeError as error:
            assert odd and "pickle" in str(error), error
        except fdl.InvalidArgumentError as error:
            assert not odd and f"rank {root} cannot be pickled" in str(error), error
        else:
            raise AssertionError("nobody noticed")
    assert fdl.allgather_object(1) == [1] * fdl.size()


def object_for_which_one_rank_has_no_memory(odd: bool) -> None:
    """Likewise."""
    room = objects._room
    if odd:
        objects._room = lambda size: room(2**64 - 2)
    try:
        fdl.broadcast_object(b"x" * 10_000, 0)
    except fdl.OperatingSystemError as error:
        assert f"rank {fdl.size() - 1} has no memory for the object of rank 0" in str(error), error
    else:
        raise AssertionError("nobody noticed")
    finally:
        objects._room = room
    assert fdl.broadcast_object(b"x" * 10_000, 0) == b"x" * 10_000


def main() -> None:
    fdl.init()
    rank, size = fdl.rank(), fdl.size()
    messages = {}
    for name, call in disagreements(rank == size - 1).items():
        messages[name] = message_of(call, name)
        # The same name, rightly used, works at once.
        assert fdl.allreduce(np.ones(2), name=name, op=fdl.Sum).tolist() == [size, size]
    assert all(other == messages for other in fdl.allgather_object(messages))
    mistake_of_one_rank(rank == size - 1)
    object_that_one_rank_cannot_pickle(rank == size - 1, size - 1)
    object_for_which_one_rank_has_no_memory(rank == size - 1)
    report(rank, messages=messages)


main()
