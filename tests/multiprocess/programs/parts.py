"""What a session has of its own while its job works: names of its threads, sockets by kind."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
from common import report, threads

import farandole as fdl

PROCESS = Path("/proc/self")


def sockets() -> Counter[str]:
    """Open sockets of this process: tcp, unix, or another table's name."""
    own = set()
    for entry in (PROCESS / "fd").iterdir():
        try:
            target = os.readlink(entry)
        except FileNotFoundError:
            continue  # the folder's own descriptor
        if target.startswith("socket:["):
            own.add(target[8:-1])
    found: Counter[str] = Counter()
    for table, column in (("tcp", 9), ("tcp6", 9), ("udp", 9), ("udp6", 9), ("unix", 6)):
        for line in (PROCESS / "net" / table).read_text().splitlines()[1:]:
            if line.split()[column] in own:
                found[table] += 1
    return found


def main() -> None:
    threads_before, sockets_before = Counter(threads().values()), sockets()
    fdl.init()
    for _ in range(3):
        fdl.allreduce(np.ones(1000))
    fdl.barrier()
    report(
        fdl.rank(),
        threads=dict(Counter(threads().values()) - threads_before),
        sockets=dict(sockets() - sockets_before),
    )
    fdl.barrier()


main()
