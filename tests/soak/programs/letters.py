"""Messages of random jobs, between two ranks of a process set each, and their check."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
from operations import DTYPES

import farandole as fdl

MOST = 6
ROWS = (0, 1, 100, 40_000)


@dataclass(frozen=True)
class Letter:
    name: str
    source: int
    dest: int
    dtype: np.dtype[Any]
    rows: tuple[int, ...]  # of each tensor of a group, or of the one
    grouped: bool
    process_set: Any

    def tensors(self) -> list[np.ndarray]:
        return [np.full((rows, 2), 10 * self.source + self.dest, self.dtype) for rows in self.rows]


def draw(common: random.Random, process_set: Any) -> list[Letter]:
    """Alike on all ranks."""
    members = process_set.ranks
    if len(members) < 2:
        return []
    letters = []
    for number in range(common.randint(1, MOST)):
        source, dest = common.sample(members, 2)
        grouped = common.random() < 0.3
        rows = tuple(common.choices(ROWS, k=3 if grouped else 1))
        dtype = common.choice(DTYPES)
        letters.append(Letter(f"letter/{number}", source, dest, dtype, rows, grouped, process_set))
    return letters


def start(letter: Letter, rank: int) -> Any:
    """Its handle. Requires: the rank is one of its ends."""
    own: dict[str, Any] = {"name": letter.name, "process_set": letter.process_set}
    sends, tensors = rank == letter.source, letter.tensors()
    if letter.grouped and sends:
        return fdl.grouped_send_async(tensors, letter.dest, **own)
    if letter.grouped:
        return fdl.grouped_recv_async(len(tensors), letter.source, **own)
    if sends:
        return fdl.send_async(tensors[0], letter.dest, **own)
    return fdl.recv_async(letter.source, **own)


def check(letter: Letter, rank: int, handle: Any) -> None:
    """Waits for it. Raises: AssertionError for a wrong end of it; what else it raises."""
    result = fdl.synchronize(handle)
    results = result if letter.grouped else [result]
    expected: list[np.ndarray | None] = [*letter.tensors()]
    if rank == letter.source:
        expected = [None] * len(expected)
    assert len(results) == len(expected), f"{letter}: {len(results)} results"
    for got, wanted in zip(results, expected, strict=True):
        assert _same(got, wanted), f"{letter}: {got!r}"


def _same(got: np.ndarray | None, wanted: np.ndarray | None) -> bool:
    if got is None or wanted is None:
        return got is wanted
    return got.dtype == wanted.dtype and np.array_equal(got, wanted)
