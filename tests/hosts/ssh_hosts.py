"""Hosts of our own, each with an sshd: namespaces of network, processes, mounts and names, joined
by a switch. Their files are this machine's.

    h0 10.78.0.1   h1 10.78.0.2   h2 10.78.0.3   ...

or, of IPv6 alone, fd78::1, fd78::2, ...
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from marked import left_after, marked
from spaces import Space, cable, children_of, plugged

PROGRAMS = ("unshare", "nsenter", "ip", "ssh", "ssh-keygen")
SSHD = "/usr/sbin/sshd"
PATIENCE = 60.0
IPV6 = "fd78::"
GONE = 15.0  # generous; what is promised is in docs/launcher.md
BASHRC = Path.home() / ".bashrc"  # which bash reads when sshd starts it


@cache
def why_not() -> str:
    """Why there can be no such hosts here; "" where there can."""
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    missing += [] if Path(SSHD).exists() else ["sshd"]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if os.geteuid() != 0:
        return "namespaces need root"
    probe = ["unshare", "--net", "--pid", "--uts", "--mount", "--fork", "--mount-proc", "true"]
    refused = subprocess.run(probe, capture_output=True, text=True, timeout=30, check=False)
    return f"namespaces are refused: {refused.stderr}" if refused.returncode else ""


class Machine(Space):
    """A host (`whole`), or what joins them."""

    def __init__(self, whole: bool) -> None:
        names = ["--uts", "--mount", "--pid"]
        if whole:
            super().__init__([*names, "--fork", "--mount-proc"], [*names, "--root"])
        else:
            super().__init__()

    def run(self, *commands: str) -> None:
        done = subprocess.run(
            [*self.enter, "sh", "-e", "-c", "\n".join(commands)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr


class Hosts:
    """So many hosts; sshd on all but the first, where the launcher is started. Of each other they
    know addresses of IPv4 alone, or else of IPv6 alone, and then they have no other even of their
    own."""

    def __init__(self, count: int, folder: Path, net: str = "10.78.0.") -> None:
        self.folder = folder
        self.net = net
        self.mark = f"HOSTS_MARK={uuid.uuid4().hex}"
        self.switch = Machine(whole=False)
        self.hosts: list[Machine] = []
        self._daemons: list[subprocess.Popen[bytes]] = []
        try:
            self.switch.run("ip link set lo up", "ip link add sw type bridge", "ip link set sw up")
            self._make_keys()
            for index in range(count):
                self._add(index)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Hosts:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        for daemon in self._daemons:
            daemon.terminate()
            daemon.wait(30)
        for space in (*self.hosts, self.switch):
            space.close()

    def address(self, index: int) -> str:
        return f"{self.net}{index + 1}"

    def endpoint(self, index: int, number: int) -> str:
        """That port, or as many slots, of a host."""
        address = self.address(index)
        return f"[{address}]:{number}" if ":" in address else f"{address}:{number}"

    def _make_keys(self) -> None:
        for name in ("user", "host", "other"):
            path = str(self.folder / name)
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path]
            subprocess.run(command, check=True, timeout=PATIENCE)
        (self.folder / "authorized").write_text((self.folder / "user.pub").read_text())

    def _add(self, index: int) -> None:
        host = Machine(whole=True)
        self.hosts.append(host)
        self.switch.run(
            cable(f"p{index}", host),
            f"ip link set p{index} master sw up",
        )
        host.run(
            f"hostname h{index}",
            *plugged(self.address(index)),
            # Whatever a shell of the user's does first, it is no part of these hosts.
            f"[ ! -f {BASHRC} ] || mount --bind /dev/null {BASHRC}",
        )
        if index > 0:
            self._start_sshd(index, host)

    def _start_sshd(self, index: int, host: Machine) -> None:
        config = self.folder / f"sshd-{index}"
        config.write_text(
            f"ListenAddress {self.endpoint(index, 22)}\n"
            f"HostKey {self.folder}/host\nAuthorizedKeysFile {self.folder}/authorized\n"
            "PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitUserRC no\n"
            f"PermitRootLogin prohibit-password\nMaxStartups 100\nSetEnv {self.mark}\n"
            # What a client may have its outposts find (SetEnv): see tests/failpoints.
            "AcceptEnv FDL_FAILPOINT FAILPOINT_* LD_PRELOAD TMPDIR\n"
        )
        Path("/run/sshd").mkdir(exist_ok=True)  # where it wants to be confined
        log = self.folder / f"sshd-{index}.log"
        with log.open("wb") as errors:
            daemon = subprocess.Popen(
                [*host.enter, SSHD, "-D", "-e", "-f", str(config)],
                stdin=subprocess.DEVNULL,
                stderr=errors,
            )
        self._daemons.append(daemon)
        deadline = time.monotonic() + PATIENCE
        while "Server listening" not in log.read_text():
            assert daemon.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)

    def client(self, *lines: str, known_key: str | None = "host") -> Path:
        """A folder with an ssh that knows our hosts, and nothing of the user's. `lines` go before
        what it is configured to."""
        folder = self.folder / f"client-{uuid.uuid4().hex}"
        folder.mkdir()
        known = folder / "known"
        key = (self.folder / f"{known_key}.pub").read_text() if known_key else ""
        known.write_text(f"{self.net}* {key}" if key else "")
        names = "".join(
            f"Host h{index}\n  HostName {self.address(index)}\n" for index in range(len(self.hosts))
        )
        (folder / "config").write_text(
            "".join(f"{line}\n" for line in lines)
            + f"IdentityFile {self.folder}/user\nIdentitiesOnly yes\n"
            + f"UserKnownHostsFile {known}\nGlobalKnownHostsFile /dev/null\n"
            + names
        )
        program = folder / "ssh"
        program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/config "$@"\n')
        program.chmod(0o755)
        return folder

    def start(
        self,
        launcher: Sequence[str],
        client: Path,
        environment: Mapping[str, str] | None = None,
        **streams: int | IO[Any],
    ) -> subprocess.Popen[str]:
        """The launcher, on the first host, with what `environment` adds."""
        name, _, value = self.mark.partition("=")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("FARANDOLE_", "HOROVOD_"))}
        path = f"{client}:{os.environ['PATH']}"
        process: subprocess.Popen[str] = subprocess.Popen(
            # nsenter goes to the root of what it enters; and these tests may run in the background.
            [
                *(*self.hosts[0].enter, "env", "--default-signal=INT,QUIT"),
                *("-C", str(self.folder), *launcher),
            ],
            env={
                **kept,
                name: value,
                "PATH": path,
                "PWD": str(self.folder),
                "OMP_NUM_THREADS": "1",
                **(environment or {}),
            },
            text=True,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            | streams,  # type: ignore[call-overload]
        )
        return process

    def processes(self) -> dict[int, str]:
        """Names of what runs of a job, on whichever host; sshd and its sessions are none of it."""
        return marked(self.mark)

    def command_lines(self) -> list[bytes]:
        """Of all that runs on these hosts, whoever has started it, and of nothing else here."""
        networks = {os.readlink(f"/proc/{host.pid}/ns/net") for host in self.hosts}
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.readlink(entry / "ns/net") in networks:
                    found.append((entry / "cmdline").read_bytes())
            except OSError:
                continue  # it has ended
        return found

    def running(self, name: str, index: int) -> list[int]:
        """Processes of that name on a host."""
        network = os.readlink(f"/proc/{self.hosts[index].pid}/ns/net")
        found = []
        for pid, comm in self.processes().items():
            try:
                if comm == name and os.readlink(f"/proc/{pid}/ns/net") == network:
                    found.append(pid)
            except OSError:
                continue  # it has ended
        return found

    def sessions_after(self, seconds: float) -> list[int]:
        """Of sshd's sessions, those that have not ended after so long."""
        deadline = time.monotonic() + seconds
        while (left := self._sessions()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return left

    def _sessions(self) -> list[int]:
        """What sshd has forked."""
        found = []
        for daemon in self._daemons:  # nsenter, which has sshd as its child
            for child in children_of(daemon.pid):
                found += children_of(child)
        return found

    def left_after(self, seconds: float) -> dict[int, str]:
        """What has not ended after so long."""
        return left_after(self.mark, seconds)

    def signal_launcher(self, number: int) -> None:
        (pid,) = self.running("farandolerun", 0)
        os.kill(pid, number)

    def clear(self) -> None:
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
