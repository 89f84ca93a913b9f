"""Breaks running jobs in every way of chaos_cases.py and measures what follows.

    make chaos TRIALS=20                         everything; deaths get five times as many trials
    python tests/chaos/chaos.py --only death     what has this text in its group or name
    python tests/chaos/chaos.py --list

Writes build/chaos/table.md, trials.json (every trial, with the texts of all ranks) and plot.svg.
A seed stands for the choice of victim and moment; a trial is repeated by --only, --seed and
--trials 1. Exit code 1: a promise was not kept.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from chaos_cases import Case, all_cases
from chaos_figures import Row, duration, markdown_tables, text_table
from chaos_job import ROOT, Build
from chaos_net import why_not
from chaos_plot import plot
from chaos_trials import run_case

MANY = 5


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Breaks running jobs and measures what follows.")
    parser.add_argument(
        "--trials", type=int, default=20, help="per case; deaths get five times as many"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the first trial of each case")
    parser.add_argument("--only", default="", help="cases that have this text in group or name")
    parser.add_argument("--build", type=Path, help="a build folder of CMake instead of the wheel")
    parser.add_argument("--out", type=Path, default=ROOT / "build/chaos")
    parser.add_argument("--list", action="store_true", help="list the cases and stop")
    return parser.parse_args()


def chosen(only: str) -> list[Case]:
    return [case for case in all_cases() if only in f"{case.group}: {case.name}"]


def commit() -> str:
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip() or "unknown"


def measure(case: Case, build: Build, trials: int, seed: int) -> Row:
    began = time.monotonic()
    row = Row(case, list(run_case(case, build, trials * (MANY if case.many else 1), seed)))
    longest = duration(max(row.seconds)) if row.seconds else "-"
    print(
        f"{time.monotonic() - began:7.1f} s  {len(row.trials):4d} trials  max {longest:>8}  "
        f"load {os.getloadavg()[0]:.1f}  {case.group}: {case.name}",
        flush=True,
    )
    for fault in row.faults[:5]:
        print(f"    {fault}", flush=True)
    return row


def heading(seed: int, loads: list[float]) -> str:
    cores = len(os.sched_getaffinity(0))
    return (
        f"Commit {commit()}, {time.strftime('%Y-%m-%d', time.gmtime())}, {cores} cores, Linux "
        f"{platform.release()}, first seed {seed}, load average {min(loads):.1f} to "
        f"{max(loads):.1f} (the jobs' own included)."
    )


def main() -> int:
    options = arguments()
    cases = chosen(options.only)
    if options.list:
        print("\n".join(f"{case.group}: {case.name}" for case in cases))
        return 0
    build = Build.of_tree(options.build) if options.build else Build.of_wheel()
    refused = why_not()
    rows, loads, skipped = [], [os.getloadavg()[0]], 0
    for case in cases:
        if case.stage.hosts and refused:
            skipped += 1
            continue
        rows.append(measure(case, build, options.trials, options.seed))
        loads.append(os.getloadavg()[0])
    assert rows, f"no case has {options.only!r} in its name"
    options.out.mkdir(parents=True, exist_ok=True)
    head = heading(options.seed, loads)
    (options.out / "table.md").write_text(f"{head}\n\n{markdown_tables(rows)}")
    (options.out / "plot.svg").write_text(plot(rows))
    trials = [dataclasses.asdict(trial) for row in rows for trial in row.trials]
    (options.out / "trials.json").write_text(json.dumps(trials, indent=1) + "\n")
    print(f"\n{head}\n\n{text_table(rows)}\n")
    if skipped:
        print(f"{skipped} cases between hosts were skipped: {refused}")
    broken = [row for row in rows if row.faults]
    print(f"{len(rows) - len(broken)} of {len(rows)} cases as promised; see {options.out}/table.md")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
