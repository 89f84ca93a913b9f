"""Ctrl-Z and fg, typed at a shell on a pseudo-terminal: as long as a job is stopped, no clock of
its runs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import shlex
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobs import PROGRAMS, environment

pytestmark = pytest.mark.timeout(120)

CTRL_Z = "\x1a"
TIMEOUT = 2  # of heartbeats and of data
STOPPED_FOR = 3
SETTINGS = {
    "FARANDOLE_HEARTBEAT_INTERVAL": TIMEOUT / 5,
    "FARANDOLE_HEARTBEAT_TIMEOUT": TIMEOUT,
    "FARANDOLE_DATA_TIMEOUT": TIMEOUT,
}


class Terminal:
    """A shell with job control on a pseudo-terminal of its own."""

    def __init__(self, master: int) -> None:
        self._master = master
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, pattern: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.shown):
            self._read_more(pattern, deadline)

    def of_ranks(self, word: str, seconds: float = 60) -> list[int]:
        """The number that each of two ranks tells behind a word. A line may be shown in part first,
        and then again."""
        deadline = time.monotonic() + seconds
        while True:
            told = dict(re.findall(rf"rank (\d): {word} (\d+);", self.shown))
            if len(told) == 2:
                return [int(told[rank]) for rank in "01"]
            self._read_more(word, deadline)

    def _read_more(self, what: str, deadline: float) -> None:
        left = deadline - time.monotonic()
        readable = left > 0 and select.select([self._master], [], [], left)[0]
        assert readable, f"{what} was not shown: {self.shown}"
        self.shown += os.read(self._master, 4096).decode(errors="replace")


@contextlib.contextmanager
def shell(**settings: object) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, 1000, 0, 0))  # breaks no line
    process = subprocess.Popen(
        ["setsid", "--ctty", "bash", "--norc", "--noprofile", "--noediting", "-i"],
        env=environment(**settings, TERM="dumb", PS1="", PROMPT_COMMAND=""),
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    try:
        yield Terminal(master)
    finally:
        os.close(master)  # hangs up: the shell ends, and its jobs do
        process.wait(30)


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_collectives_go_on_after_a_stop_longer_than_every_timeout() -> None:
    program = [sys.executable, str(PROGRAMS / "ctrl_z.py")]
    command = shlex.join(["farandolerun", "--no-color", "-np", "2", *program])
    with contextlib.ExitStack() as stack:
        terminals = [
            stack.enter_context(shell(FARANDOLE_COMMUNICATOR=communicator, **SETTINGS))
            for communicator in ("shm", "gloo")
        ]
        for terminal in terminals:
            terminal.type(f"{command}\n")
        ranks = []
        for terminal in terminals:
            ranks += terminal.of_ranks("pid")
            terminal.type(CTRL_Z)
        for terminal in terminals:
            terminal.wait_for("Stopped")
        time.sleep(STOPPED_FOR)
        assert [state_of(pid) for pid in ranks] == 4 * ["T"]
        for terminal in terminals:
            terminal.type("fg\n")
        for terminal in terminals:
            assert terminal.of_ranks("wrong values") == [0, 0]
            terminal.type("echo code $?\n")
            terminal.wait_for(r"code \d")
            assert "code 0" in terminal.shown, terminal.shown
            assert not re.search("lost|Error", terminal.shown), terminal.shown
