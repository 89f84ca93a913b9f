"""Tables from what run.py collects: mood,name,ranks,bytes,median,p99,min,max,iterations."""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from pathlib import Path


def mood(before: float, after: float, near_ns: float) -> str:
    """Whether the cores shared a cache before and after a turn; 'mixed' where that changed."""
    if min(before, after) < 0:
        return "unknown"
    if max(before, after) < near_ns:
        return "near"
    return "far" if min(before, after) >= near_ns else "mixed"


def size_name(size: int) -> str:
    for unit, shift in (("MiB", 20), ("KiB", 10)):
        if size >= 1 << shift:
            return f"{size >> shift} {unit}"
    return f"{size} B"


def microseconds(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def markdown(lines: str) -> str:
    """One table for each number of ranks and mood: the median, over the turns, of their medians in
    microseconds, and in brackets how many turns those were."""
    cells: dict[tuple[str, int], dict[tuple[str, int], list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for line in lines.splitlines():
        state, name, ranks, size, median, *_ = line.split(",")
        cells[state, int(ranks)][name, int(size)].append(float(median))
    parts = []
    for (state, count), values in sorted(cells.items(), key=lambda item: (item[0][1], item[0][0])):
        sizes = sorted({size for _, size in values})
        parts.append(f"{count} ranks, {state}: median microseconds (turns)\n")
        parts.append("| | " + " | ".join(map(size_name, sizes)) + " |")
        parts.append("|---" * (len(sizes) + 1) + "|")
        for name in sorted({name for name, _ in values}):
            row = [values.get((name, each), []) for each in sizes]
            shown = (f"{microseconds(statistics.median(v))} ({len(v)})" if v else "" for v in row)
            parts.append(f"| {name} | " + " | ".join(shown) + " |")
        parts.append("")
    return "\n".join(parts)


if __name__ == "__main__":
    print(markdown(Path(sys.argv[1]).read_text()))
