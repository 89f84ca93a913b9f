"""What the measurement of a timeline's cost calls too much."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from timeline_cost import refusal

JITTER = [(1.0, 0.5), (1.0, 9.0)]  # of a busy machine: one pair each way


def test_three_percent_in_the_median_are_too_much() -> None:
    assert refusal("gpt", [(2.0, 2.08), (4.0, 4.2), (1.0, 1.02), *JITTER]) == (
        "gpt: recording a timeline costs +4.0 % of a step's time, the median of 5 pairs; "
        "less than 3 % is promised"
    )


@pytest.mark.parametrize("after", [0.9, 1.0, 1.029])
def test_less_is_not(after: float) -> None:
    assert refusal("gpt", [(1.0, after), *JITTER]) == ""
