"""init and shutdown again and again, with work left unfinished."""

from __future__ import annotations

import ctypes
import os
import random
import sys
from pathlib import Path

import numpy as np
from common import report

import farandole as fdl


def own_memory() -> int:
    """Bytes of this process alone."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


def main() -> None:
    own = random.Random(os.getpid())
    descriptors, threads, memory = [], [], []
    for cycle in range(int(sys.argv[1])):
        fdl.init()
        rank, size = fdl.rank(), fdl.size()
        total = fdl.allreduce(np.full(3, cycle), op=fdl.Sum, name="same in every cycle")
        assert total.tolist() == [cycle * size] * 3
        if own.random() < 0.5:
            fdl.allreduce_async(np.ones(10), name=f"only on some ranks {rank}")
        fdl.barrier()
        fdl.shutdown()
        ctypes.CDLL(None).malloc_trim(0)  # what the allocator merely keeps is no leak
        memory.append(own_memory())
        descriptors.append(len(os.listdir("/proc/self/fd")))
        threads.append(len(os.listdir("/proc/self/task")))
    report(rank, descriptors=descriptors, threads=threads, memory=memory)


main()
