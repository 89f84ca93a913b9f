"""Interpreters and sessions that end with operations in flight: quietly, soon, and with clear
errors."""

from __future__ import annotations

import re
import statistics

import pytest
from jobs import launch, launch_verbosely

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


@pytest.mark.measures
@pytest.mark.timeout(150)
def test_init_and_shutdown_with_work_unfinished_take_less_than_50_ms() -> None:
    """Both together, on the slowest of four ranks, in the median of sixty; but for what their
    threads had to wait for a core."""
    seconds = []
    for cycle in zip(*(report["took"] for report in launch(4, "cycles.py", "60")), strict=True):
        begin, end = zip(*cycle, strict=True)  # of each rank what it took, and what is excused
        seconds.append(sum(max(s)[0] - sum(late for _, late in s) for s in (begin, end)))
    assert len(seconds) == 60
    assert statistics.median(seconds) < 0.05, seconds
