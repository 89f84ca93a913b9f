"""What is ordered of a job: where, of whom, while what else happens."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from points import DEATHS, HARMLESS, Point

RANKS = 3
SCENES = ("shm", "gloo", "freeze", "death")
# To whom happens, over Gloo and by itself, what these scenes are named after.
VICTIMS = {
    "freeze": (2, signal.SIGSTOP),
    "death": (2, signal.SIGKILL),
    "freeze of rank 0": (0, signal.SIGSTOP),
    "death of rank 0": (0, signal.SIGKILL),
}
# Where only that leads to the point.
SCENES_OF = {
    "driver.give_up_coordinator": ("freeze of rank 0",),
    "driver.lose_coordinator": ("death of rank 0",),
}
# Jobs of two hosts, as -H has them: rank 0 is on the launcher's, or on the other one.
PLACES = {"rank 0 there": "h1:2,h0:1", "rank 0 here": "h0:1,h1:2"}
HERE, THERE = "h0", "h1"
JOB = "job"  # the role of launcher, agent and keepers
OUTPOST = "outpost"  # and of those on the other host


def scenes(point: Point) -> tuple[str, ...]:
    """Those in which a job on one host may pass the point."""
    return SCENES_OF.get(point.name, SCENES)


@dataclass(frozen=True)
class Case:
    """An order to one process at one point."""

    point: Point
    action: str
    role: str  # a rank, JOB or OUTPOST
    scene: str  # the communicator, or one of VICTIMS or PLACES
    hit: int = 1

    def __str__(self) -> str:
        action = os.strerror(int(self.action)) if self.action.isdigit() else self.action
        who = {JOB: "launcher", OUTPOST: "outpost"}.get(self.role, f"rank {self.role}")
        return f"{self.point.name}: {action}, {who}, {self.scene}, passage {self.hit}"

    @property
    def victim(self) -> int | None:
        """The rank to which something happens besides."""
        return VICTIMS[self.scene][0] if self.scene in VICTIMS else None

    @property
    def on_hosts(self) -> bool:
        return self.scene in PLACES

    @property
    def by_rank(self) -> bool:
        """It happens to a rank."""
        return self.role not in (JOB, OUTPOST)

    @property
    def harmless(self) -> bool:
        """The call is to be made again, or goes on."""
        return self.action in HARMLESS

    @property
    def ends_it(self) -> bool:
        """The process that obeys ends."""
        return self.action in ("kill", "segv", "throw")

    @property
    def strikes(self) -> bool:
        """It hits a process from outside, which cannot say anything of it."""
        return self.action in DEATHS
