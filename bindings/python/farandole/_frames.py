"""Which calls of a stack are the program's: users read those, and not the ones within Farandole."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import TypeVar

from farandole.errors import FarandoleError, InternalError

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
# What torch's compiler puts around a function that it is not to compile (see uncompiled.py).
_WRAPPER = os.path.join("torch", "_dynamo", "eval_frame.py")
# What finds and starts a script for ``python -m``, and what begins a thread.
_STARTS = ("<frozen runpy>", threading.__file__)

Error = TypeVar("Error", bound=FarandoleError)


def of_program(files: Sequence[str]) -> list[int]:
    """The places of the program's calls among those of these files, the outermost first."""
    places: list[int] = []
    within = False  # the call that this one makes is left out
    for place in range(len(files) - 1, -1, -1):
        file = files[place]
        within = file.startswith(_PACKAGE) or (within and file.endswith(_WRAPPER))
        if not within:
            places.append(place)
    places.reverse()
    while places and files[places[0]] in _STARTS:
        del places[0]
    return places


def shortened(error: Error) -> Error:
    """The same error, whose traceback has the program's calls alone. Its text says what is wrong;
    a defect of Farandole keeps all of it."""
    if isinstance(error, InternalError):
        return error
    traces: list[TracebackType] = []
    trace = error.__traceback__
    while trace is not None:
        traces.append(trace)
        trace = trace.tb_next
    kept: TracebackType | None = None
    for place in reversed(of_program([one.tb_frame.f_code.co_filename for one in traces])):
        one = traces[place]
        kept = TracebackType(kept, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return error.with_traceback(kept)
