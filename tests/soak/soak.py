"""Long run: jobs go through many lives, some of which lose ranks, while others beside them start,
fail and end.

    python tests/soak/soak.py --minutes 60

Ends with 0 if nothing was wrong, stuck, left behind or growing. `--seed` repeats the same jobs; the
moments at which they are struck are as exact as the machine's clock lets them be.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "multiprocess"))

import churn
from growth import GIVE_BACK, judged
from jobs import Report, environment, parse
from survivors import Survivors

SHOW_EVERY = 15.0
COMMUNICATORS = ("shm", "gloo", "hierarchical")


class Marathon:
    """Ranks that live through the whole run, and what they used on the way."""

    def __init__(self, seconds: float, seed: str, communicator: str) -> None:
        self.communicator = communicator
        # Shared memory inside hosts and Gloo between them needs a host of two ranks, and another
        # one; hosts are names alone.
        several = communicator == "hierarchical"
        ranks = 3 if several else 2
        placed = ("sh", "-c", 'FARANDOLE_HOST=h$((FARANDOLE_RANK > 0)) exec "$@"', "sh")
        mark = uuid.uuid4().hex
        self.mark = f"FDL_TEST_MARK={mark}"
        self.scratch = tempfile.TemporaryDirectory(prefix="farandole-soak-")
        self.samples: dict[int, list[Report]] = defaultdict(list)
        self._lines: list[str] = []
        self._seconds = seconds
        program = HERE / "programs" / "marathon_rank.py"
        command = ["farandolerun", "-np", str(ranks), "--timeout", str(seconds + 120)]
        command += placed if several else ()
        self._process = subprocess.Popen(
            [*command, sys.executable, str(program), str(seconds), seed],
            env=environment(
                FARANDOLE_COMMUNICATOR=communicator,
                FDL_TEST_MARK=mark,
                TMPDIR=self.scratch.name,
                **GIVE_BACK,
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            report = parse(line)
            if report is not None:
                self.samples[report["rank"]].append(report)
            else:
                self._lines = [*self._lines[-200:], line]

    def finish(self) -> list[str]:
        code = self._process.wait(self._seconds + 180)
        self._reader.join(10)
        left = churn.left_behind(self.mark, self.scratch.name)
        found = [f"{self.communicator}: left behind: {what}" for what in left]
        if code != 0:
            return [*found, f"{self.communicator}: exit code {code}\n{''.join(self._lines)}"]
        for rank, samples in sorted(self.samples.items()):
            text, grown = judged(samples)
            last = samples[-1]
            lived = f"{last['lives']} lives, {last['recorded']} recorded, {last['done']} operations"
            print(f"marathon over {self.communicator}, rank {rank}: {lived}, {text}")
            found += [f"{self.communicator}, rank {rank}: {complaint}" for complaint in grown]
        return found

    def close(self) -> None:
        """Whatever became of it."""
        self._process.kill()
        self.scratch.cleanup()


class Tally:
    """What became of the short jobs."""

    def __init__(self) -> None:
        self.jobs = 0
        self.slowest: dict[str, float] = defaultdict(float)
        self.count: dict[str, int] = defaultdict(int)
        self.complaints: list[str] = []

    def add(self, outcome: churn.Outcome) -> None:
        fate = outcome.plan.fate
        self.jobs += 1
        self.count[fate] += 1
        self.slowest[fate] = max(self.slowest[fate], outcome.seconds)
        for text in outcome.complaints():
            self.complaints.append(f"{outcome.plan}: {text}\n{outcome.output[-4000:]}")
            print(f"WRONG {self.complaints[-1]}", flush=True)

    def show(self) -> None:
        for fate in sorted(self.count):
            print(f"{self.count[fate]:6} x {fate:22} slowest end {self.slowest[fate]:6.2f} s")


def soak(minutes: float, seed: str) -> int:
    """How many things were wrong."""
    seconds = minutes * 60
    until = time.monotonic() + seconds
    marathons: list[Marathon | Survivors] = [
        *(Marathon(seconds, seed, communicator) for communicator in COMMUNICATORS),
        Survivors(seconds, seed),
    ]
    tally = Tally()
    shown = time.monotonic()
    try:
        while time.monotonic() < until:
            tally.add(churn.run(f"{seed}/{tally.jobs}"))
            if time.monotonic() - shown > SHOW_EVERY:
                shown = time.monotonic()
                left = max(0.0, until - shown) / 60
                print(
                    f"{tally.jobs} jobs, {len(tally.complaints)} wrong, {left:.1f} min left",
                    flush=True,
                )
        complaints = [text for marathon in marathons for text in marathon.finish()]
    finally:
        for marathon in marathons:
            marathon.close()
    tally.show()
    for text in complaints:
        print(f"WRONG {text}")
    wrong = len(complaints) + len(tally.complaints)
    print(f"soak: seed {seed}, {minutes:g} minutes, {tally.jobs} jobs, {wrong} wrong")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(10**6)))
    given = parser.parse_args()
    sys.exit(soak(given.minutes, given.seed) != 0)


if __name__ == "__main__":
    main()
