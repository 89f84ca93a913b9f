"""Steps of a training job without end, until something fails: tells what, and when."""

from __future__ import annotations

import sys
import time

import numpy as np
from common import delayed, report

import farandole as fdl


def main() -> None:
    bytes_ = int(sys.argv[1])
    fdl.init()
    rank = fdl.rank()
    tensor = np.ones(bytes_ // 4, "f4")
    try:
        for step in range(10**9):
            fdl.allreduce_(tensor, name="gradient")
            if step == 3:
                report(rank, ready=True)
    except fdl.HorovodInternalError as error:
        when = time.monotonic()
        described = {"kind": type(error).__name__, "text": str(error), "when": when}
        described["delayed"] = delayed()
        if isinstance(error, fdl.PeerLostError):
            described |= {"lost": error.rank, "host": error.host, "cause": error.cause}
        report(rank, **described, later=later_failure())


def later_failure() -> str:
    """The job cannot go on: later operations fail alike, at once."""
    try:
        fdl.allreduce(np.ones(1), name="later")
    except fdl.PeerLostError as error:
        return str(error)
    return "it went on"


main()
