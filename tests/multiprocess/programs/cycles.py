"""init and shutdown again and again, with operations and process sets left unfinished."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable

import numpy as np
from common import report
from foremost import go_foremost
from usage import usage

import farandole as fdl
from farandole import _session

SAMPLED = 5  # one of so many cycles, beginning with the first; its time tells nothing


def timed(step: Callable[[], None]) -> tuple[float, float]:
    """When it begins and ends, by the clock that all processes share."""
    begin = time.monotonic()
    step()
    return begin, time.monotonic()


def leave_unfinished(process_set: fdl.ProcessSet) -> None:
    name = f"of rank {fdl.rank()} alone"
    fdl.grouped_allgather_async([np.ones(10), np.ones(3)], name, process_set)


def main() -> None:
    if sys.argv[2:] == ["foremost"]:
        go_foremost()
    own = random.Random(os.getpid())
    used, took = [], []
    for cycle in range(int(sys.argv[1])):
        begin = timed(fdl.init)
        rank, size = fdl.rank(), fdl.size()
        total = fdl.allreduce(np.full(3, cycle), op=fdl.Sum, name="same in every cycle")
        assert total.tolist() == [cycle * size] * 3
        some = fdl.add_process_set(range(1, size))
        if some.included():
            total = fdl.allreduce(np.full(3, cycle), op=fdl.Sum, process_set=some)
            assert total.tolist() == [cycle * (size - 1)] * 3
        if own.random() < 0.5:
            leave_unfinished(fdl.global_process_set)
        if own.random() < 0.5:
            _session.current().add_process_set([0])
            if some.included():
                leave_unfinished(some)
        fdl.barrier()
        end = timed(fdl.shutdown)
        if cycle % SAMPLED == 0:  # what takes the cores from ranks that still shut down
            used.append(usage())
        else:
            took.append([begin, end])
    report(rank, used=used, took=took)


main()
