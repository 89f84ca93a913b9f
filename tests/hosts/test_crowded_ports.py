"""The port that is kept for rank 0 while hosts try each other: a crowd at it keeps no job from
starting."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ssh_hosts import Hosts, why_not
from test_hosts import LIMIT, SUMS, Ended

pytestmark = [
    pytest.mark.timeout(150),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

# More than twice what the queue of a listener holds. All of them stay, and say nothing.
CROWD = """
import resource, socket, sys
here = (sys.argv[1], int(sys.argv[2]))
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (10_100, max(hard, 10_100)))
crowd = [socket.create_connection(here, timeout=20) for _ in range(10_000)]
print(len(crowd), flush=True)
sys.stdin.read()
"""
# In place of the launcher on the last host: what it is told first, to try the ports, waits.
WAITING = """#!/bin/bash
exec {0}/real "$@" < <(
  exec 2> /dev/null; cd {0}; head -c 1 > first; echo > told; read -r < go; exec cat first -)
"""


def ports(hosts: Hosts, index: int) -> list[int]:
    """At which a host listens, but for its sshd."""
    lines = Path(f"/proc/{hosts.hosts[index].pid}/net/tcp").read_text().splitlines()[1:]
    words = [line.split() for line in lines]
    found = [int(word[1].rpartition(":")[2], 16) for word in words if word[3] == "0A"]
    return [port for port in found if port != 22]


# The launcher holds the port, or the outpost of rank 0's host, which tries it itself, too.
@pytest.mark.parametrize(("placed", "holder"), [("h0:1,h2:1", 0), ("h1:1,h2:1", 1)])
def test_ten_thousand_strangers_at_the_port_that_is_tried(
    hosts: Hosts, launcher: str, client: Path, tmp_path: Path, placed: str, holder: int
) -> None:
    script = tmp_path / "sums.py"
    script.write_text(SUMS)
    shutil.copy(launcher, tmp_path / "real")
    waiting = tmp_path / "waiting"
    waiting.write_text(WAITING.format(tmp_path))
    waiting.chmod(0o755)
    for name in ("told", "go"):
        os.mkfifo(tmp_path / name)
    told = os.open(tmp_path / "told", os.O_RDONLY | os.O_NONBLOCK)
    hosts.hosts[2].run(f"mount --bind {waiting} {launcher}")
    command = [launcher, "--start-timeout", "100", "-H", placed, sys.executable, str(script)]
    job = hosts.start(command, client)
    try:
        assert select.select([told], [], [], LIMIT)[0], "no host was told to try ports"
        (port,) = ports(hosts, holder)
        where = (hosts.address(holder), str(port))
        with subprocess.Popen(
            [*hosts.hosts[1 - holder].enter, sys.executable, "-c", CROWD, *where],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as crowd:
            assert crowd.stdout is not None
            assert crowd.stdout.readline() == "10000\n"
            (tmp_path / "go").write_text("\n")
            ended = Ended(hosts, job)
    except BaseException:
        hosts.clear()
        raise
    finally:
        os.close(told)
        hosts.hosts[2].run(f"umount {launcher}")
    assert ended.code == 0, ended.err
    assert sorted(line.partition(" of ")[0] for line in ended.out.splitlines()) == [
        "[0] sum 3.0",
        "[1] sum 3.0",
    ]
