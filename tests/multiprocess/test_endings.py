"""Interpreters that end with operations in flight: quietly, soon, and with clear errors."""

from __future__ import annotations

import re

import pytest
from jobs import launch_verbosely

pytestmark = pytest.mark.timeout(60)

# Of an interpreter or a library that was caught at the wrong moment.
NOISE = re.compile("Traceback|Fatal|Exception ignored|terminate called|core dumped|Warning")


@pytest.mark.parametrize(
    ("ending", "communicator"),
    [
        ("plain", "shm"),
        ("plain", "gloo"),
        ("daemon", "shm"),
        ("daemon", "gloo"),
        ("handler", "shm"),
        ("dropped", "shm"),
        ("exit", "shm"),
    ],
)
def test_operations_in_flight_at_the_end(ending: str, communicator: str) -> None:
    reports, output = launch_verbosely(
        2, "ending.py", ending, timeout=40, FARANDOLE_COMMUNICATOR=communicator
    )
    assert not NOISE.search(output), output
    for report in reports:
        assert report["kind"] == "NotInitializedError", report
        assert report["text"] == "Farandole is not initialised; call init() first"
        assert report["gathered_sum"] == 6
        # Ended by the own shutdown, or by the other's leave.
        shown = f'<farandole.Handle allreduce "mine {report["rank"]}": failed: allreduce "mine '
        assert report["handle"].startswith(shown), report
        assert ending != "handler" or report["alive"]
