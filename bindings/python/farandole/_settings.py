"""Settings of which this package itself makes use."""

from __future__ import annotations

import os
from collections.abc import Iterable

from farandole import _native


def in_effect(key: str, given: Iterable[tuple[str, str]]) -> str:
    """The value of a setting for a session that starts now with those given. It is a right one
    where that session starts."""
    for name, value in given:
        if name == key:
            return value
    (row,) = (row for row in _native.config_rows() if row["key"] == key)
    return os.environ.get(row["variable"], row["default"])
