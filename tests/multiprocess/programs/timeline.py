"""Steps of a few tensors, in turn late on each rank. Arguments: the file of the timeline."""

from __future__ import annotations

import sys
import time

import numpy as np
from common import report

import farandole as fdl


def main() -> None:
    fdl.init()
    rank, size = fdl.rank(), fdl.size()
    fdl.allreduce(np.ones(4), name="before")
    fdl.start_timeline(sys.argv[1], mark_cycles=True)
    fdl.barrier()
    for step in range(4 * size):
        if step % size == rank:
            time.sleep(0.02)
        handles = [fdl.allreduce_async(np.ones(1000), name=f"tensor/{n}") for n in range(3)]
        for handle in handles:
            handle.wait()
    fdl.barrier()
    fdl.stop_timeline()
    report(rank, done=True)
    fdl.shutdown()


main()
