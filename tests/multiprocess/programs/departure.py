"""Ranks that leave after the work is done harm nobody, whatever the order of their leaving."""

from __future__ import annotations

import sys

import numpy as np
from common import report

import farandole as fdl


def main() -> None:
    fdl.init()
    rank, size = fdl.rank(), fdl.size()
    handles = [fdl.allreduce_async(np.full(1000, i), op=fdl.Sum, name=f"{i}") for i in range(100)]
    if rank == int(sys.argv[1]):
        # What all agreed upon is finished before this rank is gone; it does not look at its own.
        fdl.synchronize(handles[-1])
        fdl.shutdown()
        report(rank, results=[])
        return
    report(rank, results=[int(handle.wait()[0]) // size for handle in handles])


main()
