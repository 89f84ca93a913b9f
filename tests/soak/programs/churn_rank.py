"""A job whose end may be sudden: random collectives until the given number of batches is done, or
until this rank is to end in the given way."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "multiprocess" / "programs"))

from common import report
from workload import Workload

import farandole as fdl


def end(how: str) -> None:
    if how == "raise":
        raise RuntimeError("as the plan has it")
    if how == "exit":
        sys.exit(0)
    os.abort()


def main() -> None:
    seed, batches, how, victim, at = sys.argv[1], int(sys.argv[2]), *sys.argv[3:6]
    fdl.init()
    rank = fdl.rank()
    report(rank, pid=os.getpid())
    work = Workload(seed, f"own {seed}")
    try:
        for batch in range(batches):
            if rank == int(victim) and batch == int(at):
                end(how)
            work.batch()
        fdl.barrier()
        report(rank, finished=True)
    except fdl.PeerLostError as error:
        report(rank, lost=error.rank, text=str(error), when=time.monotonic())
        sys.exit(1)


main()
