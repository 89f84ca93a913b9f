"""Whether a process that runs for long grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

WARM_UP = 0.3  # of the time: allocators and caches fill
MEBIBYTE = 1 << 20
# Up to this much is noise of allocators, however short the run.
NOISE = 6 * MEBIBYTE
PER_HOUR = 1 * MEBIBYTE
# A line through fewer seconds tells where large arrays happened to lie, not whether memory grows.
LONG_ENOUGH = 60.0


@dataclass(frozen=True)
class Growth:
    seconds: float  # looked at, after the warm-up
    memory: float  # bytes by which the fitted line rises in that time
    descriptors: int  # most at the end over most at the beginning
    threads: int

    @property
    def allowed(self) -> float:
        return NOISE + PER_HOUR * self.seconds / 3600

    def complaints(self) -> list[str]:
        found = []
        if self.seconds >= LONG_ENOUGH and self.memory > self.allowed:
            found.append(f"memory grew by {self.memory / MEBIBYTE:.1f} MiB in {self.seconds:.0f} s")
        if self.descriptors > 0:
            found.append(f"{self.descriptors} descriptors more at the end")
        if self.threads > 0:
            found.append(f"{self.threads} threads more at the end")
        return found


def slope(points: list[tuple[float, float]]) -> float:
    """Of the line with the least squares."""
    count = len(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def growth(samples: list[dict[str, Any]]) -> Growth:
    """Of samples with `at` (seconds), `memory` (bytes), `descriptors` and `threads`.

    Requires: four of them at least after the warm-up."""
    begin, end = samples[0]["at"], samples[-1]["at"]
    warm = [s for s in samples if s["at"] >= begin + WARM_UP * (end - begin)]
    if len(warm) < 4:
        raise ValueError(f"only {len(warm)} samples: run for longer")
    half = len(warm) // 2
    seconds = warm[-1]["at"] - warm[0]["at"]

    def more(what: str) -> int:
        late: int = max(s[what] for s in warm[half:])
        early: int = max(s[what] for s in warm[:half])
        return late - early

    return Growth(
        seconds=seconds,
        memory=slope([(s["at"], s["memory"]) for s in warm]) * seconds,
        descriptors=more("descriptors"),
        threads=more("threads"),
    )
