"""Calls that Python refuses, since they do not fit the function's signature, take the automatic
name that a right one takes: other ranks' calls may be right."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import farandole as fdl
from farandole import _native, _session

MODULES = [fdl]
try:
    import farandole.torch

    MODULES.append(farandole.torch)
except ImportError:  # this Python has no torch
    pass

pytestmark = pytest.mark.timeout(60)

# By the beginnings of the names, the longer first.
KINDS = {
    "allgather": _native.ALLGATHER,
    "allreduce": _native.ALLREDUCE,
    "alltoall": _native.ALLTOALL,
    "average_metrics": _native.ALLGATHER,
    "barrier": _native.BARRIER,
    "broadcast": _native.BROADCAST,
    "gather": _native.GATHER,
    "reducescatter": _native.REDUCESCATTER,
    "reduce": _native.REDUCE,
    "scatter": _native.SCATTER,
    "sparse_allreduce": _native.ALLGATHER,
}
# Among several ranks they are in tests/multiprocess/programs/refused.py.
MESSAGES = ("send", "recv")


def functions(*, messages: bool = False) -> list[Any]:
    """Those that take automatic names. Whoever adds one finds it here by its arguments."""
    found = []
    for module in MODULES:
        for name in module.__all__:
            function = getattr(module, name)
            if not inspect.isfunction(function):
                continue
            takes = "name" in inspect.signature(function).parameters or name.startswith("barrier")
            if takes and (messages or not name.removeprefix("grouped_").startswith(MESSAGES)):
                found.append(pytest.param(module, name, id=f"{module.__name__}.{name}"))
    return found


def count(name: str) -> int:
    """The number of the next automatic name, which is taken by asking."""
    what = name.removeprefix("grouped_")
    kind = next(kind for begin, kind in KINDS.items() if what.startswith(begin))
    return int(_session.current().next_name(kind).rpartition(".")[2])


def right(function: Callable[..., Any]) -> dict[str, Any]:
    """Every argument that has to be given; values do not matter, since no call begins."""
    required = [
        name
        for name, one in inspect.signature(function).parameters.items()
        if one.default is inspect.Parameter.empty
    ]
    return {name: None if name == "name" else np.ones(2) for name in required}


def one_too_many(function: Callable[..., Any]) -> list[Any]:
    given = {
        name: one.default
        for name, one in inspect.signature(function).parameters.items()
        if one.kind is one.POSITIONAL_OR_KEYWORD
    }
    return [*{**given, **right(function)}.values(), 1]


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(TypeError) as caught:
        call()
    assert type(caught.value) is TypeError
    return str(caught.value)


def test_all_of_them_are_found() -> None:
    names = {param.values[1] for param in functions(messages=True)}
    assert {"allgather", "grouped_reduce_async_", "barrier_async", "send", "grouped_recv"} <= names
    assert {"average_metrics", "allgather_object", "broadcast_object"} <= names
    assert ("sparse_allreduce_async" in names) == (len(MODULES) == 2)


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize(("module", "name"), functions())
def test_a_refused_call_takes_one_name(module: ModuleType, name: str) -> None:
    function = getattr(module, name)
    good = right(function)
    wrong: list[Callable[[], Any]] = [
        lambda: function(**good, nam="x"),
        lambda: function(*good.values(), nam="x"),
        lambda: function(*one_too_many(function)),
    ]
    if good:
        wrong += [function, lambda: function(*good.values(), **good)]
    for call in wrong:
        before = count(name)
        assert refused(call).startswith(f"{name}() "), "and not the class that has it"
        assert count(name) == before + 2
    if "name" in inspect.signature(function).parameters:
        named = {**good, "name": "x"}
        before = count(name)
        refused(lambda: function(**named, nonsense=1))
        assert count(name) == before + 1, "what has a name takes none"
    for key in ("process_set", "proces_set"):
        before = count(name)
        refused(functools.partial(function, **good, nonsense=1, **{key: fdl.ProcessSet([7])}))
        assert count(name) == before + 1, "what names no process set counts in none"


@pytest.mark.parametrize(("module", "name"), functions(messages=True))
def test_without_a_session_the_mistake_is_what_is_told(module: ModuleType, name: str) -> None:
    function = getattr(module, name)
    assert "nam" in refused(lambda: function(**right(function), nam="x"))


@pytest.mark.usefixtures("session")
def test_a_type_error_of_what_is_called_changes_nothing() -> None:
    class Broken(fdl.Compressor):
        @staticmethod
        def compress(tensor: Any) -> Any:
            raise TypeError("of the user's own")

    before = count("allreduce")
    assert refused(lambda: fdl.allreduce(np.ones(2), compression=Broken)) == "of the user's own"
    assert count("allreduce") == before + 2, "as every call"


@pytest.mark.usefixtures("session")
@pytest.mark.skipif(len(MODULES) == 1, reason="without torch nothing is compiled")
def test_where_the_compiler_is_loaded() -> None:
    importlib.import_module("torch._dynamo")
    for module in MODULES:
        before = count("allgather")
        assert refused(module.allgather).startswith("allgather() missing")
        assert count("allgather") == before + 2
