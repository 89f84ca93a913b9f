"""Functions of this package that users call, and ``torch.compile``."""

from __future__ import annotations

from typing import Any, TypeVar

from farandole.uncompiled import uncompiled

F = TypeVar("F")


def eager(function: F) -> F:
    """The same as a function of ``farandole.torch``, and uncompiled."""
    call: Any = uncompiled(function)  # type: ignore[type-var]
    call.__module__ = "farandole.torch"
    call.__qualname__ = call.__name__
    made: F = call
    return made
