"""Sweep over all failpoints: something happens at each of them, and the job takes it well.

Every case must end within 15 s, with typed errors where there are any, and nothing left behind.
`make failpoints` runs every action of every point, of both communicators and roles; the test of the
suite runs one case of each point (choose()).
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from case import Case, scenes
from host_trial import Hosts, HostTrial, two_hosts, why_not
from points import Point, points
from several_hosts import AT_ONCE, hosts_cases, roles
from trial import Outcome, Trial

PARALLEL = 8  # most of a case is waiting
SESSIONS_GONE = 10.0  # seconds
# Points that the jobs here pass by chance or never, and which test of build/dev/tests passes each.
RARE = {
    "affinity.bind_to.sched_setaffinity": (  # a rank that is bound
        "launch/launch_job_test",
        "JobBinding.EachRankRunsOnItsOwnThread",
    ),
    "connection.write_when_possible.async_wait": (  # a socket that takes no more
        "net/net_test",
        "Connection.ManyLargeFramesPassThroughFullBuffers",
    ),
    "coordinator_host.close_after_flush": (  # somebody is there still when rank 0 ends
        "controller/tcp_control_plane_test",
        "TurningAway.TheHeartbeatsOfAProcessOutliveTheConnectionOfTheOneBeforeIt",
    ),
    "coordinator_host.closed": (  # and goes before it gives up
        "controller/tcp_control_plane_test",
        "TurningAway.TheHeartbeatsOfAProcessOutliveTheConnectionOfTheOneBeforeIt",
    ),
    "process_card.watch_process.eventfd": (  # one that has long ended
        "net/net_test",
        "ProcessCard.AProcessThatNobodyKnowsAnyMoreHasEnded",
    ),
    "stack_teller.ask": (  # a rank that others wait for in vain
        "controller/tcp_control_plane_test",
        "StackTellerTest.TellsWhatTheProgramSaysOnAThreadOfItsOwn",
    ),
    "sync.futex": (  # a member that is late by more than a few turns of the others
        "shm/shm_test",
        "FlagBarrier.InterruptWakesASleeper",
    ),
    "mesh.turn.read": (  # an abort while the lane waits
        "gloo/gloo_abort_test",
        "Gloo/AbortTest.Returns/AllreduceRing_65536_4_waiting",
    ),
    "name_lookup.ask.getaddrinfo": (  # a host by its name
        "core/core_base_test",
        "NameLookup.AsksForStreamsAndThePort",
    ),
}


def all_cases(point: Point, hits: Iterable[int]) -> Iterator[Case]:
    """The full product at a point."""
    for scene in scenes(point):
        for role in point.roles():
            for action in point.all_actions():
                for hit in hits:
                    yield Case(point, action, role, scene, hit)


def run(case: Case) -> Outcome:
    """Runs and judges one case."""
    return Trial(case).run()


def run_alone(case: Case) -> list[Outcome]:
    return [run(case)]


def first_reached(point: Point) -> list[Outcome]:
    """One action at a point, in one scene and role after the other until one passes the point."""
    actions = point.actions()
    action = actions[zlib.crc32(point.name.encode()) % len(actions)]
    outcomes: list[Outcome] = []
    for scene in sorted(scenes(point), key=lambda s: zlib.crc32((s + point.name).encode())):
        for role in point.roles():
            outcomes.append(run(Case(point, action, role, scene)))
            if outcomes[-1].reached:
                return outcomes
    return outcomes


def sweep(
    work: Iterable[Callable[[], list[Outcome]]],
    progress: Callable[[Outcome], None],
    at_once: int = PARALLEL,
) -> list[Outcome]:
    """Does all of it, so many at a time."""
    done: list[Outcome] = []
    with ThreadPoolExecutor(at_once) as pool:
        for outcomes in pool.map(lambda job: job(), list(work)):
            for outcome in outcomes:
                progress(outcome)
            done += outcomes
    return done


def place(case: Case) -> str:
    """What has to be reached: a point by anybody, on several hosts by everybody who passes it."""
    return f"{case.point.name}, {case.role}" if case.on_hosts else case.point.name


def complaints(outcomes: list[Outcome], in_all_roles: bool = True) -> list[str]:
    """What was wrong, and which points nobody passed."""
    found = [
        f"{outcome.case}: {'; '.join(outcome.wrong)}\n{outcome.output}"
        for outcome in outcomes
        if outcome.wrong
    ]
    reached = {place(outcome.case) for outcome in outcomes if outcome.reached}
    tried = {place(outcome.case) for outcome in outcomes}
    if in_all_roles:
        missed = sorted(tried - reached)
        found += [f"{name}: not reached" for name in missed if name.split(", ")[0] not in RARE]
    return found


class Progress:
    """Says on the way what is wrong, and how far it is."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0

    def __call__(self, outcome: Outcome) -> None:
        self.done += 1
        if outcome.wrong:
            print(f"\r{outcome.case}: {'; '.join(outcome.wrong)}", flush=True)
        print(f"\r{self.done} of {self.total} cases", end="", file=sys.stderr, flush=True)


