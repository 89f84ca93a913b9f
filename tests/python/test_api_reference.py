"""docs/api.md is what the docstrings say, of every name that there is."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("describe_api", ROOT / ".ci/describe_api.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_in_step() -> None:
    assert (ROOT / "docs/api.md").read_text() == generator().page() + "\n", (
        "stale: .venv/bin/python .ci/describe_api.py > docs/api.md"
    )


def test_a_name_without_a_section_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    module = generator()
    monkeypatch.delitem(module.SECTIONS, "In place")
    with pytest.raises(SystemExit, match="differ in allreduce_, broadcast_"):
        module.page()


def test_a_name_of_another_module_that_is_left_out_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import farandole.timeline

    module = generator()
    assert "### `merge(" in module.page() and "### `serve(" in module.page()
    monkeypatch.setitem(module.MODULES, farandole.timeline, "merge")
    with pytest.raises(SystemExit, match=r"of farandole\.timeline differ"):
        module.page()


def test_parameters_become_a_list() -> None:
    def function(first: int, *, later: float = 1.0) -> None:
        """Does ``it``.

        first: what comes
            first.
        later: what follows.
        """

    module = generator()
    assert module.signature(function) == "(first, *, later=1.0)"
    assert module.described(function) == (
        "Does `it`.\n\n- `first`: what comes\n  first.\n- `later`: what follows."
    )


@pytest.mark.parametrize("page", ["guide", "migration", "models", "python", "troubleshooting"])
def test_pages_name_what_there_is(page: str) -> None:
    import farandole.torch as hvd

    text = (ROOT / f"docs/{page}.md").read_text()
    assert [name for name in re.findall(r"\bhvd\.(\w+)", text) if not hasattr(hvd, name)] == []
