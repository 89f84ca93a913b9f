"""Collectives that a seed draws: values and gradients at 2, 3 and 4 ranks."""

from __future__ import annotations

import subprocess
import sys

import pytest
from jobs import PROGRAMS, environment, launch

# Of programs, which jobs has put on the path.
from drawn_cases import DIFFERENTIABLE, IN_PLACE, PAIRS, REDUCTIONS, cases  # isort: skip

pytestmark = pytest.mark.timeout(200)

SEED, COUNT = 1, 342
SIZES = [2, 3, 4]


@pytest.mark.parametrize("ranks", SIZES)
def test_values_and_gradients_of_drawn_collectives(ranks: int) -> None:
    """`make forms` draws more, over every communicator."""
    pytest.importorskip("torch")
    reports = launch(ranks, "drawn_forms.py", str(SEED), str(COUNT), timeout=150)
    assert [r["cases"] for r in reports] == [COUNT] * ranks


def test_a_wrong_value_is_noticed_and_its_case_named() -> None:
    pytest.importorskip("torch")
    spoilt = subprocess.run(
        [sys.executable, str(PROGRAMS / "drawn_forms.py"), str(SEED), "3", "2"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert spoilt.returncode == 1, spoilt.stdout
    kind, _ = PAIRS[2]
    told = f"AssertionError: seed {SEED} on 1 ranks: Case(number=2, kind='{kind}'"
    assert told in spoilt.stderr, spoilt.stderr


def test_what_is_drawn_leaves_nothing_out() -> None:
    """Kinds with each dtype at every size; with each form, operation and size of a set, and with
    gradients of each dtype that has them, at some."""
    drawn = {size: [c for batch in cases(SEED, size, COUNT) for c in batch] for size in SIZES}
    for every in drawn.values():
        assert {(c.kind, c.members[0].dtype) for c in every} == set(PAIRS)
    together = [c for every in drawn.values() for c in every]
    kinds = {kind for kind, _ in PAIRS}
    named = [g + kind for kind in kinds for g in ("", "grouped_")]
    forms = {name + ending for name in named for ending in ("", "_async")}
    forms |= {g + kind + e for g in ("", "grouped_") for kind in IN_PLACE for e in ("_", "_async_")}
    assert {c.function for c in together} == forms
    ops = {(kind, op) for kind in REDUCTIONS for op in ("Sum", "Average", "Product", "Min", "Max")}
    ops.add(("allreduce", "Adasum"))
    assert {(c.kind, c.op) for c in together if c.kind in REDUCTIONS} == ops
    combined = {len(c.ranks) for c in together if c.op == "Adasum"}
    assert combined >= {1, 2, 3}  # 4: `make forms`
    sizes = {(kind, size) for kind in kinds for size in (1, 2, 3, 4)}
    assert {(c.kind, len(c.ranks)) for c in together} == sizes
    graphs = {(kind, dtype) for kind in kinds for dtype in DIFFERENTIABLE}
    found = {(c.kind, m.dtype) for c in together for m in c.members if m.graph}
    assert found == graphs
    for more in ("batch", "grouped"):
        assert {(c.kind, bool(getattr(c, more))) for c in together} == {
            (kind, has) for kind in kinds for has in (False, True)
        }
    with_out = {c.kind for c in together if any(m.outs for m in c.members)}
    assert with_out == kinds
