"""Steps of a training job without end, until something fails: tells what, and when.

steps.py BYTES [messages]: an allreduce, or messages round the ring.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from common import delayed, report

import farandole as fdl


def main() -> None:
    bytes_ = int(sys.argv[1])
    fdl.init()
    rank = fdl.rank()
    tensor = np.ones(bytes_ // 4, "f4")
    got = tensor.copy()
    try:
        for step in range(10**9):
            if len(sys.argv) > 2:
                round_the_ring(tensor, got)
            else:
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


def round_the_ring(tensor: Any, got: Any) -> None:
    rank, size = fdl.rank(), fdl.size()
    sent = fdl.send_async(tensor, (rank + 1) % size, name="round")
    fdl.recv((rank - 1) % size, name="round", out=got)
    fdl.synchronize(sent)


def later_failure() -> str:
    """The job cannot go on: later operations fail alike, at once."""
    try:
        fdl.allreduce(np.ones(1), name="later")
    except fdl.PeerLostError as error:
        return str(error)
    return "it went on"


main()
