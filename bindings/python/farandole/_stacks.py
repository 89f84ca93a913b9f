"""Where the threads of this process are, for the log of a rank that waits for them."""

from __future__ import annotations

import sys
import threading
import traceback
from types import FrameType

_THREADS = 16
_FRAMES = 20
_BYTES = 15_000


def all_stacks() -> str:
    """The main thread first, then the others; of each the innermost calls, which stand last."""
    own, main = threading.get_ident(), threading.main_thread().ident
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = {ident: frame for ident, frame in sys._current_frames().items() if ident != own}
    order = sorted(frames, key=lambda ident: (ident != main, names.get(ident, "")))
    lines = []
    for ident in order[:_THREADS]:
        lines.append(f"thread {names.get(ident, ident)}:")
        lines += _calls(frames[ident])
    if len(order) > _THREADS:
        lines.append(f"and {len(order) - _THREADS} more threads")
    return "\n".join(lines).encode(errors="backslashreplace")[:_BYTES].decode(errors="ignore")


def _calls(frame: FrameType) -> list[str]:
    stack = traceback.extract_stack(frame)
    shown = stack[-_FRAMES:]
    left_out = [f"  ... {len(stack) - len(shown)} calls before"] if len(stack) > len(shown) else []
    return left_out + [
        line for call in traceback.format_list(shown) for line in call.rstrip().splitlines()
    ]
