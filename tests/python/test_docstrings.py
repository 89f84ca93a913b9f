"""What help() says: every parameter, of the function itself or of the one that it refers to."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

import farandole

MODULES = [farandole]
try:
    import farandole.torch

    MODULES.append(farandole.torch)
except ImportError:
    pass


def functions() -> list[Any]:
    return [
        pytest.param(module, name, id=f"{module.__name__}.{name}")
        for module in MODULES
        for name in module.__all__
        if inspect.isroutine(getattr(module, name))
    ]


def described(text: str) -> set[str]:
    """Names before the colon of a paragraph: "name, process_set: ..."."""
    groups = re.findall(r"^(\w+(?:,\s+\w+)*):\s", text, flags=re.MULTILINE)
    return {name for group in groups for name in re.split(r",\s+", group)}


def leads(module: Any, text: str) -> list[Callable[..., Any]]:
    """The functions of the module that a docstring refers to."""
    named = re.findall(r"``(\w+)``", text)
    return [getattr(module, name) for name in named if inspect.isroutine(getattr(module, name, 0))]


def undescribed(module: Any, function: Callable[..., Any]) -> set[str]:
    text = inspect.getdoc(function) or ""
    known = described(text)
    if text.startswith("Starts "):
        known |= set().union(*(described(inspect.getdoc(f) or "") for f in leads(module, text)))
    return set(inspect.signature(function).parameters) - known


@pytest.mark.parametrize(("module", "name"), functions())
def test_every_parameter_is_described(module: Any, name: str) -> None:
    assert undescribed(module, getattr(module, name)) == set()


@pytest.mark.parametrize(("module", "name"), functions())
def test_references_lead_to_one_that_says_it_all(module: Any, name: str) -> None:
    """Errors and threads stand with allreduce, to which the others lead."""
    function = getattr(module, name)
    text = inspect.getdoc(function) or ""
    if "as for ``" not in text and not text.startswith("Starts "):
        return
    seen: set[Any] = set()
    queue = [function]
    while queue:
        one = queue.pop()
        if one not in seen:
            seen.add(one)
            queue += leads(module, inspect.getdoc(one) or "")
    assert module.allreduce in seen


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_allreduce_names_dtypes_operations_errors_and_threads(module: Any) -> None:
    text = inspect.getdoc(module.allreduce) or ""
    dtypes = "uint8 int8 uint16 int16 int32 int64 float16 bfloat16 float32 float64 bool complex64"
    errors = "InvalidArgument Unsupported Mismatch PeerLost Timeout Aborted OperatingSystem"
    words = [
        *f"{dtypes} complex128 Average Sum Product Min Max Adasum thread".split(),
        *(f"{error}Error" for error in f"{errors} NotInitialized".split()),
    ]
    assert [word for word in words if word not in text] == []


def test_the_check_notices() -> None:
    def function(tensor: Any, name: str) -> None:
        """Adds.

        tensor: what is added.
        """

    assert undescribed(farandole, function) == {"name"}
