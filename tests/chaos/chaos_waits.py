"""What those on the way from a fault to a report had to wait for a core, as the kernel accounts it.

A promise in time is one of a machine that is free. On a busy one a report may be late by what the
threads on its way stood ready while the machine ran others, and by no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from chaos_job import Job

# On the way of nothing but silence.
HEARTBEAT = "fdl-heartbeat"

Delays = dict[str, float]  # by thread: its number and its name


def delays(pid: int | str) -> Delays:
    """Seconds for which the first thread of a process and those of the library waited so far;
    delays.h says the same in C++."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            name = (task / "comm").read_text().strip()
            if task.name == str(pid) or name.startswith("fdl-"):
                waited = int((task / "schedstat").read_text().split()[1])
                found[f"{task.name} {name}"] = waited * 1e-9
        except OSError:  # the thread has ended meanwhile
            continue
    return found


def late(before: Mapping[str, float], after: Mapping[str, float], silence: bool) -> float:
    """Of the thread that waited the longest."""
    return max(
        (
            waited - before.get(thread, 0.0)
            for thread, waited in after.items()
            if silence or HEARTBEAT not in thread
        ),
        default=0.0,
    )


def stolen_by_core() -> list[float]:
    """Seconds which the host of a virtual machine gave to others."""
    lines = Path("/proc/stat").read_text().splitlines()[1:]
    return [int(line.split()[8]) / 100 for line in lines if line.startswith("cpu")]


class Waits:
    """Of a job, from right before its fault on."""

    def __init__(self, job: Job) -> None:
        self._before = {rank: delays(job.pid(rank)) for rank in range(job.ranks)}
        self._stolen = stolen_by_core()

    def of(self, rank: int, after: Mapping[str, float], silence: bool) -> float:
        """`after`: what it said itself when it reported."""
        return late(self._before[rank], after, silence)

    def stolen(self) -> float:
        """Of the core that lost the most."""
        return max(now - before for before, now in zip(self._stolen, stolen_by_core(), strict=True))
