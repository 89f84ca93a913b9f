"""A rank that is interrupted while the group forms, and joins it when it is asked again.

Arguments: the rank that this is about, and those that begin at once; the others wait for the end of
their standard input, as that rank does before it tries again.
"""

from __future__ import annotations

import os
import sys
import time

import numpy as np
from common import on_entry, report

import farandole as fdl


def be_interrupted(rank: int) -> None:
    kind = "none"
    try:
        on_entry(fdl.init, lambda: report(rank, ready=True))
        fdl.init()
    except KeyboardInterrupt:
        kind = "KeyboardInterrupt"
    report(rank, kind=kind, when=time.monotonic(), joined=fdl.is_initialized())


def main() -> None:
    rank = int(os.environ["FARANDOLE_RANK"])
    subject, early = sys.argv[1], sys.argv[2].split(",")
    if str(rank) == subject:
        be_interrupted(rank)
    if str(rank) not in early:
        sys.stdin.read()
    fdl.init()
    report(rank, sum=float(fdl.allreduce(np.ones(1), op=fdl.Sum)[0]))


main()
