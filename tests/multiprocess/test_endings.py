"""Interpreters and sessions that end with operations in flight: quietly, soon, and with clear
errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import pytest
from jobs import check_flat, launch, launch_verbosely

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


def slowest(step: Iterable[Sequence[float]]) -> float:
    """From when the last rank began a step until all had done it."""
    begins, ends = zip(*step, strict=True)
    return float(max(ends) - max(begins))


@pytest.mark.measures
@pytest.mark.timeout(170)
def test_init_and_shutdown_with_work_unfinished_take_less_than_50_ms_200_times() -> None:
    """Each time, both together, on the slowest of four ranks, which run before everything else on
    the machine; and nothing of all that is left."""
    reports = launch(4, "cycles.py", "250", "foremost", timeout=150)
    cycles = zip(*(report["took"] for report in reports), strict=True)
    seconds = [sum(map(slowest, zip(*cycle, strict=True))) for cycle in cycles]
    assert len(seconds) == 200
    assert max(seconds) < 0.05, seconds
    for report in reports:
        check_flat(report["used"], memory=True)
