"""Tensors of one group that share memory: results of several would go to the same place."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from farandole import _native
from farandole.calls import Call, Options, about
from farandole.errors import InvalidArgumentError


class _Span(NamedTuple):
    """Addresses of a member's memory, the first and the one behind the last.

    written: whether its result goes there.
    """

    begin: int
    end: int
    name: str
    written: bool


def check_apart(call: Call, members: Sequence[tuple[str, Any, Any]], options: Options) -> None:
    """Refuses a group of which one member's result would go to what is another's, too: members
    travel together, and what came out would be neither's. But for a broadcast in place, of which
    all get what is the root's: a model's state_dict() may have a tensor twice.

    members: names, what is sent, and where results go, or None where Farandole allocates it.
    """
    if options.out is None and (not options.in_place or call.kind == _native.BROADCAST):
        return
    spans = []
    for name, source, memory in members:
        target = source if options.in_place else memory  # on the root alone, of some
        spans.append(_span(name, target, True))
        if target is not source:
            spans.append(_span(name, source, False))
    written = reaching = _Span(0, 0, "", False)  # of those before, what reaches farthest
    for span in sorted(span for span in spans if span is not None and span.begin < span.end):
        other = reaching if span.written else written
        if span.begin < other.end and span.name != other.name:
            error = InvalidArgumentError(
                f'it shares memory with "{other.name}", and a result goes there; give each tensor '
                "of a group memory of its own"
            )
            raise about(call, span.name, error)
        reaching = max(reaching, span, key=_end)
        written = max(written, span, key=_end) if span.written else written


def _end(span: _Span) -> int:
    return span.end


def _span(name: str, memory: Any, written: bool) -> _Span | None:
    """None of what does not tell where it is."""
    if hasattr(memory, "data_ptr"):
        begin = memory.data_ptr()
        return _Span(begin, begin + memory.numel() * memory.element_size(), name, written)
    with contextlib.suppress(TypeError, ValueError):  # no buffer, or one that is not contiguous
        array = memory if isinstance(memory, np.ndarray) else np.asarray(memoryview(memory))
        begin = array.ctypes.data
        return _Span(begin, begin + array.nbytes, name, written)
    return None
