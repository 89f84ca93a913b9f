"""Jobs that are going to fail: started under farandolerun or rank by rank, heard through pipes."""

from __future__ import annotations

import json
import os
import re
import secrets
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.append(str(ROOT / "tests/multiprocess"))

from marked import marked  # noqa: E402
from ports import reserved_port  # noqa: E402

# What a rank says, not what the launcher tells again of it, cut short.
REPORT = re.compile(r"(?:\[\d+\] )?REPORT (\{.*\})")
START_TIME = 60.0  # generous: nothing is measured before the job goes

THROW, EXIT, FINISH = (signal.SIGRTMIN + i for i in range(3))

Report = dict[str, Any]


@dataclass(frozen=True)
class Build:
    """What is tested: launcher, rank program, and what they need to be found."""

    launcher: str
    rank: str
    environment: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def of_wheel() -> Build:
        """The wheel of this interpreter, and the rank program compiled against it."""
        query = [sys.executable, "-m", "farandole", "--pkgconfig-dir"]
        folder = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
        flags = subprocess.run(
            ["pkg-config", "--cflags", "--libs", "farandole"],
            env={**os.environ, "PKG_CONFIG_PATH": folder},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        launcher = shutil.which("farandolerun", path=str(Path(sys.executable).parent))
        assert launcher, f"the wheel of {sys.executable} has no farandolerun"
        return Build(launcher, compiled(flags))

    @staticmethod
    def of_tree(tree: Path) -> Build:
        """A build folder of CMake, build/dev say."""
        launcher = tree.resolve() / "controller/launch/farandolerun"
        return Build(str(launcher), str(tree.resolve() / "tests/chaos/chaos_rank"))


def compiled(flags: Sequence[str]) -> str:
    """The rank program. Compiled anew each time: it takes a second, and flags may have changed."""
    folder = ROOT / "build/chaos"
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "rank"
    made = folder / f"rank.{os.getpid()}"  # moved into place at once: another run may be using it
    source = str(HERE / "rank.cc")
    warnings = ["-Wall", "-Wextra", "-Werror"]
    subprocess.run(
        ["g++", "-std=c++20", "-O2", *warnings, source, "-o", str(made), *flags], check=True
    )
    made.replace(program)
    return str(program)


@dataclass(frozen=True)
class Work:
    """What the ranks do until something fails."""

    bytes: int = 64 << 10
    pause_us: int = 500
    in_python: bool = False
    children: bool = False  # each rank forks one, which outlives it for a while

    def command(self, build: Build, seed: int) -> list[str]:
        assert not (self.in_python and self.children), "rank.cc alone has children"
        program = [sys.executable, str(HERE / "rank_numpy.py")] if self.in_python else [build.rank]
        more = ["children"] if self.children else []
        return [*program, str(self.bytes), str(self.pause_us), str(seed), *more]


class Job:
    """Processes that report. All of them are gone, and so is the job's folder, when it is left."""

    def __init__(self, ranks: int) -> None:
        self.ranks = ranks
        self.mark = f"CHAOS_MARK={uuid.uuid4().hex}"
        self.folder = Path(tempfile.mkdtemp(prefix="farandole-chaos-"))
        self.scratch = self.folder / "scratch"  # of the ranks; nothing may stay in it
        self.scratch.mkdir()
        self.processes: list[subprocess.Popen[bytes]] = []
        self.reports: list[Report] = []
        self.ended: dict[int, int] = {}  # when a rank that is watched was heard to have ended
        self.output: list[str] = []
        self._selector = selectors.DefaultSelector()
        self._rest: dict[int, bytes] = {}
        self._reserved: list[socket.socket] = []

    def __enter__(self) -> Job:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for pid in marked(self.mark):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # ended meanwhile
        for key in list(self._selector.get_map().values()):
            self._forget(key)
        for process in self.processes:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
        self._selector.close()
        for port in self._reserved:
            port.close()
        shutil.rmtree(self.folder)

    def reserve_port(self, address: str) -> int:
        """One that nobody else gets while the job lives."""
        port = reserved_port(address)
        self._reserved.append(port)
        return int(port.getsockname()[1])

    def environment(self, build: Build, **settings: object) -> dict[str, str]:
        foreign = ("FARANDOLE_", "HOROVOD_", "CHAOS_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        name, value = self.mark.split("=")
        own = {name: value, "TMPDIR": str(self.scratch), "OMP_NUM_THREADS": "1"}
        return {**kept, **build.environment, **own, **{k: str(v) for k, v in settings.items()}}

    def start(self, command: Sequence[str], environment: dict[str, str]) -> None:
        process = subprocess.Popen(
            # A core file would take the time that is measured, and stay.
            ["prlimit", "--core=0", *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ)
        self.processes.append(process)

    def read(self, seconds: float) -> bool:
        """Takes what the processes have written, waiting for it. False: all have closed."""
        if not self._selector.get_map():
            return False
        for key, _ in self._selector.select(max(0.0, seconds)):
            if key.data is not None:
                self.ended[key.data] = time.monotonic_ns()
                self._forget(key)
                continue
            data = os.read(key.fd, 1 << 16)
            if not data:
                self._forget(key)
            text = self._rest.pop(key.fd, b"") + data
            *lines, self._rest[key.fd] = text.split(b"\n")
            for line in lines:
                self._take(line.decode(errors="replace"))
        return True

    def watch_end(self, rank: int) -> None:
        """Notes its end, when the kernel has taken it apart, as what is read."""
        self._selector.register(os.pidfd_open(self.pid(rank)), selectors.EVENT_READ, rank)

    def _forget(self, key: selectors.SelectorKey) -> None:
        self._selector.unregister(key.fileobj)
        if isinstance(key.fileobj, int):  # of a process that is watched; pipes are their process's
            os.close(key.fileobj)

    def _take(self, line: str) -> None:
        self.output.append(line)
        if found := REPORT.fullmatch(line):
            self.reports.append({**json.loads(found[1]), "heard": time.monotonic_ns()})

    def wait_for(self, what: Callable[[Job], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not what(self):
            left = deadline - time.monotonic()
            if left <= 0 or not self.read(left):
                return what(self)
        return True

    def heard(self, event: str) -> dict[int, Report]:
        """The first report of this kind of each rank."""
        found: dict[int, Report] = {}
        for report in self.reports:
            if report["event"] == event:
                found.setdefault(report["rank"], report)
        return found

    def wait_until_all(self, event: str, ranks: Sequence[int], seconds: float) -> bool:
        return self.wait_for(lambda job: set(ranks) <= set(job.heard(event)), seconds)

    def wait_until_ready(self) -> None:
        if not self.wait_until_all("ready", range(self.ranks), START_TIME):
            raise AssertionError("the job does not go: " + "\n".join(self.output))

    def pid(self, rank: int) -> int:
        return int(self.heard("ready")[rank]["pid"])

    def signal(self, rank: int, number: int) -> int:
        """Sends it; when."""
        pid = self.pid(rank)
        when = time.monotonic_ns()
        os.kill(pid, number)
        return when


def launch(
    build: Build, ranks: int, work: Work, seed: int, seconds: float, **settings: object
) -> Job:
    """Under farandolerun, on this host, which ends it after `seconds`."""
    job = Job(ranks)
    command = [build.launcher, "-np", str(ranks), "--grace", "1", "--timeout", str(seconds)]
    job.start([*command, *work.command(build, seed)], job.environment(build, **settings))
    return job


class Bootstrap:
    """What ranks that are started by hand need to find each other."""

    def __init__(self, job: Job, ranks: int, address: str = "127.0.0.1", port: int = 0) -> None:
        secret = job.folder / "secret"
        secret.touch(mode=0o600)
        secret.write_bytes(secrets.token_bytes(32))
        self.address = address
        self.port = port or job.reserve_port(address)
        self.settings: dict[str, object] = {
            "FARANDOLE_SIZE": ranks,
            "FARANDOLE_JOB": uuid.uuid4().hex,
            "FARANDOLE_SECRET_FILE": secret,
        }

    def of_rank(self, rank: int, controller: str = "") -> dict[str, object]:
        own = {"FARANDOLE_RANK": rank, "FARANDOLE_CONTROLLER": f"{self.address}:{self.port}"}
        return {
            **self.settings,
            **own,
            **({"FARANDOLE_CONTROLLER": controller} if controller else {}),
        }


class Watch:
    """Waits for the end of processes that are alive now."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._selector = selectors.DefaultSelector()
        for pid in pids:
            try:
                self._selector.register(os.pidfd_open(pid), selectors.EVENT_READ)
            except ProcessLookupError:
                continue  # ended before it could be watched
        self.last_end = time.monotonic_ns()

    def wait(self, seconds: float) -> bool:
        """Whether all have ended in time; last_end says when the last one did."""
        deadline = time.monotonic() + seconds
        while self._selector.get_map():
            ended = self._selector.select(max(0.0, deadline - time.monotonic()))
            self.last_end = time.monotonic_ns() if ended else self.last_end
            for key, _ in ended:
                self._selector.unregister(key.fd)
                os.close(key.fd)
            if not ended:
                break
        alive = bool(self._selector.get_map())
        for key in list(self._selector.get_map().values()):
            os.close(key.fd)
        self._selector.close()
        return not alive
