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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from case import SCENES, Case
from points import Point, points
from trial import Outcome, Trial

PARALLEL = 8  # most of a case is waiting
# Points that the jobs here pass by chance or never, and what shows them instead.
RARE = {
    "affinity.bind_to.sched_setaffinity": "nothing is bound there: job_binding_test",
    "connection.write_when_possible.async_wait": "a socket that takes no more: connection_test",
    "job_loop.drain.poll": "output that nobody read while the job lived: test_launcher.py",
    "process_card.watch_process.eventfd": "one that has long ended: heartbeat_test",
    "sync.futex": "a member that is late by more than a few turns of the others: sync_test",
    "mesh.turn.read": "an abort while the lane waits: gloo_transport_test",
    "name_lookup.ask.getaddrinfo": "a host by its name: name_lookup_test",
}
# Files that only a job of several hosts passes, which the jobs here are not: tests/hosts has those.
SEVERAL_HOSTS = {
    f"controller/launch/{name}.cc"
    for name in (
        "outpost",
        "outpost_input",
        "outpost_link",
        "outpost_preparation",
        "remote_host",
        "remote_hosts",
        "ssh_start",
    )
}
RARE |= dict.fromkeys(
    [
        f"addresses.{name}"
        for name in (
            "listen_at.listen",
            "begin_connect.socket",
            "begin_connect.connect",
            "is_connected.getsockopt",
        )
    ],
    "an address for several hosts: tests/hosts",
)


def one_host_points() -> Iterator[Point]:
    return (point for point in points() if point.path not in SEVERAL_HOSTS)


def all_cases(point: Point, hits: Iterable[int]) -> Iterator[Case]:
    """The full product at a point."""
    for scene in SCENES:
        for role in point.roles():
            for action in point.actions():
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
    for scene in sorted(SCENES, key=lambda s: zlib.crc32((s + point.name).encode())):
        for role in point.roles():
            outcomes.append(run(Case(point, action, role, scene)))
            if outcomes[-1].reached:
                return outcomes
    return outcomes


def sweep(
    work: Iterable[Callable[[], list[Outcome]]], progress: Callable[[Outcome], None]
) -> list[Outcome]:
    """Does all of it, some at a time."""
    done: list[Outcome] = []
    with ThreadPoolExecutor(PARALLEL) as pool:
        for outcomes in pool.map(lambda job: job(), list(work)):
            for outcome in outcomes:
                progress(outcome)
            done += outcomes
    return done


def complaints(outcomes: list[Outcome], in_all_roles: bool = True) -> list[str]:
    """What was wrong, and which points nobody passed."""
    found = [
        f"{outcome.case}: {'; '.join(outcome.wrong)}\n{outcome.output}"
        for outcome in outcomes
        if outcome.wrong
    ]
    reached = {outcome.case.point.name for outcome in outcomes if outcome.reached}
    tried = {outcome.case.point.name for outcome in outcomes}
    if in_all_roles:
        found += [f"{name}: not reached" for name in sorted(tried - reached - set(RARE))]
    return found


def main() -> int:
    """The full sweep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", default="", help="only those whose name contains this")
    parser.add_argument("--role", help="only this one: a rank, or job for the launcher")
    parser.add_argument("--hits", default="1,4", help="at which passages (default %(default)s)")
    parser.add_argument("--list", action="store_true", help="list the points and end")
    options = parser.parse_args()
    chosen = [point for point in one_host_points() if options.points in point.name]
    if options.list:
        for point in chosen:
            print(point.name, point.path, " ".join(point.actions()), sep="\t")
        return 0
    hits = [int(hit) for hit in options.hits.split(",")]
    cases = [
        case
        for point in chosen
        for case in all_cases(point, hits)
        if options.role in (None, case.role)
    ]
    count = 0

    def show(outcome: Outcome) -> None:
        nonlocal count
        count += 1
        if outcome.wrong:
            print(f"\r{outcome.case}: {'; '.join(outcome.wrong)}", flush=True)
        print(f"\r{count} of {len(cases)} cases", end="", file=sys.stderr, flush=True)

    outcomes = sweep([partial(run_alone, case) for case in cases], show)
    print(file=sys.stderr)
    found = complaints(outcomes, options.role is None)
    print("\n".join(found))
    reached = sum(outcome.reached for outcome in outcomes)
    longest = max(outcomes, key=lambda outcome: outcome.seconds)
    print(
        f"{len(chosen)} points, {len(cases)} cases, {reached} reached; "
        f"longest {longest.seconds:.1f} s ({longest.case})"
    )
    wrong = sum(bool(outcome.wrong) for outcome in outcomes)
    print(f"{len(outcomes) - wrong} passed, {len(found)} failed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
