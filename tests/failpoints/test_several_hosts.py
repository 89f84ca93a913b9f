"""One case at each failpoint that only a job of several hosts passes; the full product is `make
failpoints`. And how they are judged."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from case import JOB, OUTPOST, Case
from host_trial import HostTrial, two_hosts, why_not
from judge import Seen, judge
from points import Point, points
from several_hosts import AT_ONCE, ROLES, first_on_hosts, hosts_points, roles
from sweep import SESSIONS_GONE, complaints, sweep

READ = Point("somewhere.poll", "controller/launch/outpost.cc", frozenset({"_CALL"}))
LOST = "farandolerun: the connection to host h1 was lost (ssh ended)\n"
HERE = "farandolerun: host h0, where rank 0 is to run, has no port\n"


@pytest.mark.skipif(bool(why_not()), reason=why_not())
@pytest.mark.timeout(300)
def test_something_happens_at_each_failpoint_of_several_hosts() -> None:
    work = [(point, role) for point in hosts_points() for role in roles(point)]
    with two_hosts() as hosts:
        outcomes = sweep(
            [
                partial(first_on_hosts, lambda case: HostTrial(case, hosts).run(), *each)
                for each in work
            ],
            lambda outcome: None,
            AT_ONCE,
        )
        assert hosts.sessions_after(SESSIONS_GONE) == []
    assert not complaints(outcomes), "\n".join(complaints(outcomes))


def test_each_role_is_one_of_a_point() -> None:
    """What is entered of files and points is still there."""
    there = {point.path.removeprefix("controller/launch/") for point in hosts_points()}
    there |= {point.name for point in points()}
    assert set(ROLES) <= there


@pytest.mark.parametrize(
    ("role", "exit_code", "output", "wrong"),
    [
        (OUTPOST, 255, LOST, []),
        (OUTPOST, 255, "", ["exit code 255 without a word", "does not name a host at fault: ''"]),
        (OUTPOST, 1, LOST + HERE, [f"does not name a host at fault: {HERE.strip()!r}"]),
        (OUTPOST, -9, LOST, ["signal 9 ended the launcher"]),
        (JOB, 1, HERE, []),
        (JOB, -9, "", []),
    ],
)
def test_ends_on_hosts_are_judged(role: str, exit_code: int, output: str, wrong: list[str]) -> None:
    case = Case(READ, "kill", role, "rank 0 here")
    assert judge(Seen(case, True, exit_code, output)) == wrong


def test_what_the_launcher_itself_throws_is_no_hosts_fault() -> None:
    word = f"farandolerun: failpoint {READ.name}\n"
    for role, told in ((JOB, word), (OUTPOST, LOST)):
        assert judge(Seen(Case(READ, "throw", role, "rank 0 here"), True, 1, told)) == []
    for role, told in ((JOB, HERE), (OUTPOST, word)):
        (wrong,) = judge(Seen(Case(READ, "throw", role, "rank 0 here"), True, 1, told))
        assert wrong.startswith("does not name a host at fault: ")
