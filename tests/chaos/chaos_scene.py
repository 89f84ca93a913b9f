"""The stage of a trial: a job that runs, on one host or on several of our own, and its victim."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chaos_job import Bootstrap, Build, Job, Watch, Work, launch
from chaos_net import HERE, Network, Proxy
from marked import marked

LONGEST = 600.0  # seconds for a job, whatever becomes of it


@dataclass(frozen=True)
class Stage:
    """Where a job runs. `hosts` 0: on this host, under farandolerun; else ranks are started by
    hand, `per_host` in each network namespace."""

    name: str
    communicator: str
    hosts: int = 0
    per_host: int = 3
    proxied: bool = False  # the victim's connections go through our proxy
    work: Work = field(default_factory=Work)

    @property
    def ranks(self) -> int:
        return max(self.hosts, 1) * self.per_host


class Scene:
    """A running job. `victim` is a rank; its host is harmed where a whole host is."""

    def __init__(self, stage: Stage, build: Build, victim: int, seed: int) -> None:
        self.stage = stage
        self.victim = victim
        self.random = random.Random(seed)
        self.network: Network | None = None
        self.proxy: Proxy | None = None
        self._stack = contextlib.ExitStack()
        try:
            self.job = self._start(build, seed)
            self.job.wait_until_ready()
        except BaseException:
            self._stack.close()
            raise
        self.port = self._controller_port()

    def close(self) -> None:
        self._stack.close()

    @property
    def host(self) -> int:
        """The victim's."""
        return self.victim // self.stage.per_host

    def host_of(self, rank: int) -> int:
        return rank // self.stage.per_host

    def with_victim(self, rank: int) -> bool:
        """Whether it is on the victim's side of a fault of links."""
        if self.stage.hosts == 0:
            return rank == self.victim
        return self.host_of(rank) == self.host

    def net(self) -> Network:
        assert self.network is not None
        return self.network

    def close_proxy(self) -> None:
        """On this host its sockets would look like the job's."""
        if self.proxy is not None and self.network is None:
            self.proxy.close()
            self.proxy = None

    def order_proxy(self, what: str) -> int:
        assert self.proxy is not None
        return self.proxy.order(what)

    def _start(self, build: Build, seed: int) -> Job:
        stage = self.stage
        settings: dict[str, object] = {"FARANDOLE_COMMUNICATOR": stage.communicator}
        if stage.hosts == 0 and not stage.proxied:
            return self._stack.enter_context(
                launch(build, stage.ranks, stage.work, seed, LONGEST, **settings)
            )
        if stage.hosts > 0:  # left after the job, whose processes are in it
            self.network = self._stack.enter_context(Network(stage.hosts))
        job = self._stack.enter_context(Job(stage.ranks))
        if self.network is None:
            self._start_behind_proxy(job, build, seed, settings)
        else:
            self._start_on_hosts(job, self.network, build, seed, settings)
        return job

    def _start_behind_proxy(
        self, job: Job, build: Build, seed: int, settings: dict[str, object]
    ) -> None:
        """On this host; the victim reaches rank 0 through the proxy."""
        bootstrap = Bootstrap(job, self.stage.ranks)
        target = f"127.0.0.1:{bootstrap.port}"
        command = [sys.executable, str(HERE / "chaos_proxy.py"), "--listen", "127.0.0.1:0"]
        self.proxy = Proxy([*command, "--to", target, "--control-port", str(bootstrap.port)])
        self._stack.callback(self.close_proxy)
        for rank in range(self.stage.ranks):
            controller = f"127.0.0.1:{self.proxy.port}" if rank == self.victim else ""
            own = {**bootstrap.of_rank(rank, controller), **settings}
            job.start(self.stage.work.command(build, seed), job.environment(build, **own))

    def _start_on_hosts(
        self, job: Job, network: Network, build: Build, seed: int, settings: dict[str, object]
    ) -> None:
        stage = self.stage
        port = 5000  # nobody else is in the namespace
        bootstrap = Bootstrap(job, stage.ranks, Network.address(0), port)
        if stage.proxied:
            self.proxy = network.put_proxy_before(self.host, port)
        for rank in range(stage.ranks):
            host = self.host_of(rank)
            own = {**bootstrap.of_rank(rank), "FARANDOLE_HOST": f"host{host}", **settings}
            command = [*network.hosts[host].enter, *stage.work.command(build, seed)]
            job.start(command, job.environment(build, **own))

    def _controller_port(self) -> int:
        environment = Path(f"/proc/{self.job.pid(0)}/environ").read_bytes().split(b"\0")
        (value,) = (v for v in environment if v.startswith(b"FARANDOLE_CONTROLLER="))
        return int(value.rpartition(b":")[2])

    # Faults of processes. Each says when; None where the victim itself tells.

    def kill(self, number: int) -> int:
        return self.job.signal(self.victim, number)

    def wake(self) -> None:
        self.kill(signal.SIGCONT)
        for process in self.job.processes:  # nsenter stops itself with its child
            process.send_signal(signal.SIGCONT)

    def let(self, order: int) -> None:
        """Has the victim throw or exit by itself."""
        self.job.signal(self.victim, order)

    def signal_launcher(self, names: Sequence[str], number: int) -> int:
        """`names` as the kernel knows the processes: farandolerun, fdl-agent."""
        pids = [pid for pid, comm in marked(self.job.mark).items() if comm in names]
        assert len(pids) == len(names), f"{names} are {pids}"
        when = time.monotonic_ns()
        for pid in pids:
            os.kill(pid, number)
        return when

    def watch_all(self) -> Watch:
        return Watch(list(marked(self.job.mark)))
