"""Where the threads of a session may run, by name, beside this program's own; or how it does not
start. --sets: with the lane of a process set of its own; --timeline: while one is recorded."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
from common import report, threads

import farandole as fdl


def places() -> dict[str, str]:
    """The kernel's list of processors for each thread of the library, and for this one."""
    found = {}
    for number, name in threads().items():
        status = Path(f"/proc/self/task/{number}/status").read_text()
        cpus = re.search(r"^Cpus_allowed_list:\t(.*)$", status, re.MULTILINE)
        assert cpus
        own = "caller" if number == threading.get_native_id() else name
        if own == "caller" or own.startswith("fdl-"):
            assert own not in found, own
            found[own] = cpus[1]
    return found


def main() -> None:
    rank = int(os.environ.get("FARANDOLE_RANK", "0"))
    try:
        fdl.init()
        assert fdl.allreduce(np.ones(1000), op=fdl.Sum)[0] == fdl.size()
        if "--sets" in sys.argv:
            alone = [fdl.add_process_set([rank]) for rank in range(fdl.size())]
            fdl.allreduce(np.ones(1000), process_set=alone[fdl.rank()])
        if "--timeline" in sys.argv:
            with tempfile.TemporaryDirectory() as folder:
                fdl.start_timeline(f"{folder}/{{rank}}.json")
                found = places()
                fdl.stop_timeline()
        else:
            found = places()
        report(rank, places=found, local=fdl.local_rank())
        fdl.barrier()
    except (fdl.HorovodInternalError, fdl.InvalidArgumentError) as refused:
        report(rank, kind=type(refused).__name__, text=str(refused))


main()
