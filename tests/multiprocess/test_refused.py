"""Calls that Python refuses on one rank, and that are right on others."""

from __future__ import annotations

import pytest
from jobs import launch

pytestmark = pytest.mark.timeout(200)


@pytest.mark.parametrize("way", ["numpy", "torch"])
def test_what_follows_still_matches(way: str) -> None:
    if way == "torch":
        pytest.importorskip("torch")
    assert all(r["checks"] > 12 for r in launch(3, "refused.py", way))
