"""Ranks 0 and 1 share a set in which rank 1 lets the other wait for five seconds; ranks 0 and 2
share another one meanwhile."""

from __future__ import annotations

import time

import numpy as np
from common import report
from foremost import go_foremost

import farandole as fdl

BLOCKED = 5.0  # seconds
BARRIERS = 200


def main() -> None:
    go_foremost()
    slow, quick = fdl.ProcessSet([0, 1]), fdl.ProcessSet([0, 2])
    fdl.init(process_sets=[slow, quick])
    rank = fdl.rank()
    ones = np.ones(1000, "f4")
    took: list[float] = []
    fdl.barrier()
    if rank == 1:
        time.sleep(BLOCKED)  # what the others are not to notice
        fdl.barrier()  # until they are done
    if slow.included():
        handle = fdl.allreduce_async(ones, op=fdl.Sum, name="slow", process_set=slow)
        behind = [fdl.allreduce_async(ones, op=fdl.Sum, process_set=slow) for _ in range(5)]
    if quick.included():
        fdl.barrier(quick)  # connects the two
        for _ in range(BARRIERS):
            begin = time.monotonic()
            fdl.barrier(quick)
            took.append(time.monotonic() - begin)
            time.sleep(BLOCKED / BARRIERS / 2)
    if rank == 0:
        assert not handle.done(), "nothing was blocked"
    if rank != 1:
        fdl.barrier()
    if slow.included():
        assert handle.wait()[0] == 2
        assert all(one.wait()[0] == 2 for one in behind)
    report(rank, took=took)
    fdl.barrier()
    fdl.shutdown()


main()
