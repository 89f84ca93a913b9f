"""One job with one order at one failpoint: run, and judged."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from points import DEATHS, HARMLESS, ROOT, Point

BUILD = ROOT / "build/dev"
RANKS = 3
LIMIT = 15.0  # seconds in which every case has ended
STOPPED = 6.0  # how long what is stopped stays so; longer than anybody's patience
AGAIN = 0.02  # what stops itself cannot tell us, so it is told to go on again and again
GONE_AFTER = 5.0  # what the launcher's own death leaves to others, as docs/reliability.md promises
REPORT = re.compile(r"REPORT (\{.*\})")
VICTIM = 2  # to whom happens, over Gloo and by itself, what these scenes are named after
VICTIMS = {"freeze": signal.SIGSTOP, "death": signal.SIGKILL}
CRASHED = re.compile(r"terminate called|was ended by SIG(ABRT|SEGV|BUS|PIPE)")
TYPED = {"PeerLost", "Timeout", "Aborted", "System", "Unsupported", "Mismatch"}

# Short, so that a case is: but long enough for a busy machine.
PATIENCE = {
    "FARANDOLE_START_TIMEOUT": "4",
    "FARANDOLE_DATA_TIMEOUT": "4",
    "FARANDOLE_HEARTBEAT_INTERVAL": "0.1",
    "FARANDOLE_HEARTBEAT_TIMEOUT": "2",
    "FARANDOLE_SHUTDOWN_TIMEOUT": "2",
}


@dataclass(frozen=True)
class Case:
    """What is ordered, where, of whom."""

    point: Point
    action: str
    role: str  # a rank, or "job"
    scene: str  # the communicator, or one of VICTIMS
    hit: int = 1

    def __str__(self) -> str:
        action = os.strerror(int(self.action)) if self.action.isdigit() else self.action
        who = "launcher" if self.role == "job" else f"rank {self.role}"
        return f"{self.point.name}: {action}, {who}, {self.scene}, passage {self.hit}"


@dataclass
class Outcome:
    """What came of a case. Right where nothing is wrong; not reached: nothing happened."""

    case: Case
    reached: bool = False
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)
    output: str = ""


def await_end(pid: int, timeout: float) -> None:
    """Returns when the process, of whatever parent, has ended, or when the time is over."""
    with contextlib.suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        try:
            select.select([process], [], [], timeout)
        finally:
            os.close(process)


class Trial:
    """A job under the launcher. Nothing of it is left when it has been judged."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.mark = f"FAILPOINT_MARK={uuid.uuid4().hex}"
        self.folder = Path(tempfile.mkdtemp(prefix="farandole-failpoint-"))
        self.scratch = self.folder / "scratch"
        self.scratch.mkdir()
        self.token = self.folder / "token"

    def run(self) -> Outcome:
        """Runs the case; kills whatever is left, and says so."""
        outcome = Outcome(self.case)
        begin = time.monotonic()
        try:
            exit_code = self._launch(outcome)
            outcome.seconds = time.monotonic() - begin
            outcome.reached = self.token.exists()
            self._judge_leftovers(outcome)
            self._judge(exit_code, outcome)
        finally:
            for pid in self._processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            shutil.rmtree(self.folder)
        return outcome

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("FARANDOLE_")}
        case = self.case
        communicator = "gloo" if case.scene in VICTIMS else case.scene
        order = f"{case.point.name} {case.action} {case.role} {case.hit} {self.token}"
        name, _, value = self.mark.partition("=")
        own = {name: value, "FDL_FAILPOINT": order, "TMPDIR": str(self.scratch)}
        return {**kept, **PATIENCE, "FARANDOLE_COMMUNICATOR": communicator, **own}

    def _launch(self, outcome: Outcome) -> int | None:
        with (self.folder / "output").open("w+") as output:
            process = subprocess.Popen(
                [
                    str(BUILD / "controller/launch/farandolerun"),
                    *("-np", str(RANKS), "--grace", "1"),
                    str(BUILD / "tests/failpoints/failpoint_rank"),
                    *self._victim(),
                ],
                env=self._environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=self._prepare,
            )
            exit_code = self._await(process)
            output.seek(0)
            outcome.output = output.read()
        if exit_code is None:
            outcome.wrong.append(f"did not end within {LIMIT} s")
            process.kill()
            process.wait()
        return exit_code

    def _victim(self) -> list[str]:
        signal_sent = VICTIMS.get(self.case.scene)
        return [str(VICTIM), str(int(signal_sent))] if signal_sent else []

    def _prepare(self) -> None:
        if self.case.scene == "gloo":  # sparse, too: no standard input, few files
            os.close(0)
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 4096))

    def _await(self, process: subprocess.Popen[bytes]) -> int | None:
        """Its exit code. What the case stops of the launcher goes on after a while."""
        deadline = time.monotonic() + LIMIT
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self.case.action != "stop":
                return process.wait(LIMIT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(STOPPED)
            for pid in self._processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            return process.wait(max(0.0, deadline - time.monotonic()))
        return None

    def _processes(self) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and self.mark.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
        return found

    def _judge_leftovers(self, outcome: Outcome) -> None:
        deadline = time.monotonic() + GONE_AFTER
        while (left := self._processes()) and (patience := deadline - time.monotonic()) > 0:
            if self.case.action == "stop":
                for pid in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)
                patience = min(patience, AGAIN)
            await_end(left[0], patience)
        outcome.wrong += [f"process {pid} is left" for pid in left]
        outcome.wrong += [f"file {path.name} is left" for path in self.scratch.iterdir()]

    def _judge(self, exit_code: int | None, outcome: Outcome) -> None:
        reports: list[dict[str, Any]] = [json.loads(r) for r in REPORT.findall(outcome.output)]
        joined = {r["rank"] for r in reports if r["event"] == "joined"}
        last = {r["rank"]: r for r in reports if r["event"] != "joined"}
        outcome.wrong += [
            f"rank {r} had a wrong result" for r in last if last[r]["event"] == "wrong"
        ]
        harmless = not outcome.reached or self.case.action in HARMLESS
        if harmless and self.case.scene not in VICTIMS:
            if exit_code != 0 or [r["event"] for r in last.values()] != ["finished"] * RANKS:
                outcome.wrong.append(f"not everybody finished (exit code {exit_code})")
        elif self.case.role != "job" or harmless:
            failed = [r for r in last.values() if r["event"] == "failed"]
            outcome.wrong += [text for r in failed for text in self._judge_failure(r)]
            outcome.wrong += self._judge_end(exit_code, bool(failed), joined - set(last), outcome)
        elif exit_code and exit_code > 0 and not self._has_a_last_word(outcome):
            outcome.wrong.append(f"exit code {exit_code} without a word")

    def _has_a_last_word(self, outcome: Outcome) -> bool:
        unable = "write" in self.case.point.name  # what fails is the writing of it
        return unable or "farandolerun: " in outcome.output

    def _judge_failure(self, report: dict[str, Any]) -> list[str]:
        """A rank says what a program can act upon, and blames the right one."""
        case, text = self.case, report["text"]
        ours = case.action == "throw" and "failpoint" in text
        found = [] if report["code"] in TYPED or ours else [f"rank {report['rank']}: {text}"]
        # Before the group has formed a rank that is late is named, but nobody's culprit.
        right = {int(case.role)} if case.role != "job" else set()
        right |= {VICTIM} if case.scene in VICTIMS else set()
        names_it = report["culprit"] in right or any(f"rank {r}" in text for r in right)
        # Whom the launcher ends because of a failure while the group forms goes without a goodbye.
        names_it |= "was lost while the group formed" in text
        passive = case.action in DEATHS and str(report["rank"]) != case.role
        if passive and not names_it:
            found.append(f"rank {report['rank']} blames {report['culprit']}: {text}")
        return found

    def _judge_end(
        self, exit_code: int | None, failed: bool, mute: set[int], outcome: Outcome
    ) -> list[str]:
        case, found = self.case, []
        dies = outcome.reached and case.action in ("kill", "segv", "throw")
        has_victim = case.scene in VICTIMS
        if not dies and CRASHED.search(outcome.output):
            found.append("an error of the system ended a process")
        if (dies or has_victim or failed) and exit_code == 0:
            found.append("exit code 0 although a rank failed")
        mute -= {int(case.role)} if case.role != "job" else set()
        mute -= {VICTIM} if has_victim else set()
        if mute:
            found.append(
                f"ranks {sorted(mute)} had joined and said nothing (exit code {exit_code})"
            )
        return found
