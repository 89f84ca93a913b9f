"""What a process uses: everything that a leak could hide in."""

from __future__ import annotations

import ctypes
import gc
import os
import re
from collections import Counter
from pathlib import Path

from common import threads


def usage() -> dict[str, int]:
    """`memory`: resident bytes that are not a file's: of its own, shared (a segment that stays
    mapped), swapped out; without what allocators merely keep. `mappings`: also those that nobody
    has touched. `descriptors`, `threads`."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    kibibytes = (int(fields[name].split()[0]) for name in ("RssAnon", "RssShmem", "VmSwap"))
    return {
        "memory": sum(kibibytes) * 1024,
        "mappings": Path("/proc/self/maps").read_text().count("\n"),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": len(threads()),
    }


def open_files() -> dict[str, int]:
    """How many descriptors of each kind: `socket`, `anon_inode:[eventpoll]`, the path of a file."""
    found: Counter[str] = Counter()
    for entry in os.scandir("/proc/self/fd"):
        try:
            target = os.readlink(entry.path)
        except FileNotFoundError:  # the one with which the folder was read
            continue
        found[re.sub(r":\[\d+\]$", "", target)] += 1
    return dict(found)
