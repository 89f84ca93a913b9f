"""Statistics of sixty years of sea temperatures, each rank reading its own years.

    farandolerun -np 2 python climate.py

Shows the collectives on NumPy arrays: sums, minima and maxima through allreduce, tables of
different length through allgather, one rank's choice through broadcast.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from pathlib import Path

import numpy as np

import farandole

TABLE = Path(__file__).resolve().parents[1] / "data" / "sea_temperature.csv"


def read_years(path: Path) -> tuple[list[str], np.ndarray]:
    """Names of the months, and this rank's rows: a year and twelve temperatures."""
    with path.open(newline="") as file:
        rows = csv.reader(file)
        head = next(rows)
        own = list(rows)[farandole.rank() :: farandole.size()]
    return head[1:], np.array(own, dtype=np.float64).reshape(-1, len(head))


def mean_and_deviation(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each column over the rows of all ranks."""
    rows = farandole.allreduce(np.array([len(values)]), op=farandole.Sum, name="rows")[0]
    mean = farandole.allreduce(values.sum(axis=0), op=farandole.Sum, name="sum") / rows
    squares = farandole.allreduce(
        ((values - mean) ** 2).sum(axis=0), op=farandole.Sum, name="squares"
    )
    return mean, np.sqrt(squares / rows)


def warmest(years: np.ndarray, anomaly: np.ndarray, count: int) -> np.ndarray:
    """The years of all ranks that were warmest against the mean: rows of year and difference."""
    own = np.column_stack([years, anomaly.mean(axis=1)])
    own = own[np.argsort(-own[:, 1])][:count]
    everyone = farandole.allgather(own, name="warmest")  # ranks may have fewer rows than others
    best = everyone[np.argsort(-everyone[:, 1])][:count]
    chosen: np.ndarray = farandole.broadcast(best, root_rank=0, name="best")
    return chosen


def show(lines: list[str]) -> None:
    """Prints them, as far as somebody reads: `| head` is no error."""
    try:
        print("\n".join(lines), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", type=Path, default=TABLE, help="years by months, as CSV")
    parser.add_argument("--warmest", type=int, default=5, help="how many years to list (default 5)")
    options = parser.parse_args()

    farandole.init()
    months, table = read_years(options.table)
    values = table[:, 1:]
    mean, deviation = mean_and_deviation(values)
    coldest = farandole.allreduce(values.min(axis=0), op=farandole.Min, name="coldest")
    hottest = farandole.allreduce(values.max(axis=0), op=farandole.Max, name="hottest")
    years = warmest(table[:, 0], values - mean, options.warmest)

    if farandole.rank() == 0:
        lines = ["month    mean  deviation    min    max"]
        for month, *row in zip(months, mean, deviation, coldest, hottest, strict=True):
            lines.append("{:5}  {:6.2f}  {:9.2f} {:6.2f} {:6.2f}".format(month, *row))
        best = ", ".join(f"{year:.0f} ({by:+.2f})" for year, by in years)
        show([*lines, f"warmest years: {best}"])
    farandole.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
