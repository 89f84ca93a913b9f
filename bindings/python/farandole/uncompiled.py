"""Functions of this package and ``torch.compile``, which is known here by its name alone."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from farandole._frames import shortened
from farandole.errors import FarandoleError

F = TypeVar("F", bound=Callable[..., Any])
Refused = Callable[[TypeError, tuple[Any, ...], Mapping[str, Any]], None]


def uncompiled(function: F, refused: Refused | None = None) -> F:
    """The same function or method, before and after which ``torch.compile`` ends a graph: what runs
    between ranks cannot be recorded and run again. Of its errors the traceback has the program's
    calls alone.

    refused: told of the TypeError and the arguments of each call that does not fit the function's
        signature, before the caller gets it; raises nothing.
    """
    disabled: list[Any] = []  # made when it is needed: it imports the whole compiler

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        compiler = sys.modules.get("torch._dynamo")
        if compiler is not None and not disabled:
            # Else it is compiled itself, anew for each tensor's shape, until the compiler gives up.
            getattr(compiler.decorators, "skip", lambda _: None)(call)
            disabled.append(compiler.disable(function))
        try:
            return (disabled[0] if compiler else function)(*args, **kwargs)
        except FarandoleError as error:
            raise shortened(error)
        except TypeError as error:
            if refused is not None and not _fits(function, args, kwargs):
                refused(error, args, kwargs)
            raise

    call._torchdynamo_disable = True  # type: ignore[attr-defined]  # no graph contains it
    return cast(F, call)


def _fits(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return False
    return True
