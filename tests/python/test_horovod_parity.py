"""docs/horovod.md, Horovod's signatures (horovod_facts.json) and the functions agree."""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import farandole
import farandole.data

torch = pytest.importorskip("torch")

import farandole.torch as hvd  # noqa: E402
import farandole.torch.compression as hvd_compression  # noqa: E402

HERE = Path(__file__).resolve()
FACTS: dict[str, Any] = json.loads((HERE.parent / "horovod_facts.json").read_text())
PAGE = (HERE.parents[2] / "docs/horovod.md").read_text()
# What a default is called there, where Python shows it otherwise.
CALLED = {
    "Compression.none": hvd.Compression.none,
    "global_process_set": hvd.global_process_set,
    "Average": hvd.Average,
}


def tables() -> dict[str, list[list[str]]]:
    """The page's tables by the heading that they stand under, each row as its cells."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in PAGE.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            found.setdefault(heading, []).append(cells)
    return {heading: rows[2:] for heading, rows in found.items()}  # below titles and rule


TABLES = tables()


def named(heading: str) -> dict[str, tuple[str, str]]:
    """Name -> state and note; a row may speak of several names."""
    rows: dict[str, tuple[str, str]] = {}
    for what, state, note in TABLES[heading]:
        for name in re.findall(r"`(\w+)", what):
            assert name not in rows, f"{name} stands in two rows"
            rows[name] = (state, note)
    return rows


FUNCTIONS = named("Functions and classes")


def written(name: str) -> list[list[str]]:
    """The signatures that the page gives a name."""
    return [
        [part.strip() for part in found.split(",") if part.strip()]
        for what, _, _ in TABLES["Functions and classes"]
        for found in re.findall(rf"`{name}\(([^`]*)\)`", what)
    ]


def shown(parameter: inspect.Parameter) -> str:
    if parameter.default is inspect.Parameter.empty:
        return parameter.name
    default = next((k for k, v in CALLED.items() if v is parameter.default), None)
    return f"{parameter.name}={default or repr(parameter.default)}"


def parameters(value: Any) -> list[inspect.Parameter]:
    named = inspect.signature(value).parameters.values()
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [parameter for parameter in named if parameter.kind not in variadic]


def begins_alike(value: Any, signature: list[str]) -> None:
    """Horovod's arguments come first, in its order and with its defaults; ours have defaults."""
    ours = parameters(value)
    assert [shown(parameter) for parameter in ours[: len(signature)]] == signature
    assert all(p.default is not inspect.Parameter.empty for p in ours[len(signature) :])


def test_the_page_names_what_horovod_has() -> None:
    assert set(FUNCTIONS) == {*FACTS["functions"], *FACTS["names"]}


@pytest.mark.parametrize("name", sorted({*FACTS["functions"], *FACTS["names"]}))
def test_what_the_page_says_of_a_name_is_so(name: str) -> None:
    state, note = FUNCTIONS[name]
    assert state in ("yes", "not yet", "no")
    assert hasattr(hvd, name) == (state == "yes"), f"{name}: the page says {state!r}"
    assert name not in hvd.__all__ or state == "yes"
    if state != "yes":
        assert note, "a reason"


@pytest.mark.parametrize("name", FACTS["functions"])
def test_signatures_are_horovods(name: str) -> None:
    facts = FACTS["functions"][name]
    for signature in written(name):
        assert signature == facts
    if FUNCTIONS[name][0] == "yes":
        begins_alike(getattr(hvd, name), facts)


def test_every_signature_is_on_the_page_in_some_row() -> None:
    """Forms of a function share a row, which shows the first one's."""
    first = [re.findall(r"`(\w+)\(", what) for what, _, _ in TABLES["Functions and classes"]]
    shown_names = {name for names in first for name in names}
    assert len(shown_names) > 30
    assert shown_names <= set(FACTS["functions"])


def members() -> dict[str, tuple[list[str], str, str]]:
    """Member, as in "ProcessSet.rank" ("ProcessSet." is the class) -> arguments, state and note."""
    rows: dict[str, tuple[list[str], str, str]] = {}
    for what, state, note in TABLES["Members of classes"]:
        for name, arguments in re.findall(r"`(\w+(?:\.\w+)?)(?:\(([^)]*)\))?`", what):
            key = name if "." in name else f"{name}."
            assert key not in rows, f"{key} stands in two rows"
            rows[key] = ([part for part in arguments.split(", ") if part], state, note)
    return rows


MEMBERS = members()
OWNERS: dict[str, Callable[[], Any]] = {
    "ProcessSet": lambda: hvd.ProcessSet([0]),
    "DistributedOptimizer": lambda: hvd.DistributedOptimizer(
        torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    ),
    "Compression": lambda: hvd.Compression,
    "Compressor": lambda: hvd_compression.Compressor,
    "NoneCompressor": lambda: hvd_compression.NoneCompressor,
    "FP16Compressor": lambda: hvd_compression.FP16Compressor,
}


def test_the_page_names_the_members_of_classes() -> None:
    assert set(MEMBERS) == {f"{owner}.{m}" for owner, own in FACTS["members"].items() for m in own}


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_what_the_page_says_of_a_member_is_so(name: str) -> None:
    arguments, state, note = MEMBERS[name]
    owner, _, member = name.partition(".")
    facts = FACTS["members"][owner][member]
    assert arguments == (facts or [])
    assert state in ("yes", "not yet", "no")
    assert note
    thing = OWNERS[owner]()
    if not member:
        assert [shown(p) for p in parameters(type(thing))] == ["ranks"]
        return
    assert hasattr(thing, member) == (state == "yes")
    if state == "yes" and facts is not None:
        begins_alike(getattr(thing, member), facts)


