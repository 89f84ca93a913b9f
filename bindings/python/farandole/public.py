"""Functions as users call them: of a package, never compiled, and counted where Python refuses the
call, too.

What does not fit a function's signature never gets to its first line, where the automatic name is
taken. Other ranks' calls may be right, and theirs is the name that they take: this rank's has to go
the same way, or its later calls would meet others of theirs.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from farandole import _native
from farandole.calls import named, recv_call, send_call
from farandole.process_sets import ProcessSet, global_process_set
from farandole.uncompiled import uncompiled

F = TypeVar("F", bound=Callable[..., Any])

# By which kind of name each function takes, in whichever form: grouped, _async, in place.
_KINDS = {
    "allreduce": _native.ALLREDUCE,
    "allgather": _native.ALLGATHER,
    "broadcast": _native.BROADCAST,
    "reducescatter": _native.REDUCESCATTER,
    "alltoall": _native.ALLTOALL,
    "reduce": _native.REDUCE,
    "gather": _native.GATHER,
    "scatter": _native.SCATTER,
    "barrier": _native.BARRIER,
    "allgather_object": _native.ALLGATHER,
    "average_metrics": _native.ALLGATHER,
    "sparse_allreduce": _native.ALLGATHER,
    "broadcast_object": _native.BROADCAST,
}


def public(function: F, package: str = "farandole") -> F:
    """The same as a function of that package, uncompiled, whose calls count however they end."""

    def refused(error: TypeError, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        text = str(error).replace(f"{function.__qualname__}()", f"{function.__name__}()", 1)
        error.args = (text,)
        # Whatever is wrong here as well, as where there is no session: the caller's mistake is
        # what the caller reads.
        with contextlib.suppress(Exception):
            parameters = inspect.signature(function).parameters
            _count(function.__name__, _given(parameters, args, kwargs))

    call = uncompiled(function, refused)
    call.__module__ = package
    call.__qualname__ = call.__name__
    return call


def _given(
    parameters: Mapping[str, inspect.Parameter], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """What has a place among the arguments of a call that does not fit. A process set without one
    is meant as such all the same, under a misspelt name, say."""
    places = [n for n, p in parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    given = {n: value for n, value in kwargs.items() if n in parameters}
    given.update(zip(places, args, strict=False))
    others = [*args[len(places) :], *(v for n, v in kwargs.items() if n not in parameters)]
    sets = (value for value in others if isinstance(value, ProcessSet))
    given.setdefault("process_set", next(sets, global_process_set))
    return given


def _count(function: str, given: Mapping[str, Any]) -> None:
    """Takes the name that the function would have taken. Of a message without its other end none:
    each pair of ranks counts for itself."""
    what = function.removeprefix("grouped_").removesuffix("_").removesuffix("_async")
    name, process_set = given.get("name"), given["process_set"]
    if what == "send" and "dest" in given:
        send_call(given["dest"], name, process_set)
    elif what == "recv" and "source" in given:
        recv_call(given["source"], name, process_set)
    elif what in _KINDS:
        named(_KINDS[what], name, process_set)
