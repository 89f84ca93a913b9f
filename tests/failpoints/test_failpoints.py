"""One case at each failpoint; the full product is `make failpoints`. And how cases are judged."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from case import JOB, RANKS, Case
from judge import Seen, judge
from points import ROOT, UNTHROWN, Point, points
from several_hosts import one_host_points
from sweep import RARE, complaints, first_reached, run_alone, sweep
from trial import BUILD, WITNESS

READ = Point("somewhere.poll", "controller/launch/somewhere.cc", frozenset({"_CALL"}))
NO_MEMORY, AGAIN = "12", "4"
# Cases of the full product that the product once failed: point, action, role, scene, passage.
ONCE_WRONG = [
    ("name_lookup.look_up_number.getaddrinfo", NO_MEMORY, "1", "gloo", 4),
    ("heartbeat.push.send", "throw", "0", "freeze", 1),
    ("fork_closed.enter.fstat", "throw", "0", "shm", 4),
    ("listener.shake.send", "throw", "0", "shm", 4),
]
WORD = "farandolerun: the agent on host h failed with exit code 1; its ranks were ended with it\n"


def test_something_happens_at_each_failpoint() -> None:
    outcomes = sweep(
        [partial(first_reached, point) for point in one_host_points()], lambda outcome: None
    )
    assert len(outcomes) > 100
    assert not complaints(outcomes), "\n".join(complaints(outcomes))


def test_what_once_ended_wrongly_ends_right() -> None:
    by_name = {point.name: point for point in one_host_points()}
    cases = [
        Case(by_name[name], action, role, scene, hit)
        for name, action, role, scene, hit in ONCE_WRONG
    ]
    outcomes = sweep([partial(run_alone, case) for case in cases], lambda outcome: None)
    assert all(outcome.reached for outcome in outcomes)
    assert not complaints(outcomes), "\n".join(complaints(outcomes))


@pytest.mark.parametrize("name", RARE)
def test_what_jobs_rarely_pass_a_test_passes(name: str, tmp_path: Path) -> None:
    assert name in {point.name for point in points()}
    program, test = RARE[name]
    token = tmp_path / "passed"
    nothing = {"FDL_FAILPOINT": f"{name} 0 job 1 {token}"}  # as if all were well
    command = [str(BUILD / "tests" / program), f"--gtest_filter={test}"]
    ended = subprocess.run(
        command,
        env={**os.environ, **nothing},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # How it ends is looked at where it has the cores to itself: some measure time.
    assert "Running 1 test from 1 test suite" in ended.stdout, ended.stdout + ended.stderr
    assert token.exists(), f"{test} does not pass {name}"


def test_the_full_sweep_throws_wherever_something_can_be_thrown() -> None:
    unthrown = {point.name: point for point in points() if "throw" not in point.all_actions()}
    assert {name.rpartition(".")[0] for name in unthrown} == UNTHROWN
    for name, point in unthrown.items():
        before = (ROOT / point.path).read_text().partition(f'"{name}"')[0]
        head = re.findall(r"^\w.*\) (noexcept )?\{$", before, flags=re.MULTILINE)[-1]
        assert head == "noexcept ", f"{name} stands where something can be thrown"


def report(rank: int, event: str, **more: object) -> str:
    return f"REPORT {json.dumps({'rank': rank, 'event': event, **more})}\n"


def failure(rank: int, code: str = "System", text: str = "no memory") -> str:
    return report(rank, "failed", code=code, culprit=-1, text=text)


JOINED = "".join(report(rank, "joined") for rank in range(RANKS))
FINISHED = "".join(report(rank, "finished") for rank in range(RANKS))
ABORTED = "farandolerun: rank 1 was ended by SIGABRT\n"
ENDED = "an error of the system ended a process"
LOST_OUTPUT = "farandolerun: warning: standard output is lost from here on: write: no space\n"
SILENT = "ranks [0, 2] had joined and said nothing (exit code 3)"
DEFECT = failure(1, "Internal", "a defect")
LOST = JOINED + "".join(failure(rank, "PeerLost", "rank 1 was lost") for rank in (0, 2))
WRONG_LOST = LOST.replace("rank 1", "rank 0")
BLAMES = [f"rank {rank} blames -1: rank 0 was lost" for rank in (0, 2)]
WHY = f"rank 2 was lost: failpoint {READ.name}"
CUT = JOINED + "".join(failure(rank, "PeerLost", WHY) for rank in range(RANKS))
UNTOLD = CUT.replace("failpoint", "reset by")
BLAMES_PEER = [f"rank {rank} blames -1: {WHY}" for rank in (1, 2)]
BLAMES_UNTOLD = [blame.replace("failpoint", "reset by") for blame in BLAMES_PEER]
FAILED = JOINED + "".join(failure(rank) for rank in range(RANKS))


@pytest.mark.parametrize(
    ("action", "role", "exit_code", "output", "crashes", "wrong"),
    [
        (AGAIN, JOB, 0, FINISHED, [], []),
        (AGAIN, JOB, 1, FINISHED + WORD, [], ["not everybody finished (exit code 1)"]),
        (NO_MEMORY, JOB, 1, JOINED + WORD, [], []),
        (NO_MEMORY, JOB, 0, FINISHED, [], []),
        (NO_MEMORY, JOB, 1, JOINED, [], ["exit code 1 without a word"]),
        (NO_MEMORY, JOB, -6, WORD, [], ["signal 6 ended the launcher"]),
        (NO_MEMORY, JOB, 1, WORD, ["job.6"], ["SIGABRT ended job"]),
        (NO_MEMORY, JOB, 134, ABORTED, [], [ENDED]),
        (NO_MEMORY, JOB, 0, JOINED + LOST_OUTPUT, [], []),
        (NO_MEMORY, JOB, 0, JOINED, [], ["exit code 0 although not everybody finished"]),
        (NO_MEMORY, JOB, 3, FAILED + DEFECT + WORD, [], ["rank 1: a defect"]),
        ("kill", JOB, -9, JOINED, [], []),
        ("kill", JOB, -9, JOINED, ["0.13"], []),
        (NO_MEMORY, JOB, 1, JOINED + WORD, ["0.13"], ["SIGPIPE ended 0"]),
        ("kill", JOB, -6, JOINED, ["job.6"], ["SIGABRT ended job", "signal 6 ended the launcher"]),
        ("throw", JOB, 1, JOINED + WORD, ["job.6"], []),
        ("throw", JOB, 1, JOINED + WORD, ["1.6"], ["SIGABRT ended 1"]),
        (NO_MEMORY, "1", 3, FAILED + WORD, [], []),
        (NO_MEMORY, "1", 3, FAILED, [], ["exit code 3 without a word"]),
        (NO_MEMORY, "1", 3, FAILED + WORD, ["1.6"], ["SIGABRT ended 1"]),
        (NO_MEMORY, "1", 1, FAILED + WORD, [], ["exit code 1 where a rank told of an error"]),
        (NO_MEMORY, "1", 3, JOINED + WORD, [], [SILENT]),
        ("throw", "1", 0, FINISHED, [], []),
        ("throw", "1", 134, LOST + WORD, ["1.6"], []),
        ("throw", "1", 139, LOST + WORD, ["1.11"], ["SIGSEGV ended 1"]),
        ("throw", "1", 134, LOST + WORD, ["1.6", "2.6"], ["SIGABRT ended 2"]),
        ("throw", "0", 3, CUT + WORD, [], []),
        ("throw", "0", 3, UNTOLD + WORD, [], BLAMES_UNTOLD),
        ("kill", "0", 3, CUT + WORD, [], BLAMES_PEER),
        ("kill", "1", 137, WRONG_LOST + WORD, [], BLAMES),
    ],
)  # fmt: skip
def test_ends_are_judged(
    action: str, role: str, exit_code: int, output: str, crashes: list[str], wrong: list[str]
) -> None:
    seen = Seen(Case(READ, action, role, "shm"), True, exit_code, output, crashes)
    assert judge(seen) == wrong


@pytest.mark.parametrize(
    ("role", "scene", "missed"), [("0", "death", None), ("1", "death", [0]), ("0", "shm", [1, 2])]
)
def test_who_cannot_hear_of_a_death_need_not_tell_of_it(
    role: str, scene: str, missed: list[int] | None
) -> None:
    seen = Seen(Case(READ, "stop", role, scene), True, 137, JOINED + WORD)
    said = f"ranks {missed} had joined and said nothing (exit code 137)"
    assert judge(seen) == ([said] if missed else [])


@pytest.mark.parametrize(
    ("number", "told"), [(signal.SIGABRT, True), (signal.SIGSEGV, True), (signal.SIGTERM, False)]
)
def test_the_witness_tells_of_faults(number: signal.Signals, told: bool, tmp_path: Path) -> None:
    own = {"LD_PRELOAD": str(WITNESS), "FAILPOINT_WITNESS": str(tmp_path), "FARANDOLE_RANK": "7"}
    command = ["prlimit", "--core=0", "sh", "-c", f"kill -{number.value} $$"]
    ended = subprocess.run(command, env={**os.environ, **own}, timeout=30, check=False)
    assert ended.returncode == -number
    assert [path.name for path in tmp_path.iterdir()] == ([f"7.{number.value}"] if told else [])
