"""Short jobs, one after the other, most of which end badly; each is judged."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jobs import Report, environment, parse
from marked import left_after

PROGRAM = Path(__file__).parent / "programs" / "churn_rank.py"
# A job that has not ended by then hangs, also on cores that have ten times as much to do: small
# slots of shared memory cost a turn of each rank.
STUCK = 90.0
NOTHING_LEFT = 8.0
# Our segments have no name, nor has anybody's else here that is called so.
OURS = re.compile("farandole|fdl")


@dataclass(frozen=True)
class Plan:
    """All of it follows from one seed."""

    seed: str
    fate: str
    ranks: int
    victim: int
    moment: float  # seconds after all ranks have started, or batches where the victim acts itself
    settings: dict[str, str]

    @property
    def by_itself(self) -> bool:
        return self.fate in ("raise", "exit", "abort")


SIGNALS = {
    "kill": signal.SIGKILL,
    "crash": signal.SIGSEGV,
    "freeze": signal.SIGSTOP,
    "pause": signal.SIGSTOP,
    "launcher killed": signal.SIGKILL,
    "launcher interrupted": signal.SIGINT,
    "launcher terminated": signal.SIGTERM,
}
FATES = ("finish", "raise", "exit", "abort", *SIGNALS)


def plan(seed: str) -> Plan:
    chosen = random.Random(seed)
    fate = chosen.choice(FATES)
    ranks = chosen.choice([2, 2, 3, 4])
    settings = {
        "FARANDOLE_COMMUNICATOR": chosen.choice(["shm", "gloo"]),
        "FARANDOLE_FUSION_BYTES": chosen.choice(["0", "4096", "67108864"]),
        "FARANDOLE_CACHE_CAPACITY": chosen.choice(["0", "8", "16384"]),
        "FARANDOLE_SHM_SLOT_BYTES": chosen.choice(["16384", "524288"]),
    }
    if fate == "freeze":
        settings |= {"FARANDOLE_HEARTBEAT_INTERVAL": "0.2", "FARANDOLE_HEARTBEAT_TIMEOUT": "2"}
    moment = chosen.randrange(20) if fate in ("raise", "exit", "abort") else chosen.random() * 0.6
    return Plan(seed, fate, ranks, chosen.randrange(ranks), moment, settings)


@dataclass
class Outcome:
    plan: Plan
    code: int | None = None
    seconds: float = 0.0  # from the fate to the end of the launcher
    output: str = ""
    reports: dict[int, Report] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)

    def complaints(self) -> list[str]:
        found = [f"left behind: {what}" for what in self.left]
        if self.code is None:
            return [*found, f"still there after {STUCK} s"]
        if "Traceback" in self.output and self.plan.fate not in ("raise", "launcher interrupted"):
            found.append("a traceback")
        return found + JUDGES.get(self.plan.fate, judge_loss)(self)


def judge_finish(outcome: Outcome) -> list[str]:
    finished = [r for r, report in outcome.reports.items() if report.get("finished")]
    if outcome.code == 0 and len(finished) == outcome.plan.ranks:
        return []
    return [f"exit code {outcome.code}, finished: {sorted(finished)}"]


def judge_launcher(outcome: Outcome) -> list[str]:
    """Ended by a signal, or before it came."""
    number = SIGNALS[outcome.plan.fate]
    expected = {-number, 128 + number, 0}
    return [] if outcome.code in expected else [f"exit code {outcome.code}"]


def judge_loss(outcome: Outcome) -> list[str]:
    """Whoever survived names the victim; unless all had finished before."""
    plan = outcome.plan
    if outcome.code == 0:
        return judge_finish(outcome)
    lost = {
        rank: report.get("lost")
        for rank, report in outcome.reports.items()
        if rank != plan.victim and not report.get("finished")
    }
    found = []
    for rank, culprit in lost.items():
        if culprit is None:
            found.append(f"rank {rank} reported nothing")
        elif plan.victim not in (culprit, first_to_leave(plan.fate, lost, culprit)):
            found.append(f"rank {rank} blames rank {culprit}, not {plan.victim}")
    return found


def first_to_leave(fate: str, lost: Mapping[int, int | None], culprit: int) -> int:
    """`lost`: whom each survivor names, by rank. A rank that leaves says so, and sets without it go
    on: there others may hear first of a survivor that heard of it and left in its turn."""
    if fate in ("raise", "exit", "leave"):
        for _ in lost:
            before = lost.get(culprit)
            culprit = culprit if before is None else before
    return culprit


JUDGES: dict[str, Callable[[Outcome], list[str]]] = {
    "finish": judge_finish,
    "pause": judge_finish,
    "launcher killed": judge_launcher,
    "launcher interrupted": judge_launcher,
    "launcher terminated": judge_launcher,
}


class Job:
    """A launcher with its ranks, and what they report."""

    def __init__(self, plan: Plan, scratch: str) -> None:
        self.outcome = Outcome(plan)
        self.mark = f"FDL_TEST_MARK={uuid.uuid4().hex}"
        name, value = self.mark.split("=")
        own = [plan.fate, str(plan.victim), str(int(plan.moment))] if plan.by_itself else []
        command = ["farandolerun", "-np", str(plan.ranks), "--timeout", str(STUCK)]
        arguments = [plan.seed, "30", *(own or ["none", "-1", "-1"])]
        self.process = subprocess.Popen(
            [*command, sys.executable, str(PROGRAM), *arguments],
            env=environment(**{name: value}, **plan.settings, TMPDIR=scratch),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started = threading.Event()  # all ranks have; or none will any more
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            report = parse(line)
            if report is not None:
                self.outcome.reports.setdefault(report["rank"], {}).update(report)
            if len(self.outcome.reports) == self.outcome.plan.ranks:
                self.started.set()
        self.outcome.output = "".join(lines)
        self.started.set()

    def carry_out(self) -> Outcome:
        plan = self.outcome.plan
        self.started.wait(STUCK)
        ended = self._ends_within(0.0 if plan.by_itself else plan.moment)
        began = time.monotonic()
        if not ended and plan.fate in SIGNALS:
            self._strike(SIGNALS[plan.fate])
            if plan.fate == "pause":
                self._ends_within(0.4)
                self._strike(signal.SIGCONT)
        try:
            self.outcome.code = self.process.wait(STUCK + 10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.outcome.seconds = time.monotonic() - began
        self._reader.join(NOTHING_LEFT)
        return self.outcome

    def _ends_within(self, seconds: float) -> bool:
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _strike(self, number: signal.Signals) -> None:
        plan = self.outcome.plan
        if plan.fate.startswith("launcher"):
            self.process.send_signal(number)
            return
        with contextlib.suppress(KeyError, ProcessLookupError):  # it may have ended already
            os.kill(self.outcome.reports[plan.victim]["pid"], number)


def left_behind(mark: str, scratch: str, patience: float = NOTHING_LEFT) -> list[str]:
    """Waits for the end of all processes that have the mark in their environment; those that stay,
    what lies in their folder, and shared memory that has a name."""
    left = [f"process {pid}" for pid in left_after(mark, patience)]
    left += [f"file {name}" for name in os.listdir(scratch)]
    return left + [f"/dev/shm/{name}" for name in os.listdir("/dev/shm") if OURS.search(name)]


def run(seed: str) -> Outcome:
    """One job from its start until nothing of it is left."""
    with tempfile.TemporaryDirectory(prefix="farandole-soak-") as scratch:
        job = Job(plan(seed), scratch)
        outcome = job.carry_out()
        outcome.left = left_behind(job.mark, scratch)
    return outcome
