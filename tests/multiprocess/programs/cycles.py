"""init and shutdown again and again, with work left unfinished."""

from __future__ import annotations

import os
import random
import sys

import numpy as np
from common import report
from usage import usage

import farandole as fdl

SAMPLED = 5  # one of so many cycles


def main() -> None:
    own = random.Random(os.getpid())
    used = []
    for cycle in range(int(sys.argv[1])):
        fdl.init()
        rank, size = fdl.rank(), fdl.size()
        total = fdl.allreduce(np.full(3, cycle), op=fdl.Sum, name="same in every cycle")
        assert total.tolist() == [cycle * size] * 3
        if own.random() < 0.5:
            fdl.allreduce_async(np.ones(10), name=f"only on some ranks {rank}")
        fdl.barrier()
        fdl.shutdown()
        if cycle % SAMPLED == 0:
            used.append(usage())
    report(rank, used=used)


main()
