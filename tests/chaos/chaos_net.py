"""Hosts of our own: network namespaces joined by a router, whose links can be broken.

Each host has a pid namespace as well, so that its ranks see of the others what another machine
would let them see.

    host 0 (10.77.0.1) --- |        |
    host 1 (10.77.1.1) --- | router | --- link to host i: r<i>, 10.77.<i>.254
    host 2 (10.77.2.1) --- |        |
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import TracebackType

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "hosts"))

from spaces import Space, cable, plugged  # noqa: E402

PROXY_PORT = 4000
TABLE = "ip chaos"


@cache
def why_not() -> str:
    """Why there can be no hosts of our own here; "" where there can."""
    missing = [name for name in ("unshare", "nsenter", "ip", "tc", "nft") if not shutil.which(name)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if os.geteuid() != 0:
        return "network namespaces need root"
    try:
        with Network(2) as network:
            network.throttle(1, "10mbit")
            network.drop(1)
            redirect = f"meta l4proto tcp redirect to :{PROXY_PORT}"
            network.router.run(chain("into", "type nat hook prerouting priority dstnat", redirect))
    except (OSError, AssertionError) as refused:
        return f"network namespaces, or what breaks their links, are refused: {refused}"
    return ""


def chain(name: str, *rules: str) -> str:
    """Shell command that adds a chain of nftables."""
    lines = "\n".join(f"    {rule};" for rule in rules)
    return f"nft -f - <<'END'\ntable {TABLE} {{\n  chain {name} {{\n{lines}\n  }}\n}}\nEND"


class Machine(Space):
    """A host (with `pids`), or what joins them, and a shell in it."""

    def __init__(self, pids: bool) -> None:
        super().__init__(["--pid", "--fork"] if pids else [], ["--pid"] if pids else [])
        self._shell = subprocess.Popen(
            ["nsenter", "-t", str(self.pid), "--net", "sh"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, script: str) -> str:
        """Runs commands; what they wrote. The shell is there already, so this is quick."""
        assert self._shell.stdin is not None and self._shell.stdout is not None
        self._shell.stdin.write(f"{{ set -e\n{script}\n}}\necho; echo done-$?\n")
        self._shell.stdin.flush()
        lines: list[str] = []
        for line in self._shell.stdout:
            if line.startswith("done-"):
                return "".join(lines)
            lines.append(line)
        raise AssertionError(f"{script}: {''.join(lines)}")

    def close(self) -> None:
        assert self._shell.stdin is not None and self._shell.stdout is not None
        self._shell.stdin.close()
        self._shell.wait(30)
        self._shell.stdout.close()
        super().close()


class Network:
    def __init__(self, hosts: int) -> None:
        self.router = Machine(pids=False)
        self.hosts: list[Machine] = []
        self.proxy: Proxy | None = None
        self.router.run("ip link set lo up\necho 1 > /proc/sys/net/ipv4/ip_forward")
        try:
            for index in range(hosts):
                self._add(index)
        except BaseException:
            self.close()
            raise

    def _add(self, index: int) -> None:
        host = Machine(pids=True)
        self.hosts.append(host)
        port, router = f"r{index}", f"10.77.{index}.254"
        self.router.run(
            f"{cable(port, host)}\nip addr add {router}/24 dev {port}\nip link set {port} up"
        )
        host.run("\n".join((*plugged(self.address(index)), f"ip route add default via {router}")))

    def __enter__(self) -> Network:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        if self.proxy is not None:
            self.proxy.close()
            self.proxy = None
        for space in (*self.hosts, self.router):
            space.close()

    @staticmethod
    def address(host: int) -> str:
        return f"10.77.{host}.1"

    # Each says when it began to act.

    def link(self, host: int, state: str) -> int:
        when = time.monotonic_ns()
        self.router.run(f"ip link set r{host} {state}")
        return when

    def drop(self, host: int, outgoing: bool = True, incoming: bool = True) -> int:
        """Silently, what comes from the host and what goes to it."""
        rules = [f'iifname "r{host}" drop'] * outgoing + [f'oifname "r{host}" drop'] * incoming
        return self._filter(rules)

    def reset(self, host: int) -> int:
        """Answers every segment from and to the host with a reset, as a middlebox does that has
        forgotten the connection."""
        answer = "meta l4proto tcp reject with tcp reset"
        return self._filter([f'iifname "r{host}" {answer}', f'oifname "r{host}" {answer}'])

    def _filter(self, rules: Sequence[str]) -> int:
        when = time.monotonic_ns()
        self.router.run(chain("through", "type filter hook forward priority filter", *rules))
        return when

    def throttle(self, host: int, rate: str) -> int:
        """In both directions, with a queue of 200 ms."""
        shaped = f"root tbf rate {rate} burst 32kbit latency 200ms"
        when = time.monotonic_ns()
        self.router.run(f"tc qdisc add dev r{host} {shaped}")
        self.hosts[host].run(f"tc qdisc add dev eth0 {shaped}")
        return when

    def flap(self, host: int, seconds: float) -> int:
        """As drop, for so long: the kernel itself forgets what is gone. On a busy machine a program
        that ends it comes later, and what is sent again and again waits twice as long each time."""
        gone = f'"r{host}" timeout {seconds * 1000:.0f}ms'
        when = time.monotonic_ns()
        self.router.run(
            f"nft add table {TABLE}\n"
            f"nft 'add set {TABLE} gone {{ type ifname; flags timeout; }}'\n"
            + chain(
                "through",
                "type filter hook forward priority filter",
                "iifname @gone drop",
                "oifname @gone drop",
            )
            + f"\nnft 'add element {TABLE} gone {{ {gone} }}'"
        )
        time.sleep(seconds)  # the fault itself: so long is the link down
        return when

    def put_proxy_before(self, host: int, controller_port: int) -> Proxy:
        """From now on every new TCP connection from or to the host goes through a proxy."""
        command = [sys.executable, str(HERE / "chaos_proxy.py"), "--redirected"]
        listen = ["--listen", f"0.0.0.0:{PROXY_PORT}", "--control-port", str(controller_port)]
        self.proxy = Proxy([*self.router.enter, *command, *listen])
        redirect = f"meta l4proto tcp redirect to :{PROXY_PORT}"
        self.router.run(
            chain(
                "into",
                "type nat hook prerouting priority dstnat",
                f'iifname "r{host}" {redirect}',
                f"ip daddr {self.address(host)} {redirect}",
            )
        )
        return self.proxy

    def open_sockets(self) -> list[str]:
        """Tables of TCP sockets of all hosts."""
        return [host.run("cat /proc/net/tcp") for host in self.hosts]


class Proxy:
    """A running chaos_proxy.py."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        first = self._process.stdout.readline()
        assert first.startswith("listening "), f"the proxy did not start: {first}"
        self.port = int(first.split()[1])

    def order(self, what: str) -> int:
        """Has it do something to the streams; when that was done."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer.startswith("done "), f"{what}: {answer}"
        return int(answer.split()[1])

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()
