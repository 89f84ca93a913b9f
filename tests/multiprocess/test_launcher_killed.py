"""The launcher or its agent is killed under a real training job: nothing of it stays."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterable
from pathlib import Path

import pytest
from jobs import PROGRAMS, environment, parse
from marked import left_after, marked

pytestmark = pytest.mark.timeout(150)

NOTHING_LEFT = 5.0
SHARED = Path("/dev/shm")
RANKS, WORKERS = 2, 2


def sockets_of(processes: Iterable[int]) -> set[str]:
    """Inodes of the sockets that processes hold."""
    found = set()
    for pid in processes:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                kind, _, inode = os.readlink(descriptor).partition(":")
            except OSError:
                continue  # it has been closed
            if kind == "socket":
                found.add(inode.strip("[]"))
    return found


def open_sockets() -> set[str]:
    """Inodes of all sockets of TCP and of the Unix kind that somebody holds."""
    places = {"tcp": 9, "tcp6": 9, "unix": 6}
    found = set()
    for table, place in places.items():
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            found.add(line.split()[place])
    return found


def files(folder: Path) -> list[str]:
    """What the project may have left there. Python's own multiprocessing leaves the folders of
    workers that were killed."""
    return [path.name for path in folder.iterdir() if not path.name.startswith("pymp-")]


def shared_memory() -> set[str]:
    """Names that could be the project's."""
    return {path.name for word in ("farandole", "fdl") for path in SHARED.glob(f"*{word}*")}


def wait_until_ready(launcher: subprocess.Popen[str]) -> None:
    assert launcher.stdout is not None
    ready = set()
    lines = []
    for line in launcher.stdout:
        lines.append(line)
        report = parse(line)
        if report:
            ready.add(report["rank"])
        if len(ready) == RANKS:
            return
    raise AssertionError("".join(lines))


@pytest.mark.parametrize(
    "victims", [["farandolerun"], ["fdl-agent"], ["farandolerun", "fdl-agent"]]
)
def test_nothing_is_left(victims: list[str], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    mark = f"FDL_TEST_MARK={uuid.uuid4().hex}"
    name, value = mark.split("=")
    shared_before = shared_memory()
    program = shlex.join([sys.executable, str(PROGRAMS / "loader.py")])
    launcher = subprocess.Popen(
        ["farandolerun", "-np", str(RANKS), "--timeout", "100", "bash", "-c", f"{program}; true"],
        env=environment(**{name: value, "TMPDIR": tmp_path}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_until_ready(launcher)
        processes = marked(mark)
        # Launcher and agent; and per rank keeper, shell, Python and its workers.
        assert len(processes) >= 2 + RANKS * (3 + WORKERS), processes
        sockets = sockets_of(processes)
        assert sockets & open_sockets(), "where it listens, at least"
        for victim in victims:
            (pid,) = (pid for pid, comm in processes.items() if comm == victim)
            os.kill(pid, signal.SIGKILL)
        assert left_after(mark, NOTHING_LEFT, processes) == {}
        assert not sockets & open_sockets()
        assert shared_memory() <= shared_before
        assert files(tmp_path) == []
    finally:
        launcher.kill()
        launcher.communicate(timeout=30)
