"""Where the threads of this process are, for the log of a rank that waits for them."""

from __future__ import annotations

import linecache
import threading
import traceback

from farandole._frames import of_program

_THREADS = 16
_BYTES = 15_000
# Calls of a thread that are told: those with which it began, which are the program's own, and the
# innermost, where it stands.
_FIRST, _LAST = 8, 16

# File, line and function.
Call = tuple[str, int, str]
# Number, innermost calls (the innermost first), how many were left out behind them, outermost
# calls (the outermost last).
Thread = tuple[int, list[Call], int, list[Call]]


def all_stacks(threads: list[Thread]) -> str:
    """The main thread first, then the others; of each the program's calls, the innermost last.

    Those given are no frames: who holds a frame keeps alive what is in it.
    """
    own, main = threading.get_ident(), threading.main_thread().ident
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    others = [thread for thread in threads if thread[0] != own]
    others.sort(key=lambda thread: (thread[0] != main, names.get(thread[0], "")))
    lines = []
    for ident, inner, left_out, outer in others[:_THREADS]:
        lines.append(f"thread {names.get(ident, ident)}:")
        lines += _lines(inner, left_out, outer)
    if len(others) > _THREADS:
        lines.append(f"and {len(others) - _THREADS} more threads")
    return "\n".join(lines).encode(errors="backslashreplace")[:_BYTES].decode(errors="ignore")


def _lines(inner: list[Call], left_out: int, outer: list[Call]) -> list[str]:
    calls = [*reversed(outer), *reversed(inner)]
    # A thread of Farandole's own is told as it is.
    places = of_program([file for file, _, _ in calls]) or range(len(calls))
    kept = [calls[place] for place in places]
    first, last = kept, []
    if left_out:
        begun = sum(place < len(outer) for place in places)
        first, last = kept[:begun][:_FIRST], kept[begun:][-_LAST:]
    elif len(kept) > _FIRST + _LAST:
        first, last = kept[:_FIRST], kept[-_LAST:]
    between = left_out + len(kept) - len(first) - len(last)
    return [*_told(first), *([f"  ... {between} calls"] if between else []), *_told(last)]


def _told(calls: list[Call]) -> list[str]:
    for file in {file for file, _, _ in calls}:
        linecache.checkcache(file)
    shown = [traceback.FrameSummary(*call) for call in calls]
    return [line for call in traceback.format_list(shown) for line in call.rstrip().splitlines()]
