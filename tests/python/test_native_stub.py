"""_native.pyi says exactly what the extension module has."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import farandole
from farandole import _native

STUB = ast.parse((Path(farandole.__file__).parent / "_native.pyi").read_text())


def parameters(function: ast.FunctionDef) -> list[tuple[str, bool]]:
    """Names of a stub's parameters, and whether each has a default."""
    names = [argument.arg for argument in function.args.args]
    required = len(names) - len(function.args.defaults)
    return [(name, i >= required) for i, name in enumerate(names) if name != "self"]


def documented(function: Any) -> list[tuple[str, bool]]:
    """The same of a function of the module, from the signature that pybind11 wrote down."""
    signature = (function.__doc__ or "").splitlines()[0]
    inner = signature[signature.index("(") + 1 : signature.rindex(")")]
    inner = re.sub(r"\[[^\[\]]*(\[[^\[\]]*\][^\[\]]*)*\]", "", inner)
    parts = [part for part in inner.split(", ") if ":" in part]
    return [(part.split(":")[0], "=" in part) for part in parts if not part.startswith("self:")]


def public(names: Any) -> set[str]:
    return {name for name in names if not name.startswith("_") or name == "__version__"}


def test_names_of_the_module() -> None:
    stubbed = {node.name for node in STUB.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    stubbed |= {node.target.id for node in STUB.body if isinstance(node, ast.AnnAssign)}  # type: ignore[union-attr]
    assert public(stubbed) == public(vars(_native))


@pytest.mark.parametrize(
    "node", [n for n in STUB.body if isinstance(n, ast.FunctionDef)], ids=lambda n: n.name
)
def test_functions(node: ast.FunctionDef) -> None:
    assert parameters(node) == documented(getattr(_native, node.name))


@pytest.mark.parametrize(
    "node",
    [n for n in STUB.body if isinstance(n, ast.ClassDef) and not n.name.startswith("_")],
    ids=lambda n: n.name,
)
def test_classes(node: ast.ClassDef) -> None:
    real = getattr(_native, node.name)
    methods = {n.name: n for n in node.body if isinstance(n, ast.FunctionDef)}
    assert public(methods) == public(vars(real))
    for name, method in methods.items():
        member = inspect.getattr_static(real, name)
        if isinstance(member, property):
            assert any(ast.unparse(d) == "property" for d in method.decorator_list), name
        else:
            assert parameters(method) == documented(getattr(real, name)), name


def test_constants_are_numbers() -> None:
    for node in STUB.body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "int":
            assert isinstance(getattr(_native, ast.unparse(node.target)), int)


def test_settings_are_documented() -> None:
    rows = {row["key"]: row for row in _native.config_rows()}
    assert rows["fusion_bytes"]["variable"] == "FARANDOLE_FUSION_BYTES"
    assert rows["fusion_bytes"]["default"] == str(64 << 20)
    assert farandole.__version__ in _native.build_info()
