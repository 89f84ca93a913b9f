"""How long a rank that leaves waits for slower ones that need its answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

import farandole as fdl
from farandole import _native, _session, answers

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


def test_several_threads_leave_answers_for_later() -> None:
    """One looks at what the others have left, and meanwhile another one leaves something."""
    fdl.init()

    class Passing(Unanswered):
        """Whoever asks whether it is done lets another thread go on meanwhile."""

        asked = False

        def done(self) -> bool:
            if not self.asked:
                self.asked = True
                late = cast(_native.Handle, self)
                threads.submit(answers.answer_later, (0, "late"), late).result()
            return False

    with ThreadPoolExecutor(1) as threads:
        answers.answer_later((0, "early"), cast(_native.Handle, Passing()))
        answers.answer_later((0, "next"), cast(_native.Handle, Passing()))
    assert [name for _, name in _session.unanswered()] == ["early", "late", "next"]
    fdl.shutdown()
