"""What the programs of the tests share."""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

MARK = "REPORT "
PF_EXITING = 0x4  # of the kernel's flags of a thread

# Threads that are not on the way from an event to a caller's return.
OFF_THE_WAY = ("fdl-heartbeat",)

Delays = dict[str, float]


def delayed(pid: int | None = None) -> Delays:
    """Seconds for which each thread of a process that may be on the way from an event to a caller's
    return, its first one and the library's, stood ready while the machine ran others.

    What is promised in time is promised of a machine that is free; on a busy one it may be late by
    what the threads on the way had to wait (`late`). Of a process that has ended: its first thread.
    """
    first = str(pid or os.getpid())
    waited = {}
    for task in Path(f"/proc/{first}/task").iterdir():
        try:
            name = (task / "comm").read_text().strip()
            if task.name == first or (name.startswith("fdl-") and name not in OFF_THE_WAY):
                waited[task.name] = int((task / "schedstat").read_text().split()[1]) * 1e-9
        except OSError:  # the thread has ended meanwhile
            continue
    return waited


def late(before: Delays, after: Delays) -> float:
    """How long the thread waited that had to wait the longest."""
    return max((waited - before.get(thread, 0.0) for thread, waited in after.items()), default=0.0)


def threads() -> dict[int, str]:
    """Names of this process's threads, by number. One that has been joined may be listed for a
    moment longer, on its way out: it is none any more."""
    found = {}
    for task in Path("/proc/self/task").iterdir():
        try:
            name, _, state = (task / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:  # it has ended meanwhile
            continue
        if not int(state.split()[6]) & PF_EXITING:
            found[int(task.name)] = name
    return found


def report(rank: int, **values: Any) -> None:
    print(MARK + json.dumps({"rank": rank, "delayed": delayed(), **values}), flush=True)


def on_entry(function: Callable[..., Any], tell: Callable[[], None]) -> None:
    """Calls `tell` once, when this thread next enters `function`."""

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code is inspect.unwrap(function).__code__:
            sys.setprofile(None)
            tell()

    sys.setprofile(profile)
