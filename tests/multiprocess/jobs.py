"""Starting jobs of several processes and hearing what their ranks report.

Ranks report one JSON object per line, marked, on standard output (programs/common.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ports import reserved_port

PROGRAMS = Path(__file__).parent / "programs"
sys.path.append(str(PROGRAMS))

from common import Delays, delayed as delayed, late as late, threads as threads  # noqa: E402, I001

MARK = "REPORT "

Report = dict[str, Any]

# The most that a busy machine excuses. A loss that is promised within a second and is found by
# silence alone, after three, is late whatever the machine does.
MOST_EXCUSED = 1.0


def excused(*delays: tuple[Delays, Delays]) -> float:
    """What a promise in time may be late by: of each process on the way, its delays before and
    after."""
    return min(sum(late(before, after) for before, after in delays), MOST_EXCUSED)


def check_flat(used: list[dict[str, int]], memory: bool) -> None:
    """Asserts that the cycles of cycles.py leave nothing: what it used after one of each five."""
    quarter = len(used) // 4
    assert quarter >= 10
    for what in ("descriptors", "threads"):
        assert used[-1][what] <= used[0][what], used
    # The first half fills caches. A page that stays each time, mapped alone, would be told.
    for what, most in (("memory", 1 << 18), ("mappings", 8)) if memory else ():
        values = [sample[what] for sample in used]
        early, late = values[quarter : 2 * quarter], values[-quarter:]
        assert max(late) - max(early) < most, (what, used)


def environment(**settings: object) -> dict[str, str]:
    """This process's, without what would place it in a job, and with what a test wants."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FARANDOLE_", "HOROVOD_"))}
    return {**kept, "OMP_NUM_THREADS": "1", **{k: str(v) for k, v in settings.items()}}


def parse(line: str) -> Report | None:
    """The report in a line of output, behind whatever prefix the launcher gave it. What that says
    again at the end, shortened perhaps, is none."""
    if line.startswith(("farandolerun: ", "    ")):
        return None
    found = re.search(re.escape(MARK) + r"(\{.*\})", line)
    return json.loads(found.group(1)) if found else None


def launch(
    ranks: int, program: str, *arguments: str, timeout: float = 100, **settings: Any
) -> list[Report]:
    """Runs a program under farandolerun; what every rank reported, in rank order."""
    return launch_verbosely(ranks, program, *arguments, timeout=timeout, **settings)[0]


def launch_verbosely(
    ranks: int,
    program: str,
    *arguments: str,
    timeout: float = 100,
    flags: tuple[str, ...] = (),
    wrapped: tuple[str, ...] = (),
    **settings: object,
) -> tuple[list[Report], str]:
    """As launch, with all that was written. `flags` are the launcher's; `wrapped` stands before
    each rank's command."""
    command = ["farandolerun", "-np", str(ranks), "--timeout", str(timeout), *flags, *wrapped]
    result = subprocess.run(
        [*command, sys.executable, str(PROGRAMS / program), *arguments],
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout + 20,
        check=False,
    )
    output = result.stdout + result.stderr
    assert result.returncode == 0, output
    reports: dict[int, Report] = {}
    for report in filter(None, map(parse, result.stdout.splitlines())):
        reports.setdefault(report["rank"], {}).update(report)
    assert sorted(reports) == list(range(ranks)), output
    return [reports[rank] for rank in range(ranks)], output


class Rank:
    """A process of a HandMadeJob."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._read: list[str] = []
        self._reader = threading.Thread(target=self._pump, daemon=True)
        self._reader.start()

    def _pump(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def report(self, timeout: float = 60) -> Report:
        """Its next report."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no report within {timeout} s: {self._read}") from None
            assert line is not None, f"ended without a report: {self._read}"
            self._read.append(line)
            report = parse(line)
            if report is not None:
                return report

    def kill(self, number: int = signal.SIGKILL) -> float:
        """Sends a signal; when, by the monotonic clock that all processes share."""
        now = time.monotonic()
        self.process.send_signal(number)
        return now

    def delayed(self) -> Delays:
        """Seconds for which its threads had to wait for the machine so far."""
        return delayed(self.process.pid)

    def release(self) -> None:
        """Lets it go on that waits for the end of its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def wait(self, timeout: float = 60) -> int:
        return self.process.wait(timeout)


@contextlib.contextmanager
def hand_made_job(
    ranks: int, program: str, *arguments: str, **settings: object
) -> Iterator[list[Rank]]:
    """Ranks without a launcher, which would end them when one of them fails. All are gone
    afterwards. A setting that is a tuple holds one value per rank."""
    with reserved_port() as port, tempfile.NamedTemporaryFile() as secret:
        secret.write(os.urandom(32))
        secret.flush()
        job = {
            "FARANDOLE_SIZE": ranks,
            "FARANDOLE_CONTROLLER": f"127.0.0.1:{port.getsockname()[1]}",
            "FARANDOLE_JOB": uuid.uuid4().hex,
            "FARANDOLE_SECRET_FILE": secret.name,
        }

        def of_rank(r: int) -> dict[str, object]:
            own = {k: v[r] if isinstance(v, tuple) else v for k, v in settings.items()}
            return {**job, "FARANDOLE_RANK": r, **own}

        started = [Rank(_start(program, arguments, of_rank(r))) for r in range(ranks)]
        try:
            yield started
        finally:
            for rank in started:
                rank.process.kill()
                rank.process.wait()


def _start(
    program: str, arguments: tuple[str, ...], settings: dict[str, object]
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(PROGRAMS / program), *arguments],
        env=environment(**settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
