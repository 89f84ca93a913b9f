"""How many rows go to each rank, as callers give it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from farandole.arguments import shown
from farandole.errors import InvalidArgumentError


def split_rows(splits: Any) -> list[int] | None:
    """``splits`` of alltoall, given as array, tensor or sequence, as numbers."""
    if splits is None:
        return None
    rows = splits.tolist() if hasattr(splits, "tolist") else splits
    rows = list(rows) if isinstance(rows, Iterable) else None
    if rows is None or not all(type(row) is int for row in rows):
        raise InvalidArgumentError(
            f"splits={shown(splits)}: a one-dimensional sequence of whole numbers is wanted"
        )
    if not rows:
        raise InvalidArgumentError("splits is empty; one number for each rank is wanted")
    return rows
