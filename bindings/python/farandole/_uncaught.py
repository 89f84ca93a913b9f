"""What ended the program, when the interpreter ends."""

from __future__ import annotations

import sys


def name_of_uncaught() -> str | None:
    """The exception that ends the program. The interpreter notes one that nobody caught before
    it runs what atexit has; so do test runners and consoles for those that they caught, which
    therefore did not pass through a frame that nobody called. One at the interpreter's prompt ends
    nothing."""
    uncaught = getattr(sys, "last_type", None)
    trace = getattr(sys, "last_traceback", None)
    caught = trace is None or trace.tb_frame.f_back is not None
    if uncaught is None or caught or hasattr(sys, "ps1"):
        return None
    return str(uncaught.__name__)
