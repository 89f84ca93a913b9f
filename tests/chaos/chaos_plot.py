"""A picture of all trials: a line per case, a dot per trial, time on a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from chaos_figures import Row

LEFT, WIDTH, STEP, TOP = 330, 640, 18, 40
SHORTEST, LONGEST = 1e-4, 10.0  # seconds at the ends of the axis
TICKS = (
    (1e-4, "0.1 ms"),
    (1e-3, "1 ms"),
    (1e-2, "10 ms"),
    (0.1, "100 ms"),
    (1.0, "1 s"),
    (10.0, "10 s"),
)


def place(seconds: float) -> float:
    inside = min(max(seconds, SHORTEST), LONGEST)
    share = math.log(inside / SHORTEST) / math.log(LONGEST / SHORTEST)
    return LEFT + share * WIDTH


def plot(rows: Sequence[Row]) -> str:
    timed = [row for row in rows if row.seconds]
    height = TOP + STEP * len(timed) + 20
    bottom = height - 15
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 40}" height="{height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{LEFT + WIDTH + 40}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="14">from the fault to the last report; red: the target</text>',
    ]
    for value, name in TICKS:
        x = place(value)
        parts.append(
            f'<line x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{bottom}" stroke="#ddd"/>'
        )
        parts.append(f'<text x="{x:.1f}" y="{TOP - 12}" text-anchor="middle">{name}</text>')
    for number, row in enumerate(timed):
        parts += line(row, TOP + STEP * number + STEP / 2)
    return "\n".join([*parts, "</svg>\n"])


def line(row: Row, y: float) -> list[str]:
    parts = [
        f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(row.case.name)}</text>'
    ]
    for seconds in row.seconds:
        x = place(seconds)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="#2a6" opacity="0.4"/>')
    if row.case.target is not None:
        x = place(row.case.target.most)
        parts.append(
            f'<line x1="{x:.1f}" y1="{y - 7:.1f}" x2="{x:.1f}" y2="{y + 7:.1f}" stroke="#c22"/>'
        )
    return parts
