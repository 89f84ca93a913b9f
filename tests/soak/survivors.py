"""Processes that outlive their jobs: ranks are lost, and those that are left join the next job.

Two survivors and one that is struck, without a launcher, which would end them all. Each life is a
job of its own: the harness gives it a port, a secret and a name, and tells each process its place.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import churn
from growth import GIVE_BACK, judged
from jobs import Rank, Report, environment
from ports import reserved_port

PROGRAM = Path(__file__).parent / "programs" / "survivor_rank.py"
SURVIVORS = (0, 1)
VICTIM = 2  # of the processes; its rank differs from life to life
STUCK = 90.0  # as of churn.py's jobs
ENDLESS = -1  # batches, until somebody is lost

# How the victim goes. Only those that leave it alive have the same process play it again.
BY_SIGNAL = {"kill": signal.SIGKILL, "crash": signal.SIGSEGV, "early": signal.SIGKILL}
BY_ITSELF = ("raise", "abort", "leave")
FATES = ("finish", "fewer", "freeze", "absent", *BY_SIGNAL, *BY_ITSELF)
IT_LIVES = ("finish", "fewer", "freeze", "absent", "leave")


@dataclass(frozen=True)
class Life:
    """All of it follows from the seed and the number."""

    seed: str
    number: int
    fate: str
    ranks: tuple[int, ...]  # by process
    moment: float  # seconds after all have joined
    batches: int  # until somebody acts by himself
    settings: dict[str, str]

    @property
    def victim(self) -> int:
        """Its rank."""
        return self.ranks[VICTIM]

    def of(self, process: int) -> Report:
        """What a process is told of its part."""
        acts = self.fate if process == VICTIM and self.fate in BY_ITSELF else ""
        if self.fate in ("finish", "fewer"):
            acts = "finish"
        return {
            "number": self.number,
            "seed": self.seed,
            "act": acts,
            "batches": self.batches if acts else ENDLESS,
        }


def life_of(seed: str, number: int, fates: tuple[str, ...] = FATES) -> Life:
    chosen = random.Random(f"{seed}/{number}")
    # The first ones are one of each kind, in any order.
    order = random.Random(seed).sample(fates, len(fates))
    fate = order[number] if number < len(order) else chosen.choice(fates)
    size = len(SURVIVORS) + (fate != "fewer")
    settings = {
        "size": str(size),
        "communicator": chosen.choice(["shm", "gloo"]),
        "fusion_bytes": chosen.choice(["0", "67108864"]),
    }
    if fate == "freeze":
        settings |= {"heartbeat_interval": "0.2", "heartbeat_timeout": "2"}
    if fate in ("absent", "early"):
        settings |= {"start_timeout": "1"}
    return Life(
        seed=f"{seed}/{number}",
        number=number,
        fate=fate,
        ranks=tuple(chosen.sample(range(size), size)),
        moment=chosen.random() * 0.3,
        batches=chosen.randrange(10),
        settings=settings,
    )


def judge(life: Life, ends: dict[int, Report]) -> list[str]:
    """Of all that took part and are still there."""
    found = []
    lost = {life.ranks[process]: end.get("lost") for process, end in ends.items()}
    for process, end in ends.items():
        if process != VICTIM or life.fate == "finish":
            wrong = _of_survivor(life, end, lost)
        else:
            wrong = _of_victim(life, end)
        if wrong:
            found.append(f"{life}: process {process}, {wrong}: {end.get('text', '')}")
    return found


def _of_survivor(life: Life, end: Report, lost: dict[int, int | None]) -> str:
    if life.fate in ("finish", "fewer"):
        return "" if end.get("finished") else f"ended with {end['failed']}"
    if end.get("finished"):
        return f"lost nobody, but rank {life.victim} was lost"
    missing = f"rank {life.victim} " in end["text"]
    if life.fate in ("absent", "early") and end["failed"] == "TimeoutError":
        return "" if missing else f"does not name rank {life.victim}, which is missing"
    if life.fate == "absent" or end["failed"] != "PeerLostError":
        return f"ended with {end['failed']}"
    first = churn.first_to_leave(life.fate, lost, end["lost"])
    return "" if first == life.victim else f"blames rank {end['lost']}, not {life.victim}"


def _of_victim(life: Life, end: Report) -> str:
    """It was taken for lost, or left."""
    if life.fate == "leave":
        return "" if end.get("finished") else f"ended with {end['failed']}"
    return "" if "failed" in end else "went on although it had been given up"


class Survivors:
    """Runs lives, in a thread of its own, until its time is over and as many as are wanted are."""

    def __init__(
        self,
        seconds: float,
        seed: str,
        *,
        lives: int = len(FATES),
        fates: tuple[str, ...] = FATES,
        mistake: str = "",  # that survivors make after each life, for tests of what is judged
    ) -> None:
        self.complaints: list[str] = []
        self.lived: Counter[str] = Counter()
        self._seed = seed
        self._until = time.monotonic() + seconds
        self._seconds = seconds
        self._lives = lives
        self._fates = fates
        self._mistake = mistake
        self._samples: dict[int, list[Report]] = defaultdict(list)
        self._scratch = tempfile.TemporaryDirectory(prefix="farandole-soak-")
        self._mark = f"FDL_TEST_MARK={uuid.uuid4().hex}"
        self._started: list[Rank] = []
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _lived(self) -> int:
        return sum(self.lived.values())

    def _start(self, number: int) -> Rank:
        """A process that waits for its first life."""
        name, _, value = self._mark.partition("=")
        own = {name: value, "TMPDIR": self._scratch.name, **GIVE_BACK}
        mistake = self._mistake if number in SURVIVORS else ""
        started = Rank(
            subprocess.Popen(
                [sys.executable, str(PROGRAM), str(number), mistake],
                env=environment(**own),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        self._started.append(started)
        return started

    def _run(self) -> None:
        try:
            self._go_on()
        except Exception as error:  # a process that ends, hangs or says something else
            if not self._closed:
                self.complaints.append(f"survivors, life {self._lived()}: {error!r}")

    def _go_on(self) -> None:
        processes = {number: self._start(number) for number in (*SURVIVORS, VICTIM)}
        spare = self._start(VICTIM)  # so that nobody has to wait until an interpreter has started
        for started in self._started:
            started.report(STUCK)
        while time.monotonic() < self._until or self._lived() < self._lives:
            life = life_of(self._seed, self._lived(), self._fates)
            ends = self._live(life, processes)
            self.complaints += judge(life, ends)
            for number in SURVIVORS:
                self._samples[number].append({**ends[number], "at": time.monotonic()})
            self.lived[life.fate] += 1
            if life.fate not in IT_LIVES:
                self._bury(processes[VICTIM])
                processes[VICTIM], spare = spare, self._start(VICTIM)
                spare.report(STUCK)
        for number, process in {**processes, len(processes): spare}.items():
            process.release()
            if (code := process.wait(STUCK)) != 0:
                self.complaints.append(f"survivors, process {number}: exit code {code}")

    def _bury(self, victim: Rank) -> None:
        victim.release()
        victim.wait(STUCK)
        self._started.remove(victim)

    def _live(self, life: Life, processes: dict[int, Rank]) -> dict[int, Report]:
        """One job, and what those who are left say of its end."""
        there = {n: p for n, p in processes.items() if n < len(life.ranks)}
        with self._place() as place:
            for number, process in there.items():
                if life.fate != "absent" or number != VICTIM:
                    own = {**life.settings, **place, "rank": str(life.ranks[number])}
                    _tell(process, {**life.of(number), "settings": own})
            if life.fate == "early":
                there[VICTIM].kill(BY_SIGNAL["early"])
            elif life.fate != "absent":
                for process in there.values():
                    joined = process.report(STUCK)
                    assert joined.get("joined"), f"{life}: {joined}"
                self._strike(life, there)
            ends = {number: _end_of(there[number], life) for number in SURVIVORS}
            if life.fate == "freeze":
                there[VICTIM].kill(signal.SIGCONT)
            if life.fate in ("finish", "freeze", "leave"):
                ends[VICTIM] = _end_of(there[VICTIM], life)
        return ends

    def _strike(self, life: Life, there: dict[int, Rank]) -> None:
        number = signal.SIGSTOP if life.fate == "freeze" else BY_SIGNAL.get(life.fate)
        if number is not None:
            threading.Event().wait(life.moment)
            there[VICTIM].kill(number)

    @contextlib.contextmanager
    def _place(self) -> Iterator[dict[str, str]]:
        """Where a job meets."""
        with reserved_port() as port, tempfile.NamedTemporaryFile(dir=self._scratch.name) as secret:
            secret.write(os.urandom(32))
            secret.flush()
            yield {
                "controller": f"127.0.0.1:{port.getsockname()[1]}",
                "job": uuid.uuid4().hex,
                "secret_file": secret.name,
            }

    def finish(self) -> list[str]:
        """What was wrong."""
        self._thread.join(self._seconds + 2 * STUCK)
        left = churn.left_behind(self._mark, self._scratch.name)
        found = [*self.complaints, *(f"survivors: left behind: {what}" for what in left)]
        if self._thread.is_alive():
            found.append("survivors: hang")
        print("survivors: " + ", ".join(f"{n} x {fate}" for fate, n in sorted(self.lived.items())))
        for number, samples in sorted(self._samples.items()):
            text, grown = judged(samples)
            print(f"survivor {number}: {self._lived()} lives, {text}")
            found += [f"survivor {number}: {complaint}" for complaint in grown]
        return found

    def close(self) -> None:
        """Whatever became of it."""
        self._closed = True
        for started in list(self._started):
            started.process.kill()
            started.process.wait()
        self._scratch.cleanup()


def _tell(process: Rank, what: Report) -> None:
    assert process.process.stdin is not None
    print(json.dumps(what), file=process.process.stdin, flush=True)


def _end_of(process: Rank, life: Life) -> Report:
    while True:
        told = process.report(STUCK)
        assert told["life"] == life.number, f"{life}: {told}"
        if told.get("ended"):
            return told
