"""Functions of this package and ``torch.compile``."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


def eager(function: F) -> F:
    """The same as a function of ``farandole.torch``, before and after which ``torch.compile`` ends
    a graph: what runs between ranks cannot be recorded and run again."""
    uncompiled: list[Any] = []  # made when it is needed: it imports the whole compiler

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if "torch._dynamo" not in sys.modules:
            return function(*args, **kwargs)
        if not uncompiled:
            uncompiled.append(sys.modules["torch._dynamo"].disable(function))
        return uncompiled[0](*args, **kwargs)

    call.__module__ = "farandole.torch"
    call.__qualname__ = function.__name__
    return cast(F, call)
