"""What is right of the end of a job with an order at a failpoint, and what is wrong."""

from __future__ import annotations

import json
import re
import signal
from dataclasses import dataclass, field
from typing import Any

from case import HERE, JOB, OUTPOST, RANKS, THERE, Case

REPORT = re.compile(r"REPORT (\{.*\})")
CRASHED = re.compile(r"terminate called|was ended by SIG(ABRT|SEGV|BUS|ILL|FPE|PIPE|SYS|TRAP)")
TYPED = {"PeerLost", "Timeout", "Aborted", "System", "Unsupported", "Mismatch"}
FAILED = 3  # the exit code of a rank that tells of an error
ORDERED = {"kill": -signal.SIGKILL, "segv": -signal.SIGSEGV}
LAST_WORD = "farandolerun: "
OUTPUT_LOST = "farandolerun: warning: standard output is lost"  # which is no reason to end a job


@dataclass(frozen=True)
class Seen:
    """What was to be seen of a job that has ended, or was ended."""

    case: Case
    reached: bool  # the order was carried out
    exit_code: int | None  # the launcher's; negative: a signal; None: it had to be killed
    output: str
    # Processes that a fault of their own ended, as the witness tells: "ROLE.SIGNAL".
    crashes: list[str] = field(default_factory=list)

    @property
    def reports(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in REPORT.findall(self.output)]

    @property
    def joined(self) -> set[int]:
        return {r["rank"] for r in self.reports if r["event"] == "joined"}

    @property
    def last(self) -> dict[int, dict[str, Any]]:
        """How each rank ended that could say so."""
        return {r["rank"]: r for r in self.reports if r["event"] != "joined"}

    @property
    def all_finished(self) -> bool:
        return [r["event"] for r in self.last.values()] == ["finished"] * RANKS


def judge(seen: Seen) -> list[str]:
    """What is wrong."""
    case = seen.case
    last = seen.last.values()
    wrong = [f"rank {r['rank']} had a wrong result" for r in last if r["event"] == "wrong"]
    wrong += judge_crashes(seen)
    if (not seen.reached or case.harmless) and case.victim is None:
        if seen.exit_code != 0 or not seen.all_finished:
            wrong.append(f"not everybody finished (exit code {seen.exit_code})")
        return wrong
    for report in last:
        if report["event"] == "failed":
            wrong += judge_failure(seen, report)
    if seen.exit_code is not None:
        wrong += judge_code(seen, seen.exit_code)
    return wrong + judge_silence(seen)


def judge_crashes(seen: Seen) -> list[str]:
    """A call that fails ends nobody by a signal. Who is told to throw may end that way, and who
    writes to a launcher that is gone."""
    case = seen.case
    dies = seen.reached and case.ends_it
    excused = set()
    if dies and case.action == "throw":
        excused.add(f"{case.role if case.by_rank else JOB}.{int(signal.SIGABRT)}")
    if dies and not case.by_rank:
        excused |= {f"{rank}.{int(signal.SIGPIPE)}" for rank in range(RANKS)}
    wrong = []
    for crash in seen.crashes:
        role, _, number = crash.partition(".")
        if crash not in excused:
            wrong.append(f"{signal.Signals(int(number)).name} ended {role}")
    if not dies and CRASHED.search(seen.output):
        wrong.append("an error of the system ended a process")
    return wrong


def judge_failure(seen: Seen, report: dict[str, Any]) -> list[str]:
    """A rank says what a program can act upon, and blames the right one."""
    case, text = seen.case, report["text"]
    ours = case.action == "throw" and "failpoint" in text
    wrong = [] if report["code"] in TYPED or ours else [f"rank {report['rank']}: {text}"]
    # What the launcher does ends ranks, each of which may be the first whom the others miss.
    if not case.by_rank:
        return wrong
    # Before the group has formed a rank that is late is named, but nobody's culprit.
    right = {int(case.role), case.victim} - {None}
    names_it = report["culprit"] in right or any(f"rank {r}" in text for r in right)
    # Whom the launcher ends because of a failure while the group forms goes without a goodbye.
    names_it |= "was lost while the group formed" in text
    # What is thrown in one connection costs it alone: its peer is lost, for the reason told.
    names_it |= ours and f"failpoint {case.point.name}" in text
    passive = case.strikes and str(report["rank"]) != case.role
    if passive and not names_it:
        wrong.append(f"rank {report['rank']} blames {report['culprit']}: {text}")
    return wrong


def judge_code(seen: Seen, code: int) -> list[str]:
    """The launcher ends by itself, its exit code is that of what happened, and it says so."""
    case = seen.case
    if code < 0:
        by_order = seen.reached and case.role == JOB and code == ORDERED.get(case.action)
        return [] if by_order else [f"signal {-code} ended the launcher"]
    wrong = []
    failed = any(r["event"] == "failed" for r in seen.last.values())
    if code == 0 and not seen.all_finished and OUTPUT_LOST not in seen.output:
        wrong.append("exit code 0 although not everybody finished")
    dies = seen.reached and case.ends_it and case.by_rank
    # After the last result, what is thrown may be of no consequence but for a warning.
    dies &= not (case.action == "throw" and seen.all_finished)
    if code == 0 and (dies or failed or case.victim is not None):
        wrong.append("exit code 0 although a rank failed")
    # What fails is the writing of it.
    unable = "write" in case.point.name and not case.on_hosts
    if code > 0 and LAST_WORD not in seen.output and not unable:
        wrong.append(f"exit code {code} without a word")
    if code > 0 and case.on_hosts and not names_a_host(seen):
        wrong.append(f"does not name a host at fault: {last_word(seen)!r}")
    by_itself = case.by_rank and case.victim is None and not case.strikes
    if by_itself and code not in (0, FAILED):
        wrong.append(f"exit code {code} where a rank told of an error")
    return wrong


def last_word(seen: Seen) -> str:
    """The last line of the launcher's."""
    said = [line for line in seen.output.splitlines() if line.startswith(LAST_WORD)]
    return said[-1] if said else ""


def names_a_host(seen: Seen) -> bool:
    """The last word does: the other one, or what happens to the launcher, either. What the launcher
    itself throws is no host's fault."""
    if seen.case.action == "throw" and seen.case.role == JOB:
        return f"failpoint {seen.case.point.name}" in last_word(seen)
    hosts = THERE if seen.case.role == OUTPOST else f"{HERE}|{THERE}"
    return re.search(rf"\b({hosts})\b", last_word(seen)) is not None


def judge_silence(seen: Seen) -> list[str]:
    """Whoever has joined says how it ended; unless it is the launcher that ends it."""
    case = seen.case
    if not case.by_rank and not case.harmless:
        return []
    # Rank 0, which tells the others of a death, stands still: the second that the launcher leaves
    # them to speak may pass before they give it up.
    if case.role == "0" and case.action == "stop" and case.scene == "death":
        return []
    mute = seen.joined - set(seen.last)
    mute -= {int(case.role)} if case.role != JOB else set()
    mute -= {case.victim}
    if not mute:
        return []
    return [f"ranks {sorted(mute)} had joined and said nothing (exit code {seen.exit_code})"]
