"""How long a rank that leaves waits for slower ones that need its answers."""

from __future__ import annotations

from typing import Any, cast

import pytest

import farandole as fdl
from farandole import _native, answers

VARIABLE = "FARANDOLE_SHUTDOWN_TIMEOUT"


class Unanswered:
    """An operation that no other rank needs within the time there is."""

    def __init__(self) -> None:
        self.waited: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout)
        return False


@pytest.mark.parametrize(
    ("settings", "environment", "patience"),
    [
        ({}, None, 5.0),
        ({}, "0.75", 0.75),
        ({"shutdown_timeout": 60}, "0.75", 60.0),
        ({"shutdown_timeout": "1e1"}, None, 10.0),
    ],
)
def test_it_is_the_timeout_of_shutdown(
    monkeypatch: pytest.MonkeyPatch, settings: Any, environment: str | None, patience: float
) -> None:
    if environment is not None:
        monkeypatch.setenv(VARIABLE, environment)
    fdl.init(settings=settings)
    monkeypatch.setenv(VARIABLE, "1000")  # too late for this session
    slow = Unanswered()
    answers.answer_later((0, "x"), cast(_native.Handle, slow))
    fdl.shutdown()
    (waited,) = slow.waited
    assert waited == pytest.approx(patience, abs=0.5 * patience)
