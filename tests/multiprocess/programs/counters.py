"""What a rank has counted after known work: with an operation in flight, and without."""

from __future__ import annotations

import contextlib

import numpy as np
from common import report

import farandole as fdl


def main() -> None:
    fdl.init()
    rank = fdl.rank()
    for _ in range(20):
        fdl.allreduce(np.ones(1000, "f4"), op=fdl.Sum)
    with contextlib.suppress(fdl.MismatchError):
        fdl.allreduce(np.ones(3, "f4" if rank == 0 else "f8"), name="unlike")
    fdl.allgather(np.ones(rank + 1), name="ragged")
    alone = fdl.allreduce_async(np.ones(3), name="late") if rank == 0 else None
    fdl.barrier()
    working = fdl.counters()
    fdl.barrier()  # nobody joins before the other has looked
    fdl.synchronize(alone if alone else fdl.allreduce_async(np.ones(3), name="late"))
    report(rank, working=working, idle=fdl.counters())


main()
