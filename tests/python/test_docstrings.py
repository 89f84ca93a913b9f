"""What help() says: of functions every parameter, there or where it leads; of classes what can be
made of them and done with them; of each module what it is for."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import farandole
import farandole.data
import farandole.timeline

MODULES = [farandole]
# Of their classes programs have instances.
WITH_CLASSES: list[ModuleType] = [farandole, farandole.data, farandole.timeline]
MADE_BY_FUNCTIONS: list[type] = [farandole.Handle]
try:
    import farandole.torch
    from farandole.torch.optimizer import _DistributedOptimizer

    MODULES.append(farandole.torch)
    WITH_CLASSES.append(farandole.torch)
    MADE_BY_FUNCTIONS.append(_DistributedOptimizer)
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


def classes() -> list[Any]:
    every = {
        each
        for module in WITH_CLASSES
        for each in (getattr(module, name) for name in module.__all__)
        if inspect.isclass(each)
    }
    named = {f"{each.__module__}.{each.__name__}": each for each in {*every, *MADE_BY_FUNCTIONS}}
    return [pytest.param(named[name], id=name) for name in sorted(named)]


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that are not those of a library."""
    for name in (each for each in dir(kind) if not each.startswith("_")):
        home = next(base for base in kind.__mro__ if name in vars(base))
        given = vars(home)[name]
        can = isinstance(given, (property, staticmethod, classmethod)) or inspect.isfunction(given)
        if can and home.__module__.startswith("farandole"):
            yield name, given if isinstance(given, property) else getattr(kind, name)


def silent(kind: type) -> set[str]:
    """What help() does not say of a class: "" for what it is itself, its members without a text,
    and the parameters of those and of the constructor that their texts do not mention."""
    text = vars(kind).get("__doc__") or ""
    missing = set() if text[:1].isupper() and "." in text else {""}
    constructor = vars(kind).get("__init__")
    if constructor and kind not in MADE_BY_FUNCTIONS:
        both = text + (constructor.__doc__ or "")
        missing |= {f"({name})" for name in unmentioned(kind, both)}
    for name, member in members(kind):
        told = inspect.getdoc(member) or ""
        missing |= set() if told else {name}
        if told and not isinstance(member, property):
            missing |= {f"{name}({parameter})" for parameter in unmentioned(member, told)}
    return missing


def unmentioned(function: Any, text: str) -> set[str]:
    """Of a method or a class; ``*args`` are another one's."""
    other = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    known = {*re.findall(r"\w+", text), "self"}
    return {p.name for p in parameters if p.kind not in other} - known


@pytest.mark.parametrize("kind", classes())
def test_classes_and_what_they_do_are_described(kind: type) -> None:
    assert silent(kind) == set()


def modules() -> list[str]:
    found = [each.name for each in pkgutil.walk_packages(farandole.__path__, "farandole.")]
    private = re.compile(r"\.(_|bootstrap\b)")
    return ["farandole", *(name for name in found if not private.search(name))]


@pytest.mark.parametrize("name", modules())
def test_modules_say_what_they_are_for(name: str) -> None:
    if name.startswith("farandole.torch") and len(MODULES) == 1:
        pytest.skip("torch is not installed")
    text = importlib.import_module(name).__doc__ or ""
    assert text[:1].isupper() or text[:1] in '`"', text
    assert "." in text or ":" in text, text


def test_the_check_of_classes_notices() -> None:
    class Odd:
        def __init__(self, size: int) -> None: ...

        def told(self, where: str) -> None:
            """Goes."""

        def untold(self) -> None: ...

        @property
        def place(self) -> int:
            return 0

    Odd.__module__ = "farandole.odd"
    assert silent(Odd) == {"", "(size)", "told(where)", "untold", "place"}


def test_the_check_notices() -> None:
    def function(tensor: Any, name: str) -> None:
        """Adds.

        tensor: what is added.
        """

    assert undescribed(farandole, function) == {"name"}
