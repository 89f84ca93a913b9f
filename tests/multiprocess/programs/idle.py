"""A job that has worked and now does nothing: how much its processes compute, launcher and all."""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

import numpy as np
from common import report

import farandole as fdl


def parents() -> dict[int, int]:
    """Parent of every process."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = int(
                    (entry / "stat").read_text().rsplit(")", 1)[1].split()[1]
                )
            except OSError:
                continue  # it has ended
    return found


def job() -> list[int]:
    """The launcher and everything below it."""
    parent_of = parents()
    children = defaultdict(list)
    for pid, parent in parent_of.items():
        children[parent].append(pid)
    top = os.getpid()
    while Path(f"/proc/{top}/comm").read_text().strip() != "farandolerun":
        top = parent_of[top]
    found = [top]
    for pid in found:
        found += children[pid]
    return found


def used(pids: list[int]) -> float:
    """Seconds that all threads of these processes have computed."""
    threads = [task for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int((task / "schedstat").read_text().split()[0]) for task in threads) / 1e9


def share_while_asleep(pids: list[int], seconds: float) -> float:
    """Share of one core that they use meanwhile."""
    start, before = time.monotonic(), used(pids)
    time.sleep(seconds)  # what is measured
    return (used(pids) - before) / (time.monotonic() - start)


def main() -> None:
    """The median of the seconds: one in which the machine itself was taken away is no habit."""
    seconds = int(sys.argv[1])
    fdl.init()
    for _ in range(10):
        fdl.allreduce(np.ones(1000))
    fdl.barrier()
    share = 0.0
    processes = job()
    if fdl.rank() == 0:
        share = median(share_while_asleep(processes, 1.0) for _ in range(seconds))
    else:
        time.sleep(seconds)
    fdl.barrier()
    report(fdl.rank(), share=share, processes=len(processes))


main()
