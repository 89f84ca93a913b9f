"""Hosts that cannot take part are named with what would help, before anything is started."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from ssh_hosts import Hosts, why_not
from test_hosts import run

pytestmark = [
    pytest.mark.timeout(150),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

BOUND = 25.0  # seconds in which each is said


def refused(hosts: Hosts, client: Path, launcher: str, *flags: str, code: int = 1) -> list[str]:
    """The lines that say why nothing was started."""
    begin = time.monotonic()
    ended = run(hosts, client, launcher, *flags, "true")
    assert time.monotonic() - begin < BOUND
    assert (ended.code, ended.out) == (code, ""), ended.err
    assert hosts.left_after(10) == {}
    lines = ended.err.splitlines()
    assert all(line.startswith("farandolerun: ") for line in lines), ended.err
    return [line.removeprefix("farandolerun: ") for line in lines]


def test_a_name_that_does_not_resolve(hosts: Hosts, launcher: str) -> None:
    (line,) = refused(hosts, hosts.client(), launcher, "-H", "h0:1,nowhere.invalid:1")
    assert (
        line == "the name of host nowhere.invalid does not resolve; correct it, or give its address"
    )


def test_every_host_at_fault_is_named(hosts: Hosts, launcher: str) -> None:
    flags = ["-H", "h1:1,no.invalid:1,none.invalid:1"]
    lines = refused(hosts, hosts.client(), launcher, *flags)
    assert [line.split()[4] for line in lines] == ["no.invalid", "none.invalid"]


def test_a_key_that_is_refused(hosts: Hosts, launcher: str) -> None:
    client = hosts.client(f"IdentityFile {hosts.folder}/other", "IdentityAgent none")
    config = client / "config"
    config.write_text(config.read_text().replace(f"IdentityFile {hosts.folder}/user\n", ""))
    (line,) = refused(hosts, client, launcher, "-H", "h1:1")
    assert line == (
        "host h1 refuses the key; allow it with ssh-copy-id h1, or name another one with "
        "--ssh-identity-file"
    )
    ended = run(
        hosts,
        client,
        launcher,
        "-i",
        str(hosts.folder / "user"),
        "-p",
        "22",
        "-H",
        "h1:1",
        "hostname",
    )
    assert (ended.code, ended.out) == (0, "[0] h1\n"), ended.err


def test_a_key_that_is_not_there(hosts: Hosts, launcher: str) -> None:
    flags = ["--ssh-identity-file", "/no/key", "-H", "h1:1"]
    (line,) = refused(hosts, hosts.client(), launcher, *flags, code=2)
    assert line == "--ssh-identity-file: /no/key cannot be read: No such file or directory"


def test_a_host_key_that_is_not_known_or_another_one(hosts: Hosts, launcher: str) -> None:
    (line,) = refused(hosts, hosts.client(known_key=None), launcher, "-H", "h1:1")
    assert line == "the host key of h1 is not known here; confirm it once with ssh h1 true"
    (line,) = refused(hosts, hosts.client(known_key="other"), launcher, "-H", "h1:1")
    assert line.startswith("host h1 has another host key than the one that is known here: ")
    assert "ssh-keygen -R h1" in line


def test_no_sshd(hosts: Hosts, launcher: str) -> None:
    (line,) = refused(hosts, hosts.client(), launcher, "--ssh-port", "23", "-H", "h1:1")
    assert line.startswith("nothing takes ssh connections on host h1 (ssh: connect to host ")
    assert line.endswith("start sshd there, or give its port with --ssh-port")


def test_an_ssh_that_cannot_be_started(hosts: Hosts, launcher: str) -> None:
    client = hosts.client()
    (client / "ssh").write_text("#!/no/such/interpreter\n")
    (line,) = refused(hosts, client, launcher, "-H", "h1:1")
    assert line == (
        f"ssh to host h1 could not be started: {client}/ssh: No such file or directory (errno 2)"
    )


def test_no_such_address(hosts: Hosts, launcher: str) -> None:
    (line,) = refused(hosts, hosts.client(), launcher, "-H", "10.78.0.99:1")
    assert line.startswith("host 10.78.0.99 ") and "; is it up" in line


@pytest.mark.patient
def test_a_host_that_answers_nothing(hosts: Hosts, launcher: str) -> None:
    output = "{ type filter hook output priority 0; }"
    hosts.hosts[0].run(
        "nft add table ip t",
        f"nft 'add chain ip t o {output}'",
        "nft add rule ip t o ip daddr 10.78.0.2 drop",
    )
    try:
        (line,) = refused(hosts, hosts.client(), launcher, "-H", "h1:1")
    finally:
        hosts.hosts[0].run("nft delete table ip t")
    assert line.startswith("host h1 does not answer (") and "firewall" in line


def on_host(hosts: Hosts, index: int, launcher: str, instead: Path | str) -> None:
    """Has another program where a host had the launcher."""
    hosts.hosts[index].run(f"mount --bind {instead} {launcher}")


def test_no_program_or_another_version(hosts: Hosts, launcher: str) -> None:
    fake = hosts.folder / "fake"
    on_host(hosts, 1, launcher, "/dev/null")
    try:
        (line,) = refused(hosts, hosts.client(), launcher, "-H", "h1:1,h2:1")
        assert line == (
            f"host h1 has no farandolerun: neither {launcher} nor one in the PATH of programs that "
            "ssh starts; install Farandole there at the same place"
        )
    finally:
        hosts.hosts[1].run(f"umount {launcher}")
    fake.write_text("#!/bin/sh\necho welcome\nexec python3 -c 'import sys\n"
                    "sys.stdout.buffer.write(b\"farandole-outpost 0.0.1\\n\"\n"
                    "b\"\\0\\0\\0\\x10\\x0b\\0\\0\\0\\3\" + 12 * b\"\\0\")\n"
                    "sys.stdout.flush()\nsys.stdin.read()'\n")  # fmt: skip
    fake.chmod(0o755)
    on_host(hosts, 2, launcher, fake)
    try:
        (line,) = refused(hosts, hosts.client(), launcher, "-H", "h1:1,h2:1")
        assert line.startswith("host h2 has Farandole 0.0.1, but this one has ")
        assert line.endswith("; install the same on both")
    finally:
        hosts.hosts[2].run(f"umount {launcher}")


def test_something_else_that_answers(hosts: Hosts, launcher: str) -> None:
    fake = hosts.folder / "talker"
    fake.write_text("#!/bin/sh\nyes chatter | head -c 100000\nexec cat > /dev/null\n")
    fake.chmod(0o755)
    on_host(hosts, 1, launcher, fake)
    try:
        (line,) = refused(hosts, hosts.client(), launcher, "-H", "h1:1")
    finally:
        hosts.hosts[1].run(f"umount {launcher}")
    assert line.startswith("host h1 answers with something else than an outpost of Farandole: ")


def test_a_login_shell_that_greets_is_no_harm(hosts: Hosts, launcher: str) -> None:
    fake = hosts.folder / "greeter"
    shutil.copy(launcher, hosts.folder / "real")
    fake.write_text(f'#!/bin/sh\necho Welcome\nexec {hosts.folder}/real "$@"\n')
    fake.chmod(0o755)
    on_host(hosts, 1, launcher, fake)
    try:
        ended = run(hosts, hosts.client(), launcher, "-H", "h1:1", "hostname")
    finally:
        hosts.hosts[1].run(f"umount {launcher}")
    assert (ended.code, ended.out) == (0, "[0] h1\n"), ended.err


def test_what_a_host_lacks(hosts: Hosts, launcher: str) -> None:
    program = hosts.folder / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    on_host(hosts, 2, str(program), "/dev/null")
    ended = run(hosts, hosts.client(), launcher, "-H", "h1:1,h2:1", str(program))
    hosts.hosts[2].run(f"umount {program}")
    assert ended.code == 126
    assert ended.err == f"farandolerun: host h2: cannot start {program}: it is not a file\n"
    ended = run(hosts, hosts.client(), launcher, "-H", "h1:1", "no-such-program")
    assert (ended.code, ended.err) == (
        127,
        "farandolerun: host h1: program no-such-program was not found in PATH\n",
    )
    inner = hosts.folder / "work/inner"
    inner.mkdir(parents=True)
    hosts.hosts[1].run(f"mount -t tmpfs none {inner.parent}")
    try:
        ended = run(hosts, hosts.client(), "env", "-C", str(inner), launcher, "-H", "h1:1", "true")
    finally:
        hosts.hosts[1].run(f"umount {inner.parent}")
    assert ended.code == 1
    assert ended.err == (
        f"farandolerun: host h1 has no folder {inner} to start in, as here (No such file or "
        "directory); make it there, or start the job in a folder that all hosts have\n"
    )
