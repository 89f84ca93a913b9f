"""What the Python benchmark programs share; the same settings and lines as bench.h."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from pathlib import Path

SWEEP = [
    (4, 2000),
    (1 << 10, 2000),
    (16 << 10, 1000),
    (256 << 10, 400),
    (1 << 20, 150),
    (4 << 20, 50),
    (16 << 20, 16),
    (64 << 20, 8),
    (256 << 20, 5),
]
MODE = os.environ.get("MODE", "sweep")
STEPS = int(os.environ.get("STEPS", "15"))


def sizes() -> list[tuple[int, int]]:
    """Bytes and iterations that were asked for."""
    low, high = int(os.environ.get("MINB", "0")), int(os.environ.get("MAXB", str(1 << 40)))
    scale = float(os.environ.get("ITER_SCALE", "1"))
    return [(size, max(5, int(count * scale))) for size, count in SWEEP if low <= size <= high]


def shapes() -> list[int]:
    text = Path(os.environ.get("SHAPES", "."), f"{MODE}.shapes").read_text()
    return [int(line) for line in text.split()]


def timed(
    name: str, rank: int, ranks: int, size: int, iterations: int, step: Callable[[], object]
) -> None:
    """Warms up, then times each call from the end of the one before; rank 0 reports."""
    for _ in range(max(2, iterations // 5)):
        step()
    gc.collect()
    gc.disable()
    times = []
    before = time.perf_counter()
    for _ in range(iterations):
        step()
        after = time.perf_counter()
        times.append((after - before) * 1e6)
        before = after
    gc.enable()
    times.sort()
    if rank == 0:
        p99 = times[min(iterations - 1, int(iterations * 0.99))]
        values = (times[iterations // 2], p99, times[0], times[-1])
        print(
            f"{name},{ranks},{size},{','.join(f'{x:.3f}' for x in values)},{iterations}", flush=True
        )
