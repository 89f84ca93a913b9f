"""Functions of this package that users call, and ``torch.compile``."""

from __future__ import annotations

from typing import Any, TypeVar

from farandole.public import public

F = TypeVar("F")


def eager(function: F) -> F:
    """The same as a function of ``farandole.torch``, and uncompiled."""
    made: Any = public(function, "farandole.torch")  # type: ignore[type-var]
    call: F = made
    return call
