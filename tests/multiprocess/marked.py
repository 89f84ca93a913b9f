"""The processes of a job, by a mark in their environment, whatever program started them.

A process that another program just takes the place of shows an empty environment for a moment: who
looks for one that it has started itself waits for a word of it first.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from pathlib import Path


def marked(mark: str) -> dict[int, str]:
    """Names of the living processes that have the mark in their environment."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark.encode() in (entry / "environ").read_bytes():
                found[int(entry.name)] = (entry / "comm").read_text().strip()
        except OSError:
            continue  # it has ended, or is not ours
    return found


def await_end(pid: int, seconds: float) -> None:
    """Returns when the process, of whatever parent, has ended, or when the time is over."""
    with contextlib.suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        try:
            select.select([process], [], [], seconds)
        finally:
            os.close(process)


def left_after(mark: str, seconds: float) -> dict[int, str]:
    """Waits for the end of all marked processes; those that are still there."""
    deadline = time.monotonic() + seconds
    while (left := marked(mark)) and (patience := deadline - time.monotonic()) > 0:
        await_end(min(left), patience)
    return left
