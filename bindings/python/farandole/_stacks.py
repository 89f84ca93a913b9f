"""Where the threads of this process are, for the log of a rank that waits for them."""

from __future__ import annotations

import linecache
import threading
import traceback

_THREADS = 16
_BYTES = 15_000

# File, line and function.
Call = tuple[str, int, str]


def all_stacks(threads: list[tuple[int, list[Call], bool]]) -> str:
    """The main thread first, then the others; of each the innermost calls, which stand last.

    threads: of each its number, its innermost calls, the innermost first, and whether there are
    more. Those are no frames: who holds a frame keeps alive what is in it.
    """
    own, main = threading.get_ident(), threading.main_thread().ident
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    others = [thread for thread in threads if thread[0] != own]
    others.sort(key=lambda thread: (thread[0] != main, names.get(thread[0], "")))
    lines = []
    for ident, calls, more in others[:_THREADS]:
        lines.append(f"thread {names.get(ident, ident)}:")
        lines += _lines(calls, more)
    if len(others) > _THREADS:
        lines.append(f"and {len(others) - _THREADS} more threads")
    return "\n".join(lines).encode(errors="backslashreplace")[:_BYTES].decode(errors="ignore")


def _lines(calls: list[Call], more: bool) -> list[str]:
    for file in {file for file, _, _ in calls}:
        linecache.checkcache(file)
    shown = [traceback.FrameSummary(*call) for call in reversed(calls)]
    return ["  ... calls before"] * more + [
        line for call in traceback.format_list(shown) for line in call.rstrip().splitlines()
    ]
