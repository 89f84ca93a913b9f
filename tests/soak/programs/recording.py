"""A timeline that begins and ends in the middle of some lives."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import farandole as fdl

LIVES = 0.4  # that have one
UNTIL_THE_END = 0.3  # of these: shutdown() ends it
# A batch of one operation may be that of a process set without this rank. Not so many in a row.
NOTHING = 3


class Recording:
    """Of one rank in one life; each rank has its own luck. Thread: one at a time."""

    def __init__(self, own_seed: str, batches: int) -> None:
        rank = fdl.rank()
        own = random.Random(f"timeline {own_seed}/{rank}")
        self.wanted = own.random() < LIVES
        self._first = own.randrange(batches)
        self._last = (
            batches if own.random() < UNTIL_THE_END else own.randrange(self._first, batches)
        )
        self._cycles = own.random() < 0.5
        self._named = str(Path(tempfile.gettempdir()) / "timeline.{rank}.json")
        self._path = Path(self._named.format(rank=rank))

    def before(self, batch: int) -> None:
        """May begin."""
        if self.wanted and batch == self._first:
            fdl.start_timeline(self._named, mark_cycles=self._cycles)

    def after(self, batch: int) -> None:
        """May end."""
        if self.wanted and batch == self._last:
            fdl.stop_timeline()

    def after_shutdown(self) -> None:
        """Raises: AssertionError where what was recorded is not whole."""
        if self.wanted:
            text = self._path.read_text()
            self._path.unlink()
            whole = text.startswith("[") and text.rstrip().endswith("]")
            filled = '"ph":"B"' in text or self._last - self._first < NOTHING
            assert whole and filled, f"{self._path}: {text[:200]} ... {text[-200:]}"
