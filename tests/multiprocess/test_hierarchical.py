"""What moves the bytes of jobs that have Horovod's variables of hierarchical operations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jobs import launch_verbosely
from timelines import read

pytestmark = pytest.mark.timeout(120)

ALLREDUCE, ALLGATHER = "HOROVOD_HIERARCHICAL_ALLREDUCE", "HOROVOD_HIERARCHICAL_ALLGATHER"
ONE, APART = "h", "h$FARANDOLE_RANK"


@pytest.mark.parametrize(
    ("hosts", "settings", "moved_by"),
    [
        (APART, {ALLREDUCE: "0", ALLGATHER: "0"}, "GLOO"),
        (APART, {ALLREDUCE: "1"}, "HIERARCHICAL"),
        (APART, {ALLREDUCE: "0", ALLGATHER: "1"}, "HIERARCHICAL"),
        (APART, {ALLREDUCE: "1", "FARANDOLE_COMMUNICATOR": "flat"}, "GLOO"),
        (ONE, {ALLREDUCE: "1"}, "SHM"),  # nothing is between hosts
    ],
)
def test_what_moves_the_bytes(
    tmp_path: Path, hosts: str, settings: dict[str, Any], moved_by: str
) -> None:
    _, output = launch_verbosely(
        2,
        "timeline.py",
        str(tmp_path / "{rank}.json"),
        wrapped=("sh", "-c", f'FARANDOLE_HOST={hosts} exec "$@"', "sh"),
        **settings,
    )
    for rank in range(2):
        names = read(tmp_path / f"{rank}.json").names(rank, "tensor/1")
        moves = {name for name in names if name.endswith("_ALLREDUCE")} - {"NEGOTIATE_ALLREDUCE"}
        assert moves == {f"{moved_by}_ALLREDUCE"}
    assert "HOROVOD_" not in output  # known: nothing to warn about
