"""A job on several hosts, as others see it: on none of them does its secret stand where it can be
read, nor does anything of it listen."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from ssh_hosts import Hosts, why_not

pytestmark = [
    pytest.mark.timeout(150),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

LIMIT = 60.0
# Ranks that have met, and stay until rank 0 is told to go on.
RANK = """
import sys
import farandole
farandole.init()
farandole.barrier()
print("up", flush=True)
if farandole.rank() == 0:
    sys.stdin.read()
farandole.barrier()
"""
# Looks as nobody, without any group or capability, for what it is told line by line in hexadecimal:
# in all that can be read of every process of its host; says what can be opened that should not be.
# Of one that has ended and is not yet reaped, files can be opened that hold nothing; it has no
# command line any more.
SEARCH = """
import os, sys
sought = [bytes.fromhex(line) for line in sys.stdin.read().split()]
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)

def opened(path):
    try:
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return -1

def text_of(path):
    fd = opened(path)
    try:
        return b"" if fd < 0 else os.read(fd, 1 << 20)
    except OSError:
        return b""
    finally:
        if fd >= 0:
            os.close(fd)

for path in sys.argv[1:]:
    if opened(path) >= 0:
        print("open", path)
for pid in os.listdir("/proc"):
    if not pid.isdigit() or int(pid) == os.getpid():
        continue
    print("looked at", text_of(f"/proc/{pid}/comm").decode().strip())
    for name in ("environ", "mem", "maps", "smaps", "auxv", "fd", "fdinfo", "map_files"):
        if opened(f"/proc/{pid}/{name}") >= 0 and text_of(f"/proc/{pid}/cmdline"):
            print("open", f"/proc/{pid}/{name}")
    for folder, _, files in os.walk(f"/proc/{pid}"):
        for name in files:
            text = text_of(os.path.join(folder, name))
            for index, needle in enumerate(sought):
                if needle in text:
                    print("found", index, name)
"""


def spellings(secret: bytes) -> list[bytes]:
    """As bytes and as text; the last characters of base64 depend on what follows."""
    digits = base64.b64encode(secret)[: len(secret) // 3 * 4]
    return [secret, secret.hex().encode(), secret.hex().upper().encode(), digits]


def everywhere(name: str) -> dict[int, bytes]:
    """That file of each process on this machine, whichever host it is on."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit():
                found[int(entry.name)] = (entry / name).read_bytes()
        except OSError:
            continue  # it has ended
    return found


def secret_paths(hosts: Hosts, index: int) -> set[str]:
    """Where the ranks of a host are told that the secret is."""
    paths = set()
    for pid in hosts.running("python", index) + hosts.running("python3", index):
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        found = re.search(rb"(?:^|\0)FARANDOLE_SECRET_FILE=([^\0]+)", environment)
        if found:
            paths.add(found[1].decode())
    return paths


def on_host(hosts: Hosts, index: int, *command: str, text: bytes = b"") -> bytes:
    return subprocess.run(
        [*hosts.hosts[index].enter, *command],
        input=text,
        stdout=subprocess.PIPE,
        timeout=LIMIT,
        check=True,
    ).stdout


def met(
    hosts: Hosts, launcher: str, client: Path, said: Path, *arguments: str
) -> subprocess.Popen[str]:
    """A job, at its most talkative, whose ranks have met: two on h1 and one on h0."""
    script = hosts.folder / "rank.py"
    script.write_text(RANK)
    with said.open("wb") as errors:
        process = hosts.start(
            [launcher, "--verbose", "-H", "h1:2,h0:1", sys.executable, str(script), *arguments],
            client,
            {"FARANDOLE_LOG_LEVEL": "trace"},
            stdin=subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    heard = sorted(process.stdout.readline() for _ in range(3))
    assert heard == [f"[{rank}] up\n" for rank in range(3)], said.read_text()
    return process


def ports_listened_at(hosts: Hosts, index: int) -> set[int]:
    """Of TCP, on a host."""
    found = set()
    for table in ("tcp", "tcp6"):
        rows = Path(f"/proc/{hosts.hosts[index].pid}/net/{table}").read_text().splitlines()[1:]
        found |= {int(row.split()[1].split(":")[1], 16) for row in rows if row.split()[3] == "0A"}
    return found


def test_nothing_listens_on_any_host_once_ranks_have_met(
    hosts: Hosts, launcher: str, client: Path
) -> None:
    said = hosts.folder / "said"
    process = met(hosts, launcher, client, said)
    assert ports_listened_at(hosts, 0) == set()
    assert ports_listened_at(hosts, 1) == {22}, "sshd alone"
    process.communicate("", timeout=LIMIT)
    assert process.returncode == 0, said.read_text()


def test_nobody_finds_the_secret_on_any_host(hosts: Hosts, launcher: str, client: Path) -> None:
    decoy = uuid.uuid4().hex  # what is to be found, so that the search is seen to find
    said = hosts.folder / "said"
    process = met(hosts, launcher, client, said, decoy)
    secrets = {}
    for index in (0, 1):
        (path,) = secret_paths(hosts, index)
        secrets[index] = on_host(hosts, index, "cat", path)
        assert len(secrets[index]) == 32
        look_as_nobody(hosts, index, path, decoy, secrets[index])
    assert secrets[0] == secrets[1]
    for name, there in (("cmdline", decoy), ("environ", hosts.mark)):
        shown = everywhere(name)
        assert sum(there.encode() in text for text in shown.values()) >= 4, "launcher and ranks"
        for needle in spellings(secrets[0]):
            assert [pid for pid, text in shown.items() if needle in text] == []

    out, _ = process.communicate("", timeout=LIMIT)
    everything = out.encode() + said.read_bytes()
    assert process.returncode == 0, everything
    assert b"] trace: " in everything and b"farandolerun: " in everything, "all that can be said"
    assert [needle for needle in spellings(secrets[0]) if needle in everything] == []


def look_as_nobody(hosts: Hosts, index: int, path: str, decoy: str, secret: bytes) -> None:
    sought = [decoy.encode(), *spellings(secret)]
    told = "\n".join(needle.hex() for needle in sought)
    answer = on_host(hosts, index, sys.executable, "-c", SEARCH, path, text=told.encode())
    lines = set(answer.decode().splitlines())
    looked_at = {line for line in lines if line.startswith("looked at ")}
    assert {"looked at fdl-agent", f"looked at fdl-keeper-{0 if index else 2}"} <= looked_at
    assert lines - looked_at == {"found 0 cmdline"}, lines
