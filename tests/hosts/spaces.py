"""Namespaces that play hosts, and cables between them.

A namespace lives as long as a process in it, and that one ends with the end of its standard input:
whatever becomes of the tests, nothing stays.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Space:
    """A namespace of network, and those that `made`, flags of unshare(1), has besides; held by a
    shell. `entered`: flags of nsenter(1) for them.

    pid: of a process that lives in them. enter: the command before what is to run in them.
    """

    def __init__(self, made: Sequence[str] = (), entered: Sequence[str] = ()) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "--net", *made, "sh", "-c", "echo; read -r _"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline(), "unshare failed"
        self.pid = self._holder.pid
        if "--pid" in made:
            self.pid = children_of(self.pid)[0]
        self.enter = ["nsenter", "-t", str(self.pid), "--net", *entered]

    def close(self) -> None:
        assert self._holder.stdin is not None and self._holder.stdout is not None
        self._holder.stdin.close()
        self._holder.wait(30)
        self._holder.stdout.close()


def cable(port: str, host: Space) -> str:
    """The command, to be run where the other hosts are joined, that plugs in this one: `port` there
    is eth0 of the host."""
    return f"ip link add {port} type veth peer name eth0 netns {host.pid}"


def plugged(address: str) -> tuple[str, ...]:
    """Commands by which a host begins to use its cable. With an address of IPv6 it has none of v4,
    not even for itself."""
    alone = ":" in address
    return (
        "ip link set lo up",
        *(["ip -4 addr flush dev lo"] if alone else []),
        f"ip addr add {address}{'/64' if alone else '/24'} dev eth0 {'nodad' if alone else ''}",
        "ip link set eth0 up",
    )
