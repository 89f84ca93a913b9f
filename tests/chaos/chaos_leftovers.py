"""What a job left behind: processes, sockets, shared memory, files. It should be nothing."""

from __future__ import annotations

import os
from pathlib import Path

from chaos_job import Job
from marked import left_after

# Every process of a job that has failed is gone after so many seconds.
GONE_AFTER = 10.0
STATE_TIME_WAIT = "06"


def shared_memory() -> set[str]:
    """Names in /dev/shm that could be the project's."""
    try:
        names = os.listdir("/dev/shm")
    except FileNotFoundError:
        return set()
    return {name for name in names if "farandole" in name or "fdl" in name}


def sockets_of_tcp(table: str, port: int) -> list[str]:
    """Sockets at the port that a process holds or that somebody listens on. What the kernel keeps
    for a while of a closed connection has no inode."""
    found = []
    for line in table.strip().splitlines()[1:]:
        fields = line.split()
        local, remote, state, inode = fields[1], fields[2], fields[3], fields[9]
        ports = {int(end.rpartition(":")[2], 16) for end in (local, remote)}
        if inode != "0" and state != STATE_TIME_WAIT and (port in ports or port == 0):
            found.append(f"TCP {local} -> {remote} in state {state}")
    return found


def left_behind(job: Job, port: int | None, before: set[str]) -> list[str]:
    """Waits for the end of the job's processes; what is there still."""
    left = [f"process {pid} ({name})" for pid, name in left_after(job.mark, GONE_AFTER).items()]
    left += [f"/dev/shm/{name}" for name in sorted(shared_memory() - before)]
    left += [f"file {path.name}" for path in sorted(job.scratch.iterdir())]
    if port is not None:
        left += sockets_of_tcp(Path("/proc/net/tcp").read_text(), port)
    return left
