"""The long run, for some seconds; and what it judges by."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from growth import MEBIBYTE, growth

SOAK = Path(__file__).with_name("soak.py")


def samples(**slopes: float) -> list[dict[str, float]]:
    """One hour, a sample a minute; what is named grows by so much in that hour."""
    still = {"memory": 50.0 * MEBIBYTE, "descriptors": 20.0, "threads": 6.0}
    return [
        {"at": t * 60.0} | {what: v + slopes.get(what, 0) * t / 60 for what, v in still.items()}
        for t in range(61)
    ]


def test_what_stays_is_no_growth() -> None:
    assert growth(samples()).complaints() == []


@pytest.mark.parametrize(
    ("what", "more"), [("memory", 12.0 * MEBIBYTE), ("descriptors", 5.0), ("threads", 5.0)]
)
def test_growth_is_told(what: str, more: float) -> None:
    (complaint,) = growth(samples(**{what: more})).complaints()
    assert what in complaint


@pytest.mark.timeout(150)
def test_some_seconds_of_soak() -> None:
    result = subprocess.run(
        [sys.executable, str(SOAK), "--minutes", "0.25", "--seed", "20"],
        capture_output=True,
        text=True,
        timeout=140,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.rstrip().endswith("0 wrong"), result.stdout
