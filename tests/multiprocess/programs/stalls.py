"""One rank stays away from an operation that the others wait for. Arguments: how it passes its
time, and for how many seconds."""

from __future__ import annotations

import ctypes
import sys
import threading
import time

import numpy as np
from common import report

import farandole as fdl


def asleep(seconds: float) -> None:
    threading.Event().wait(seconds)  # the line where it stands


def busy(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sum(range(1000))  # turns


def selfish(seconds: float) -> None:
    """Keeps the interpreter to itself, as an extension that computes does."""
    ctypes.PyDLL(None).sleep(int(seconds))


def steps(seconds: float) -> None:
    """All ranks do the same."""
    until = time.monotonic() + seconds
    while not fdl.allreduce(np.array(float(time.monotonic() > until)), name="over", op=fdl.Max):
        pass


def main() -> None:
    how, seconds = sys.argv[1], float(sys.argv[2])
    fdl.init()
    rank = fdl.rank()
    away = fdl.size() - 1
    outcome = ""
    try:
        fdl.allreduce(np.ones(4), name="before")
        if how == "steps":
            steps(seconds)
        elif rank == away:
            {"asleep": asleep, "busy": busy, "selfish": selfish}[how](seconds)
        fdl.allreduce(np.ones(4), name="lost/gradient")
    except fdl.HorovodInternalError as error:
        outcome = f"{type(error).__name__}: {error}"
    report(rank, outcome=outcome)


main()
