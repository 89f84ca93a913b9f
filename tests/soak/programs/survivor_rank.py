"""One process that goes from job to job: each line of its standard input is a life, which ends as
the line says or with the loss of another rank; then it leaves, and the next line has it join anew.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "multiprocess" / "programs"))

from common import report
from usage import open_files, usage
from workload import Workload

import farandole as fdl


def act(life: dict[str, Any], batch: int) -> bool:
    """What this rank does by itself at its moment; whether its life is over in order."""
    if batch != life["batches"]:
        return False
    if life["act"] == "raise":
        raise RuntimeError("as the plan has it")
    if life["act"] == "abort":
        os.abort()
    if life["act"] == "finish":
        fdl.barrier()
    return True


def live(me: int, life: dict[str, Any]) -> dict[str, Any]:
    """How it ended."""
    try:
        fdl.init(settings=life["settings"])
        report(me, life=life["number"], joined=True)
        work = Workload(life["seed"], f"own {life['seed']}")
        batch = 0
        while not act(life, batch):
            work.batch()
            batch += 1
        return {"finished": True}
    except fdl.HorovodInternalError as error:
        told = {"failed": type(error).__name__, "text": str(error)}
        return told | {"lost": error.rank} if isinstance(error, fdl.PeerLostError) else told


def main() -> None:
    me, mistake = int(sys.argv[1]), sys.argv[2]
    report(me, pid=os.getpid())
    for line in sys.stdin:
        life = json.loads(line)
        ended = live(me, life)
        fdl.shutdown()
        if mistake == "leak":
            os.memfd_create("leaked")
        report(me, life=life["number"], ended=True, **ended, **usage(), open=open_files())
        if mistake == "quit":
            break


main()
