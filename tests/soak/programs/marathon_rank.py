"""One process that goes through many jobs: init, random collectives, an end that is orderly or not,
and again. Reports what it uses."""

from __future__ import annotations

import contextlib
import random
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "multiprocess" / "programs"))

from common import report
from recording import Recording
from usage import open_files, usage
from workload import Workload

import farandole as fdl

REPORT_EVERY = 2.0


def goes_on(until: float) -> bool:
    """Rank 0's clock decides for all."""
    mine = np.array([int(fdl.rank() == 0 and time.monotonic() < until)])
    return bool(fdl.allreduce(mine, op=fdl.Max, name="goes on")[0])


def end_of_life(common: random.Random) -> str:
    ending: str = common.choice(["orderly", "work left over", "somebody leaves first"])
    leaver = common.randrange(fdl.size())
    if ending == "work left over" and fdl.rank() != leaver:
        with contextlib.suppress(fdl.PeerLostError):  # the leaver may be gone already
            fdl.allreduce_async(np.ones(1000), name="never agreed upon")
    if ending == "somebody leaves first" and fdl.rank() != leaver:
        try:
            fdl.allreduce(np.ones(10), name="in vain")
            raise AssertionError("an allreduce without one of its ranks")
        except fdl.PeerLostError as error:
            # Of three ranks another may have given up first and left, too.
            assert error.rank == leaver or fdl.size() > 2, str(error)
    return ending


def main() -> None:
    seconds, seed = float(sys.argv[1]), sys.argv[2]
    until = time.monotonic() + seconds
    last = 0.0
    done = lives = recorded = 0
    going = True
    while going:
        common = random.Random(f"{seed}/{lives}")
        fdl.init()
        rank = fdl.rank()
        work = Workload(f"{seed}/{lives}", f"own {seed}/{lives}")
        batches = common.randint(3, 40)
        recording = Recording(f"{seed}/{lives}", batches)
        for batch in range(batches):
            recording.before(batch)
            work.batch()
            recording.after(batch)
        going = goes_on(until)
        end_of_life(common)
        fdl.shutdown()
        recording.after_shutdown()
        lives += 1
        recorded += recording.wanted
        done += work.done
        if time.monotonic() - last > REPORT_EVERY or not going:
            last = time.monotonic()
            used = usage() | {"open": open_files()}
            report(rank, at=last, lives=lives, done=done, recorded=recorded, **used)


main()