def run_on(hosts: Hosts, case: Case) -> list[Outcome]:
    return [HostTrial(case, hosts).run()]


def run_all(cases: list[Case]) -> list[Outcome]:
    """Those of one host, then those of several on two that are there for all of them."""
    show = Progress(len(cases))

    outcomes = sweep([partial(run_alone, case) for case in cases if not case.on_hosts], show)
    if on_hosts := [case for case in cases if case.on_hosts]:
        with two_hosts() as hosts:
            outcomes += sweep([partial(run_on, hosts, case) for case in on_hosts], show, AT_ONCE)
            left = hosts.sessions_after(SESSIONS_GONE)
            assert not left, f"sessions of sshd are left: {left}"
    print(file=sys.stderr)
    return outcomes


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", default="", help="only those whose name contains this")
    parser.add_argument(
        "--role", help="only this one: a rank, job for the launcher, outpost for that on a host"
    )
    parser.add_argument("--hits", default="1,4", help="at which passages (default %(default)s)")
    parser.add_argument("--list", action="store_true", help="list the points and end")
    return parser.parse_args()


def chosen_cases(options: argparse.Namespace) -> list[Case]:
    hits = [int(hit) for hit in options.hits.split(",")]
    cases = [
        case
        for point in points()
        if options.points in point.name
        for case in (hosts_cases(point, hits) if roles(point) else all_cases(point, hits))
        if options.role in (None, case.role)
    ]
    if reason := why_not():
        left_out = {case.point.name for case in cases if case.on_hosts}
        print(f"{len(left_out)} points of jobs of several hosts are left out: {reason}")
        cases = [case for case in cases if not case.on_hosts]
    return cases


def main() -> int:
    """The full sweep."""
    options = parse()
    cases = chosen_cases(options)
    chosen = {case.point.name: case.point for case in cases}
    if options.list:
        for point in chosen.values():
            print(point.name, point.path, " ".join(point.all_actions()), sep="\t")
        return 0
    outcomes = run_all(cases)
    found = complaints(outcomes, options.role is None)
    print("\n".join(found))
    for name, group in groupby(outcomes, lambda o: "two hosts" if o.case.on_hosts else "one host"):
        print(summary(name, list(group)))
    wrong = sum(bool(outcome.wrong) for outcome in outcomes)
    print(f"{len(outcomes) - wrong} passed, {len(found)} failed")
    return 1 if found else 0


def summary(name: str, outcomes: list[Outcome]) -> str:
    longest = max(outcomes, key=lambda outcome: outcome.seconds)
    return (
        f"{name}: {len({outcome.case.point.name for outcome in outcomes})} points, "
        f"{len(outcomes)} cases, {sum(outcome.reached for outcome in outcomes)} reached; "
        f"longest {longest.seconds:.1f} s ({longest.case})"
    )


if __name__ == "__main__":
    sys.exit(main())
