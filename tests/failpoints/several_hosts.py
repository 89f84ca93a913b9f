"""The points that only a job of several hosts passes, and what happens at them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

from case import JOB, OUTPOST, PLACES, Case
from points import Point, points
from trial import Outcome

# Whose process passes the points of a file of controller/launch, or a single one.
ROLES = {
    "outpost.cc": [OUTPOST],
    "outpost_input.cc": [OUTPOST],
    "outpost_link.cc": [JOB, OUTPOST],
    "outpost_preparation.cc": [OUTPOST],
    "remote_host.cc": [JOB],
    "remote_hosts.cc": [JOB],
    "ssh_start.cc": [JOB],
    "addresses.listen_at.listen": [JOB, OUTPOST],
    "addresses.turn_away_from.accept4": [JOB, OUTPOST],
    "addresses.begin_connect.socket": [JOB, OUTPOST],
    "addresses.begin_connect.connect": [JOB, OUTPOST],
    "addresses.outcome_of.getsockopt": [JOB, OUTPOST],
}
AT_ONCE = 4  # jobs; each has an ssh, a shell and an outpost to wait for


def roles(point: Point) -> list[str]:
    """None where a job of one host passes it, too."""
    return ROLES.get(point.path.removeprefix("controller/launch/"), ROLES.get(point.name, []))


def hosts_points() -> Iterator[Point]:
    return (point for point in points() if roles(point))


def one_host_points() -> Iterator[Point]:
    return (point for point in points() if not roles(point))


def hosts_cases(point: Point, hits: Iterable[int]) -> Iterator[Case]:
    """The full product at a point."""
    for scene in PLACES:
        for role in roles(point):
            for action in point.all_actions():
                for hit in hits:
                    yield Case(point, action, role, scene, hit)


def first_on_hosts(run: Callable[[Case], Outcome], point: Point, role: str) -> list[Outcome]:
    """One action at a point, of the job in which this role passes it."""
    actions = point.actions()
    action = actions[zlib.crc32((role + point.name).encode()) % len(actions)]
    outcomes: list[Outcome] = []
    for scene in PLACES:
        outcomes.append(run(Case(point, action, role, scene)))
        if outcomes[-1].reached:
            break
    return outcomes
