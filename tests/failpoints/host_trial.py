"""One job of two hosts with one order at one failpoint."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from case import OUTPOST, PLACES, Case
from trial import PATIENCE, Outcome, Trial

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "hosts"))
from ssh_hosts import Hosts, why_not

__all__ = ["HostTrial", "Hosts", "two_hosts", "why_not"]

# ssh and a shell come before an outpost, and after all of them the ranks.
START = {"FARANDOLE_START_TIMEOUT": "9"}
INPUT = "some words\n"  # for rank 0, which does not read them


@contextlib.contextmanager
def two_hosts() -> Iterator[Hosts]:
    """For many trials, which do not hear of each other."""
    with tempfile.TemporaryDirectory() as folder, Hosts(2, Path(folder)) as hosts:
        yield hosts


class HostTrial(Trial):
    """The launcher runs on the first of `hosts`. What an outpost finds in its environment comes
    with its ssh, so an order reaches either it or the launcher, or their agents, but not both."""

    def __init__(self, case: Case, hosts: Hosts) -> None:
        super().__init__(case)
        self.hosts = hosts
        own = self._own_environment() | (self._order() if case.role == OUTPOST else {})
        self.client = hosts.client("SetEnv " + " ".join(f'"{k}={v}"' for k, v in own.items()))

    def run(self) -> Outcome:
        try:
            return super().run()
        finally:
            shutil.rmtree(self.client)

    def _start(self, output: IO[str]) -> subprocess.Popen[Any]:
        order = {} if self.case.role == OUTPOST else self._order()
        words = self.folder / "input"
        words.write_text(INPUT)
        with words.open() as text:
            return self.hosts.start(
                self._command("-H", PLACES[self.case.scene]),
                self.client,
                {**PATIENCE, **START, **self._own_environment(), **order},
                stdin=text,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
