"""One case at each failpoint; the full product is `make failpoints`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from points import points
from sweep import complaints, first_reached, sweep


def test_something_happens_at_each_failpoint() -> None:
    outcomes = sweep([partial(first_reached, point) for point in points()], lambda outcome: None)
    assert len(outcomes) > 100
    assert not complaints(outcomes), "\n".join(complaints(outcomes))
