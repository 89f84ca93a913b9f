"""What can go wrong, where, to whom, and what is promised of it."""

from __future__ import annotations

import enum
import itertools
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from chaos_job import EXIT, THROW, Work
from chaos_scene import Scene, Stage


class Outcome(enum.Enum):
    """What is to follow from a fault."""

    SURVIVORS_TELL = "all others end with an error that names the victim"
    ALL_TELL = "both sides of the broken link end with an error"
    ALL_END = "every process of the job ends"
    NOTHING = "nothing: the job goes on"


@dataclass(frozen=True)
class Target:
    """In seconds, judged by the maximum of all trials."""

    most: float
    median: float | None = None

    def __str__(self) -> str:
        text = seconds(self.most)
        return text if self.median is None else f"{text}, median {seconds(self.median)}"


def seconds(value: float) -> str:
    return f"{value * 1000:g} ms" if value < 1 else f"{value:g} s"


DEATH_HERE = Target(0.05, 0.005)
DEATH_ELSEWHERE = Target(0.2)
SILENCE = Target(4.0)
BROKEN_STREAM = Target(4.0)
JOB_GONE = Target(5.0)

# When the fault began; None where the victim tells it itself.
Fault = Callable[[Scene], int | None]


@dataclass(frozen=True)
class Case:
    fault: str
    group: str
    stage: Stage
    victim: str  # "rank 0", "another rank", "launcher", "agent", "launcher and agent"
    apply: Fault
    outcome: Outcome
    target: Target | None = None
    # Undoes the fault where the job outlives it.
    heal: Callable[[Scene], object] | None = None
    many: bool = False  # cheap: five times as many trials
    together: int = 1  # trials that run at a time: those that mostly wait
    # A link between two ranks fails, and nobody can tell which of them does: either may be named.
    either_end: bool = False
    # The control connections live, so that all ranks hear the same verdict.
    joined: bool = False

    @property
    def name(self) -> str:
        return f"{self.fault}, {self.victim}, {self.stage.name}"

    @property
    def dies(self) -> bool:
        """Whether the victim is a rank whose process ends."""
        return self.group == "death"

    def victims(self) -> list[int]:
        """Ranks to choose from."""
        if self.victim == "another rank":
            return list(range(self.stage.per_host if self.stage.hosts else 1, self.stage.ranks))
        return [0]


SHM = Stage("shm", "shm")
GLOO = Stage("Gloo", "gloo")
PYTHON = Stage("shm, Python", "shm", work=Work(in_python=True))
THREE_HOSTS = Stage("3 hosts, Gloo", "auto", hosts=3, per_host=1)
TWO_HOSTS = Stage("2 hosts of 2, hierarchical", "auto", hosts=2, per_host=2)
WITH_CHILDREN = (
    Stage("3 hosts, Gloo, with children", "auto", hosts=3, per_host=1, work=Work(children=True)),
    Stage(
        "2 hosts of 2, hierarchical, with children",
        "auto",
        hosts=2,
        per_host=2,
        work=Work(children=True),
    ),
)
PROXIED = Stage("3 hosts, Gloo, proxy", "auto", hosts=3, per_host=1, proxied=True)
PROXIED_HERE = Stage("Gloo, control by proxy", "gloo", proxied=True)

RANKS = ("rank 0", "another rank")
TOGETHER = 5


def kill(number: int) -> Fault:
    return lambda scene: scene.kill(number)


def let(order: int) -> Fault:
    return lambda scene: scene.let(order)


def launcher(names: Sequence[str], number: signal.Signals) -> Fault:
    return lambda scene: scene.signal_launcher(names, number)


def proxy(order: str) -> Fault:
    return lambda scene: scene.order_proxy(order)


DEATHS: tuple[tuple[str, Fault], ...] = (
    ("SIGKILL", kill(signal.SIGKILL)),
    ("SIGSEGV", kill(signal.SIGSEGV)),
    ("uncaught exception", let(THROW)),
    ("exit(0)", let(EXIT)),
)


def deaths() -> Iterator[Case]:
    tells = Outcome.SURVIVORS_TELL
    for stage, (name, fault), victim in itertools.product((SHM, GLOO), DEATHS, RANKS):
        yield Case(name, "death", stage, victim, fault, tells, DEATH_HERE, many=True)
    for (name, fault), victim in itertools.product(DEATHS[2:], RANKS):
        yield Case(name, "death", PYTHON, victim, fault, tells, DEATH_HERE, many=True)
    elsewhere = (THREE_HOSTS, TWO_HOSTS)
    for stage, (name, fault), victim in itertools.product(elsewhere, DEATHS, RANKS):
        yield Case(name, "death", stage, victim, fault, tells, DEATH_ELSEWHERE, many=True)
    for stage, victim in itertools.product(WITH_CHILDREN, RANKS):
        fault = kill(signal.SIGKILL)
        yield Case("SIGKILL", "death", stage, victim, fault, tells, DEATH_ELSEWHERE)


