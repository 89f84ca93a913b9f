"""The processes of a job, by a mark in their environment, whatever program started them.

A process that another program just takes the place of shows an empty environment for a moment: who
looks for one that it has started itself waits for a word of it first. So does one that ends, which
still has its sockets then: who looks at what is left waits for the end of all that it has seen.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterable
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
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return  # it has ended; a thread may have its number by now
    try:
        select.select([process], [], [], seconds)
    finally:
        os.close(process)


def left_after(mark: str, seconds: float, known: Iterable[int] = ()) -> dict[int, str]:
    """Waits for the end of all marked processes, and of those that are known; those of the marked
    that are still there."""
    deadline = time.monotonic() + seconds
    for pid in known:
        await_end(pid, max(0.0, deadline - time.monotonic()))
    while (left := marked(mark)) and time.monotonic() < deadline:
        for pid in left:
            await_end(pid, max(0.0, deadline - time.monotonic()))
    return left
