"""A trial or two of every kind of real failure; `make chaos` runs and measures many.

Bounds are what is promised plus what this machine's scheduling cost while the trial ran, a second
at most.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from types import TracebackType

import chaos_leftovers
import chaos_trials
import pytest
from chaos_cases import Case, all_cases
from chaos_figures import Row, markdown_tables, percentile, text_table, trial_faults
from chaos_job import HERE, Build
from chaos_leftovers import sockets_of_tcp
from chaos_net import why_not
from chaos_plot import plot
from chaos_trials import Operation, Trial, first_and_last, may_differ, run_together

pytestmark = pytest.mark.timeout(240)

SLACK = 0.25  # a report passes through so many threads on so few cores
WAKE_UPS = 20  # of threads one after another between a fault and the last report, at most
MOST_EXCUSED = 1.0
AT_ONCE = 7  # trials that mostly wait


def excused(lateness: float) -> float:
    """What a report may be late by, where threads were woken so late."""
    return min(SLACK + WAKE_UPS * lateness, MOST_EXCUSED)


class Lateness:
    """How late a thread of this process was woken at most."""

    PAUSE = 0.002

    def __init__(self) -> None:
        self.worst = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._probe)

    def _probe(self) -> None:
        before = time.monotonic()
        while not self._stop.wait(self.PAUSE):
            now = time.monotonic()
            self.worst = max(self.worst, now - before - self.PAUSE)
            before = now

    def __enter__(self) -> Lateness:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture(scope="module")
def build() -> Build:
    return Build.of_wheel()


def cases_of(*groups: str) -> list[Case]:
    return [case for case in all_cases() if case.group in groups]


def batches(cases: Sequence[Case]) -> Iterator[list[Case]]:
    for at in range(0, len(cases), AT_ONCE):
        yield list(cases[at : at + AT_ONCE])


def check(cases: Sequence[Case], build: Build, seed: int = 1) -> None:
    if any(case.stage.hosts for case in cases) and why_not():
        pytest.skip(why_not())
    with Lateness() as lateness:
        trials = run_together(cases, build, seed)
    faults = [
        f"{case.name}, {text}"
        for case, trial in zip(cases, trials, strict=True)
        for text in trial_faults(case, trial)
    ]
    slack = excused(lateness.worst)
    for case, trial in zip(cases, trials, strict=True):
        if case.target and trial.seconds and trial.seconds > case.target.most + slack:
            faults.append(f"{case.name}: {trial.seconds:.3f} s, {case.target} and {slack:.3f} s")
    assert not faults, "\n".join(faults)


def split(group: str) -> tuple[list[Case], list[Case]]:
    """Those on this host, and those between hosts."""
    cases = cases_of(group)
    return [c for c in cases if not c.stage.hosts], [c for c in cases if c.stage.hosts]


def alternating(cases: Sequence[Case]) -> list[Case]:
    """One of each two neighbours, which differ in the victim: the first, the second, the first."""
    return [case for number, case in enumerate(cases) if number % 4 in (0, 3)]


DEATHS_HERE, DEATHS_ELSEWHERE = split("death")


@pytest.mark.parametrize(
    "case", [*DEATHS_HERE, *alternating(DEATHS_ELSEWHERE)], ids=lambda case: case.name
)
def test_death(case: Case, build: Build) -> None:
    check([case], build)


@pytest.mark.parametrize(
    "cases",
    [
        pytest.param(split("freeze")[0], id="freeze on this host"),
        pytest.param(split("freeze")[1], id="freeze between hosts"),
        pytest.param(split("launcher")[0], id="launcher"),
        # `make chaos` runs them all.
        pytest.param(alternating(split("network")[1]), id="links"),
        pytest.param(split("proxy")[0][::2], id="proxy on this host"),
        pytest.param(split("proxy")[1][::3], id="proxy between hosts"),
    ],
)
def test_all_of(cases: list[Case], build: Build) -> None:
    assert cases
    for number, batch in enumerate(batches(cases)):
        check(batch, build, 1 + number * AT_ONCE)


def test_no_delay_excuses_everything() -> None:
    assert excused(0) == SLACK
    assert excused(60) == MOST_EXCUSED


def test_no_false_alarm_under_load() -> None:
    command = [sys.executable, str(HERE / "chaos_idle.py"), "--minutes", "0.05"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "no false alarm" in result.stdout


def some_rows() -> list[Row]:
    quick, silent = cases_of("death")[0], cases_of("freeze")[0]
    late = Trial(quick.name, 2, seconds=0.09, left=["process 7 (rank)"])
    return [
        Row(quick, [Trial(quick.name, 1, seconds=0.002), late]),
        Row(silent, [Trial(silent.name, 1, seconds=3.1, same_culprit=False)]),
    ]


def test_a_job_that_outlives_its_launcher_is_a_fault(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (chaos_trials, chaos_leftovers):
        monkeypatch.setattr(module, "GONE_AFTER", 0.5)
    (case,) = (case for case in cases_of("launcher") if case.name == "SIGKILL, launcher, shm")
    spared = dataclasses.replace(case, apply=lambda scene: time.monotonic_ns())
    (trial,) = run_together([spared], build, 1)
    assert "seed 1: the job did not end within 0.5 s" in Row(spared, [trial]).faults
    assert trial.left


def test_a_trial_without_the_time_that_it_is_for_is_a_fault() -> None:
    case = cases_of("freeze")[0]
    assert Row(case, [Trial(case.name, 3)]).faults == [
        "seed 3: no time was measured: the target is 4 s"
    ]
    harmless = next(case for case in all_cases() if case.target is None)
    assert Row(harmless, [Trial(harmless.name, 3)]).faults == []


@pytest.mark.parametrize(
    ("first", "last", "neighbours"),
    [
        ((7, "stop"), (7, "stop"), True),
        ((7, "stop"), (7, "gradient/0"), True),
        ((7, "stop"), (7, "gradient/1"), False),
        ((7, "stop"), (8, "stop"), False),
        ((7, "gradient/0"), (7, "gradient/2"), True),
        ((7, "gradient/0"), (8, "stop"), True),
        ((7, "gradient/2"), (8, "gradient/0"), False),
        ((7, "gradient/2"), (9, "stop"), False),
        ((0, "init"), (7, "stop"), False),
    ],
)
def test_only_neighbours_may_be_named_beside_each_other(
    first: Operation, last: Operation, neighbours: bool
) -> None:
    assert first_and_last({last, first}) == (first, last)
    assert may_differ(first, last) == neighbours


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(n) for n in range(20, 0, -1)]
    assert [percentile(values, share) for share in (0.5, 0.95, 1)] == [10, 19, 20]
    assert percentile([4.0], 0.5) == 4


def test_tables_tell_what_was_not_kept() -> None:
    rows = some_rows()
    assert rows[0].faults == [
        "seed 2: left behind: process 7 (rank)",
        "max 90.0 ms: the target is 50 ms, median 5 ms",
    ]
    assert rows[1].faults == []
    line = [cell.strip() for cell in markdown_tables(rows).splitlines()[4].split("|")]
    assert line[4:8] == ["2", "2.0 ms", "90.0 ms", "90.0 ms"]
    assert line[10] == "1" and line[12] == "no"
    assert "3.10 s" in text_table(rows).splitlines()[2]
    assert plot(rows).count("<circle") == 3


def test_open_sockets_are_found() -> None:
    table = """  sl local rem st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
   0: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1
   1: 0100007F:1388 0100007F:9999 06 00000000:00000000 00:00000000 00000000     0        0 0 1
   2: 0100007F:2222 0100007F:3333 01 00000000:00000000 00:00000000 00000000     0        0 9 1
"""
    assert len(sockets_of_tcp(table, 5000)) == 1
    assert len(sockets_of_tcp(table, 0)) == 2
