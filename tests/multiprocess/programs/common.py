"""What the programs of the tests share."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

MARK = "REPORT "


def delayed(pid: int | None = None) -> float:
    """Seconds for which threads of a process stood ready while the machine ran others.

    What is promised in time is promised of a machine that is free; on a busy one it may be late by
    as much as this. Counts the threads that live; of a process that has ended, its first one.
    """
    waited = 0
    for task in Path(f"/proc/{pid or os.getpid()}/task").glob("*/schedstat"):
        try:
            waited += int(task.read_text().split()[1])
        except OSError:  # the thread has ended meanwhile
            continue
    return waited * 1e-9


def report(rank: int, **values: Any) -> None:
    print(MARK + json.dumps({"rank": rank, "delayed": delayed(), **values}), flush=True)
