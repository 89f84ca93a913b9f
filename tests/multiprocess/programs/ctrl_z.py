"""Collectives in a row, until some time after somebody has stopped this job and let it go on."""

from __future__ import annotations

import os
import signal
import time

import numpy as np

import farandole as fdl

TURNS_AFTERWARDS = 20


def main() -> None:
    continued: list[float] = []
    signal.signal(signal.SIGCONT, lambda *_: continued.append(time.monotonic()))
    fdl.init()
    ones = np.ones(1 << 16, "f4")
    left = TURNS_AFTERWARDS
    wrong = turns = 0
    while left > 0:
        wrong += int((fdl.allreduce(ones, op=fdl.Sum, name="work") != fdl.size()).sum())
        if turns == 0:
            print(f"rank {fdl.rank()}: pid {os.getpid()};")
        time.sleep(0.01)  # computes something
        everywhere = fdl.allreduce(np.array([bool(continued)]), op=fdl.Min, name="continued?")[0]
        left -= int(everywhere)
        turns += 1
    print(f"rank {fdl.rank()}: wrong values {wrong};")


main()