MADE_WITH: list[dict[str, Any]] = [
    {},
    {"gradient_predivide_factor": 2.0, "sparse_as_dense": True},
    {"op": hvd.Sum},
    {"op": hvd.Adasum, "sparse_as_dense": True},
]


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("given", MADE_WITH, ids=str)
def test_an_optimizer_tells_what_it_was_made_with(given: dict[str, Any]) -> None:
    parameter = torch.zeros(1, requires_grad=True)
    made = hvd.DistributedOptimizer(torch.optim.SGD([parameter], lr=0.1), **given)
    wanted = {"op": hvd.Average, "gradient_predivide_factor": 1.0, "sparse_as_dense": False}
    for optimizer in (made, copy.deepcopy(made)):
        for name, value in {**wanted, **given}.items():
            assert getattr(optimizer, name) == value
            with pytest.raises(AttributeError):
                setattr(optimizer, name, value)
        assert optimizer.process_set is hvd.global_process_set
    assert made.find_duplicates(["a", "b", "a", "c", "c"]) == {"a", "c"}
    assert made.find_duplicates(name for name in "ab") == set()


@pytest.mark.usefixtures("session")
def test_what_is_refused_is_refused_as_the_page_says() -> None:
    refused: dict[str, Callable[[], Any]] = {
        "join": lambda: hvd.join(device=0),
        "init": lambda: hvd.init(comm=[0]),
    }
    for name, call in refused.items():
        assert "`UnsupportedError`" in FUNCTIONS[name][1]
        with pytest.raises(hvd.UnsupportedError):
            call()
    absent = hvd.ProcessSet([0])
    for member in ("rank", "size", "included"):
        assert "`InvalidArgumentError`" in MEMBERS[f"ProcessSet.{member}"][2]
        with pytest.raises(hvd.InvalidArgumentError):
            getattr(absent, member)()
    assert "`InvalidArgumentError`" in MEMBERS["ProcessSet."][2]
    with pytest.raises(hvd.InvalidArgumentError):
        hvd.ProcessSet(object())  # type: ignore[arg-type]


def test_data_loaders() -> None:
    rows = named("Data")
    assert set(rows) == set(FACTS["data"])
    for name, signature in FACTS["data"].items():
        begins_alike(getattr(farandole.data, name), signature)


def test_modules() -> None:
    """Each name that scripts import from a module of Horovod, as they write it."""
    (rows,) = (TABLES[heading] for heading in TABLES if heading == "Modules")
    assert {re.findall(r"`([\w.]+)`", what)[0] for what, _ in rows} == set(FACTS["modules"])
    lines = [
        f"from {module} import {', '.join(names)}\n"
        f"import {module}\nassert {module}.{names[0]} is {names[0]}"
        for module, names in FACTS["modules"].items()
    ]
    served = ["import farandole.horovod", "farandole.horovod.serve()", *lines]
    served += ["import horovod.torch as hvd", "assert hvd.mpi_ops.allreduce is hvd.allreduce"]
    served += ["assert hvd.compression.Compressor is hvd.Compressor"]
    subprocess.run([sys.executable, "-c", "\n".join(served)], timeout=100, check=True)


def test_our_own_line_of_import_finds_the_same_modules() -> None:
    for module, names in FACTS["modules"].items():
        if module.startswith("horovod.torch."):
            found = importlib.import_module(module.replace("horovod", "farandole", 1))
            for name in names:
                value = getattr(found, name)
                assert name.startswith("_") or value is getattr(hvd, name, value)
    assert hvd.mpi_ops.allreduce is hvd.allreduce


def test_running_functions() -> None:
    (what, state, _) = TABLES["Running functions"][0]
    (signature,) = re.findall(r"`run\(([^`]*)\)`", what)
    assert re.split(r",\s*(?![^()]*\))", signature) == FACTS["run"]
    assert hasattr(farandole, "run") == (state == "yes")
    begins_alike(farandole.run, FACTS["run"])


def test_variables() -> None:
    rows = named("Variables of the environment")
    assert set(rows) == set(FACTS["variables"])
    config = (HERE.parents[2] / "docs/config.md").read_text()
    for name, (state, note) in rows.items():
        assert state in ("same", "set by the launcher", "always so", "no effect")
        assert (f"`{name}`" in config) == (state == "same"), name
        assert note or state not in ("always so", "no effect")


def test_variables_of_the_build_have_no_effect() -> None:
    rows = named("Variables of the build")
    assert set(rows) == set(FACTS["variables of the build"])
    assert {state for state, _ in rows.values()} == {"no effect"}


def test_variables_without_effect_are_named_with_a_reason() -> None:
    """Whatever asks for what is not there, or is not so, is told why it has no effect, and nothing
    is said of what is always so."""
    rows = named("Variables of the environment")
    without = {name for name, (state, _) in rows.items() if state == "no effect"}
    always = {name for name, (state, _) in rows.items() if state == "always so"}
    assert always
    assert len(without) > 20
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FARANDOLE_", "HOROVOD_"))}
    result = subprocess.run(
        [sys.executable, "-c", "import farandole; farandole.init()"],
        env={**kept, **dict.fromkeys(without | always, "no")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told = re.findall(r"warning: variable (\w+) has no effect: .+; ", result.stderr)
    assert sorted(told) == sorted(without)