def freezes() -> Iterator[Case]:
    for stage, victim in itertools.product((SHM, GLOO, THREE_HOSTS, TWO_HOSTS), RANKS):
        yield Case(
            "SIGSTOP",
            "freeze",
            stage,
            victim,
            kill(signal.SIGSTOP),
            Outcome.SURVIVORS_TELL,
            SILENCE,
            heal=Scene.wake,
            together=TOGETHER,
        )


def launchers() -> Iterator[Case]:
    victims = {"launcher": ["farandolerun"], "agent": ["fdl-agent"]}
    both = {"launcher and agent": [name for names in victims.values() for name in names]}
    deadly = [
        *itertools.product(victims.items(), (signal.SIGKILL, signal.SIGSEGV)),
        *itertools.product(both.items(), (signal.SIGKILL,)),
    ]
    for (victim, names), number in deadly:
        fault, ends = launcher(names, number), Outcome.ALL_END
        yield Case(number.name, "launcher", SHM, victim, fault, ends, JOB_GONE, many=True)
    for victim, names in victims.items():
        yield Case(
            "SIGSTOP for 5 s",
            "launcher",
            SHM,
            victim,
            launcher(names, signal.SIGSTOP),
            Outcome.NOTHING,
            heal=launcher(names, signal.SIGCONT),
            together=TOGETHER,
        )


LINKS: tuple[tuple[str, Fault], ...] = (
    ("link down", lambda scene: scene.net().link(scene.host, "down")),
    ("silent drop", lambda scene: scene.net().drop(scene.host)),
    ("one-way drop, from it", lambda scene: scene.net().drop(scene.host, incoming=False)),
    ("one-way drop, to it", lambda scene: scene.net().drop(scene.host, outgoing=False)),
    ("RST injection", lambda scene: scene.net().reset(scene.host)),
)
HARMLESS_LINKS: tuple[tuple[str, Fault], ...] = (
    ("throttled to 10 Mbit/s", lambda scene: scene.net().throttle(scene.host, "10mbit")),
    ("link gone for 1.5 s", lambda scene: scene.net().flap(scene.host, 1.5)),
)


def partitions() -> Iterator[Case]:
    stages = (THREE_HOSTS, TWO_HOSTS)
    for stage, (name, fault), victim in itertools.product(stages, LINKS, RANKS):
        yield Case(
            name,
            "network",
            stage,
            victim,
            fault,
            Outcome.ALL_TELL,
            SILENCE,
            together=TOGETHER,
            either_end="one-way" in name,
        )
    for stage, (name, fault), victim in itertools.product(stages, HARMLESS_LINKS, RANKS):
        yield Case(name, "network", stage, victim, fault, Outcome.NOTHING, together=TOGETHER)


PROXY_HARMLESS = (
    ("200 ms delay each way", "delay all 0.2 0"),
    ("jitter of 0 to 100 ms", "delay all 0 0.1"),
)
PROXY_HARM = (
    ("stalled streams", "stall all"),
    ("all streams cut", "cut all"),
    ("control cut", "cut control"),
    ("heartbeat cut", "cut heartbeat"),
    ("data cut", "cut data"),
    ("control corrupted", "corrupt control"),
    ("heartbeat corrupted", "corrupt heartbeat"),
    ("data header corrupted", "corrupt-header data"),
    ("all half-closed", "half-close all"),
    ("control half-closed", "half-close control"),
    ("heartbeat half-closed", "half-close heartbeat"),
    ("data half-closed", "half-close data"),
)


def streams() -> Iterator[Case]:
    for stage, victims in ((PROXIED, RANKS), (PROXIED_HERE, RANKS[1:])):
        for (name, order), victim in itertools.product(PROXY_HARMLESS, victims):
            yield Case(
                name, "proxy", stage, victim, proxy(order), Outcome.NOTHING, together=TOGETHER
            )
        for (name, order), victim in itertools.product(PROXY_HARM, victims):
            if stage is PROXIED_HERE and "data" in order:
                continue  # only what goes to rank 0 passes this proxy
            yield Case(
                name,
                "proxy",
                stage,
                victim,
                proxy(order),
                Outcome.ALL_TELL,
                BROKEN_STREAM,
                together=TOGETHER,
                either_end="data" in order or "heartbeat" in order,
                joined="data" in order,
            )


def all_cases() -> list[Case]:
    return [*deaths(), *freezes(), *launchers(), *partitions(), *streams()]
