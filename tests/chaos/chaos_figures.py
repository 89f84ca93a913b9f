"""Figures of many trials: percentiles, and tables as text and Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from chaos_cases import Case, Outcome
from chaos_trials import Trial

HEAD = (
    "fault",
    "victim",
    "where",
    "trials",
    "p50",
    "p95",
    "max",
    "same culprit",
    "same operation",
    "left behind",
    "target",
    "held",
)
NUMBERS = set(range(3, 10))  # columns that are aligned to the right


def percentile(values: Sequence[float], share: float) -> float:
    """By nearest rank: a value that was measured."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def duration(seconds: float) -> str:
    if seconds < 0.1:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def trial_faults(case: Case, trial: Trial) -> list[str]:
    """Why a trial is not what is promised, but for its time."""
    found = [*trial.complaints, *(f"left behind: {what}" for what in trial.left)]
    if case.target is not None and trial.seconds is None:
        found.append(f"no time was measured: the target is {case.target}")
    return [f"seed {trial.seed}: {text}" for text in found]


@dataclass(frozen=True)
class Row:
    case: Case
    trials: Sequence[Trial]

    @property
    def seconds(self) -> list[float]:
        return [trial.seconds for trial in self.trials if trial.seconds is not None]

    @property
    def faults(self) -> list[str]:
        """Why this row is not what is promised."""
        found = [text for trial in self.trials for text in trial_faults(self.case, trial)]
        target = self.case.target
        if target is not None and self.seconds:
            if max(self.seconds) > target.most:
                found.append(f"max {duration(max(self.seconds))}: the target is {target}")
            middle = percentile(self.seconds, 0.5)
            if target.median is not None and middle > target.median:
                found.append(f"median {duration(middle)}: the target is {target}")
        return found

    def cells(self) -> list[str]:
        case = self.case
        times = [
            duration(percentile(self.seconds, p)) if self.seconds else "" for p in (0.5, 0.95, 1)
        ]
        tell = case.outcome in (Outcome.SURVIVORS_TELL, Outcome.ALL_TELL)
        total = len(self.trials)
        counts = [
            f"{sum(t.same_culprit for t in self.trials)}/{total}" if tell else "",
            f"{sum(t.same_operation for t in self.trials)}/{total}" if tell else "",
            str(sum(len(t.left) for t in self.trials)),
        ]
        target = str(case.target) if case.target else "no alarm"
        held = "no" if self.faults else "yes"
        return [case.fault, case.victim, case.stage.name, str(total), *times, *counts, target, held]


def text_table(rows: Sequence[Row]) -> str:
    table = [list(HEAD), *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(HEAD))]
    return "\n".join(text_line(line, widths) for line in table)


def text_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = [
        cell.rjust(width) if column in NUMBERS else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(aligned).rstrip()


def markdown_tables(rows: Sequence[Row]) -> str:
    """One table per group of faults."""
    parts = []
    for group in dict.fromkeys(row.case.group for row in rows):
        lines = [HEAD, ["---:" if c in NUMBERS else "---" for c in range(len(HEAD))]]
        lines += [row.cells() for row in rows if row.case.group == group]
        parts.append(
            f"### {group.capitalize()}\n\n" + "\n".join(f"| {' | '.join(x)} |" for x in lines)
        )
    return "\n\n".join(parts) + "\n"
