"""The launcher on several hosts, through real OpenSSH: ranks meet, and nothing of them stays on any
host whatever is killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ssh_hosts import GONE, Hosts, why_not

pytestmark = [
    pytest.mark.timeout(150),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

LIMIT = 60.0
SUMS = """
import sys
import numpy as np
import farandole
farandole.init()
total = farandole.allreduce(np.full(3, farandole.rank() + 1.0), op=farandole.Sum)
print("sum", total[0], "of", farandole.size(), farandole.local_rank(), farandole.cross_size())
"""
# Says where it is, and lives on with a child until it is ended.
SLEEP = "echo up-$FARANDOLE_RANK-$(hostname); sleep 1000 & sleep 1000"


class Ended:
    def __init__(
        self, hosts: Hosts, process: subprocess.Popen[str], text: str | None = None
    ) -> None:
        try:
            self.out, self.err = process.communicate(text, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            hosts.clear()
            self.out, self.err = process.communicate(timeout=LIMIT)
            pytest.fail(f"did not end: {self.out[-5000:]}{self.err}")
        self.code = process.returncode


def run(hosts: Hosts, client: Path, *command: str, text: str | None = None) -> Ended:
    source = subprocess.DEVNULL if text is None else subprocess.PIPE
    return Ended(hosts, hosts.start(command, client, stdin=source), text)


def up(hosts: Hosts, launcher: str, client: Path, *flags: str) -> subprocess.Popen[str]:
    """A job of two ranks on each of h1 and h0, both of which have said that they run."""
    process = hosts.start([launcher, "-H", "h1:2,h0:1", *flags, "sh", "-c", SLEEP], client)
    assert process.stdout is not None
    heard = sorted(process.stdout.readline() for _ in range(3))
    assert heard == ["[0] up-0-h1\n", "[1] up-1-h1\n", "[2] up-2-h0\n"], heard
    return process


@pytest.mark.parametrize(
    ("placed", "places"),
    [
        ("h0:1,h1:2,h2:1", ["0 3", "0 3", "1 1", "0 3"]),
        ("h0:1,h1:1,h2:1,h3:1", ["0 4"] * 4),
        ("h3:2,h1:1,h2:2,h0:1", ["0 4", "1 2", "0 4", "0 4", "1 2", "0 4"]),
    ],
)
def test_ranks_meet_across_hosts(
    hosts: Hosts, launcher: str, client: Path, placed: str, places: list[str]
) -> None:
    """`places`: of each rank the one on its host, and on how many hosts there is such a one."""
    script = hosts.folder / "sums.py"
    script.write_text(SUMS)
    ended = run(hosts, client, launcher, "-H", placed, sys.executable, str(script))
    assert ended.code == 0, ended.err
    size = len(places)
    total = size * (size + 1) / 2
    assert sorted(ended.out.splitlines()) == [
        f"[{rank}] sum {total} of {size} {place}" for rank, place in enumerate(places)
    ]


def test_ranks_meet_on_hosts_without_ipv4(ipv6_hosts: Hosts, launcher: str) -> None:
    hosts = ipv6_hosts
    script = hosts.folder / "sums.py"
    script.write_text(SUMS)
    placed = ",".join(hosts.endpoint(index, 1) for index in (1, 0))
    shown = (
        *("sh", "-c", 'echo $FARANDOLE_CONTROLLER $(ip -4 -o addr); exec "$@"'),
        *("-", sys.executable, str(script)),
    )
    ended = run(hosts, hosts.client(), launcher, "-H", placed, *shown)
    assert ended.code == 0, ended.err
    lines = sorted(re.sub(r"\]:\d+", "]:PORT", line) for line in ended.out.splitlines())
    assert lines == [
        "[0] [fd78::2]:PORT",
        "[0] sum 3.0 of 2 0 2",
        "[1] [fd78::2]:PORT",
        "[1] sum 3.0 of 2 0 2",
    ]


THREADS = """
import re, pathlib, farandole
farandole.init()
farandole.barrier()
found = [(task / "status").read_text() for task in pathlib.Path("/proc/self/task").iterdir()]
own = [text for text in found if text.startswith("Name:\\tfdl-")]
print({re.search(r"Cpus_allowed_list:\\t(.*)", text)[1] for text in own})
farandole.barrier()
"""


def test_each_host_binds_its_own_ranks(hosts: Hosts, launcher: str, client: Path) -> None:
    usable = sorted(os.sched_getaffinity(0))
    flags = (launcher, "-H", "h1:1,h2:1", "--bind-to", "hwthread", "--verbose")
    ended = run(hosts, client, *flags, "grep", "Cpus_allowed_list", "/proc/self/status")
    assert ended.code == 0, ended.err
    assert sorted(ended.out.splitlines()) == [
        f"[{rank}] Cpus_allowed_list:\t{usable[0]}" for rank in (0, 1)
    ]
    for rank in (0, 1):
        text = f"rank {rank} on h{rank + 1} is bound to hwthread with CPUs {usable[0]}\n"
        assert text in ended.err

    many = len(usable) + 1
    crowd = (launcher, "-H", f"h1:1,h2:{many}", "--bind-to", "hwthread")
    refused = run(hosts, client, *crowd, "echo", "started")
    assert (refused.code, refused.out) == (2, "")
    assert f"host h2: --bind-to hwthread: {many} ranks are more than" in refused.err


def test_each_host_has_a_core_for_the_threads_of_its_ranks(
    hosts: Hosts, launcher: str, client: Path
) -> None:
    """Before anything starts on whichever host; those of fewer ranks use the first ones."""
    core = min(os.sched_getaffinity(0))
    script = hosts.folder / "threads.py"
    script.write_text(THREADS)
    flags = ("-H", "h0:1,h1:2,h2:1", "--thread-affinity", f"{core},{core}")
    ended = run(hosts, client, launcher, *flags, sys.executable, str(script))
    assert ended.code == 0, ended.err
    assert sorted(ended.out.splitlines()) == [f"[{rank}] {{'{core}'}}" for rank in range(4)]

    flags = ("-H", "h1:1,h2:2", "--thread-affinity", str(core))
    refused = run(hosts, client, launcher, *flags, "echo", "started")
    assert (refused.code, refused.out) == (2, "")
    short = f"{core} names 1 core, but 2 ranks run on this host; name one for each"
    text = f"host h2: --thread-affinity (FARANDOLE_THREAD_AFFINITY): {short}"
    assert text in refused.err


RUN = """
import farandole
def where(base):
    import os, socket, farandole
    farandole.init()
    print("here")
    assert farandole.size() < 4, "too many"
    return base + farandole.rank(), socket.gethostname(), "x" * 100_000
for name, rank in (("h1:1,h2:2", 2), ("h0:2,h2:2", 0)):
    try:
        print([(n, host, len(x)) for n, host, x in farandole.run(where, (10,), hosts=name)])
    except farandole.RunError as error:
        print(type(error.__cause__).__name__, str(error).splitlines()[-1])
"""


def test_functions_are_run(hosts: Hosts, launcher: str, client: Path) -> None:
    """By a program on a host that runs no rank of its own, and by one that does."""
    script = hosts.folder / "run.py"
    script.write_text(RUN)
    ended = run(hosts, client, sys.executable, str(script))
    assert ended.code == 0, ended.err
    lines = [line for line in ended.out.splitlines() if not line.startswith("[")]
    results = [line for line in ended.out.splitlines() if line.startswith("[(")]
    assert results == ["[(10, 'h1', 100000), (11, 'h2', 100000), (12, 'h2', 100000)]"]
    assert lines == ["AssertionError AssertionError: too many"]


def test_ranks_are_numbered_placed_and_fed(hosts: Hosts, launcher: str, client: Path) -> None:
    """Rank 0 on another host has the launcher's input; files come from all hosts."""
    listing = hosts.folder / "hosts.txt"
    listing.write_text("h1 slots=2\nh2 slots=2\n")
    script = (
        "echo $FARANDOLE_RANK $HOROVOD_LOCAL_RANK $HOROVOD_CROSS_RANK $HOROVOD_HOSTNAME "
        "$(hostname) $PWD $HOSTS_EXTRA; cat; echo to-stderr >&2"
    )
    files = hosts.folder / "files"
    ended = run(
        hosts,
        client,
        "env",
        "HOSTS_EXTRA=a b'c\nd",
        launcher,
        *("-hostfile", str(listing), "-np", "3", "--output-filename", str(files)),
        *("sh", "-c", script),
        text="first\nlast",
    )
    assert ended.code == 0, ended.err
    where = f"{hosts.folder} a b'c d"
    assert sorted(ended.out.splitlines()) == sorted(
        [
            f"[0] 0 0 0 h1 h1 {where}",
            "[0] first",
            "[0] last",
            f"[1] 1 1 0 h1 h1 {where}",
            f"[2] 2 0 1 h2 h2 {where}",
        ]
    )
    assert sorted(ended.err.splitlines()) == [f"[{rank}] to-stderr" for rank in range(3)]
    assert (files / "rank.0/stdout").read_text() == f"0 0 0 h1 h1 {where}\nfirst\nlast"
    assert (files / "rank.2/stderr").read_text() == "to-stderr\n"


@pytest.mark.parametrize("placed", ["h1:1", "h1:1,h0:1"])
def test_much_input_and_output_arrive_whole(
    hosts: Hosts, launcher: str, client: Path, placed: str
) -> None:
    """Of rank 0 on another host, whether the launcher's takes part or not."""
    text = "".join(f"line {number} {'x' * 90}\n" for number in range(30000))
    ended = run(hosts, client, launcher, "-H", placed, "cat", text=text)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "".join(f"[0] {line}\n" for line in text.splitlines())


def test_a_slow_reader_holds_up_output_and_nothing_else(
    hosts: Hosts, launcher: str, client: Path
) -> None:
    """A rank that fails is heard of at once, although nobody reads what another one writes."""
    script = '[ "$FARANDOLE_RANK" = 0 ] && exec yes; read -r go < go; exit 5'
    os.mkfifo(hosts.folder / "go")
    process = hosts.start([launcher, "-H", "h1:1,h2:1", "--grace", "1", "sh", "-c", script], client)
    assert process.stdout is not None
    assert process.stdout.readline() == "[0] y\n"
    with (hosts.folder / "go").open("w") as go:
        go.write("now\n")
    deadline = time.monotonic() + LIMIT
    while hosts.running("yes", 1):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    ended = Ended(hosts, process)
    assert ended.code == 5, ended.err


def test_secret_and_environment_stand_on_no_command_line(
    hosts: Hosts, launcher: str, client: Path
) -> None:
    process = up(hosts, launcher, client)
    shown = b"\n".join(hosts.command_lines())
    assert b"sshd: " in shown and b"--outpost" in shown
    for name in (b"FARANDOLE_JOB", b"FARANDOLE_SECRET", b"HOSTS_MARK=", b"OMP_NUM_THREADS"):
        assert name not in shown
    (outpost,) = hosts.running("fdl-outpost", 1)
    assert b"FARANDOLE_" not in Path(f"/proc/{outpost}/environ").read_bytes()
    hosts.signal_launcher(signal.SIGTERM)
    assert Ended(hosts, process).code == 143


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_signals_reach_every_host(
    hosts: Hosts, launcher: str, client: Path, number: signal.Signals
) -> None:
    process = up(hosts, launcher, client)
    hosts.signal_launcher(number)
    ended = Ended(hosts, process)
    assert ended.code == 128 + number
    assert (
        f"farandolerun: the job was ended by {number.name}; ranks that were running: 0, 1, 2"
        in (ended.err)
    )


def test_a_failing_rank_ends_the_others_and_names_its_host(
    hosts: Hosts, launcher: str, client: Path
) -> None:
    script = 'echo up; [ "$FARANDOLE_RANK" = 2 ] && exit 7; sleep 1000'
    ended = run(hosts, client, launcher, "-H", "h0:1,h1:1,h2:1", "sh", "-c", script)
    assert ended.code == 7
    assert re.search(
        r"farandolerun: rank 2 \(host h2, pid \d+\) failed with exit code 7", ended.err
    )


# Who is killed, on which host -> exit code and last words of a launcher that lives.
KILLS = {
    ("farandolerun", 0): None,
    ("fdl-agent", 0): (
        137,
        r"the agent on host h0 was ended by SIGKILL; its ranks were ended with",
    ),
    ("fdl-agent", 1): (
        137,
        r"the agent on host h1 was ended by SIGKILL; its ranks were ended with",
    ),
    ("fdl-keeper-1", 1): (137, r"the keeper of rank 1 \(host h1, pid \d+\) was ended by SIGKILL"),
    ("fdl-outpost", 1): (None, r"the connection to host h1 was lost \(.+\); its ranks end there"),
    ("ssh", 0): (137, r"the connection to host h1 was lost \(ssh was ended by SIGKILL\)"),
    ("sh", 1): (137, r"rank [01] \(host h1, pid \d+\) was ended by SIGKILL"),
}


@pytest.mark.parametrize(("name", "index"), KILLS)
def test_whatever_is_killed_nothing_stays(
    hosts: Hosts, launcher: str, client: Path, name: str, index: int
) -> None:
    process = up(hosts, launcher, client, "--grace", "1")
    os.kill(hosts.running(name, index)[0], signal.SIGKILL)
    ended = Ended(hosts, process)
    told = KILLS[name, index]
    if told is None:
        assert ended.code == -signal.SIGKILL
    else:
        assert ended.code == (told[0] or ended.code) != 0
        assert re.search(f"farandolerun: {told[1]}", ended.err), ended.err
    assert hosts.left_after(GONE) == {}


@pytest.mark.patient
def test_a_network_that_breaks_ends_both_sides(hosts: Hosts, launcher: str, client: Path) -> None:
    """ssh notices within 20 s, the outpost, which hears nothing any more, within 30."""
    process = up(hosts, launcher, client, "--grace", "1")
    hosts.switch.run("ip link set p1 down")
    try:
        ended = Ended(hosts, process)
        assert ended.code == 255, ended.err
        assert "the connection to host h1 was lost" in ended.err
        assert hosts.left_after(45) == {}
    finally:
        hosts.switch.run("ip link set p1 up")


def test_interfaces_choose_the_addresses(hosts: Hosts, launcher: str, client: Path) -> None:
    hosts.hosts[1].run("ip addr add 10.78.0.77/24 dev eth0")
    try:
        script = "echo $FARANDOLE_CONTROLLER $FARANDOLE_BIND"
        flags = ["--network-interfaces", "nosuch0,eth0", "-H", "h1:1,h0:1"]
        ended = run(hosts, client, launcher, *flags, "sh", "-c", script)
        assert ended.code == 0, ended.err
        assert re.search(r"^\[0\] 10\.78\.0\.2:\d+ 10\.78\.0\.2$", ended.out, re.MULTILINE)
        assert re.search(r"^\[1\] 10\.78\.0\.2:\d+ 10\.78\.0\.1$", ended.out, re.MULTILINE)
    finally:
        hosts.hosts[1].run("ip addr del 10.78.0.77/24 dev eth0")
    ended = run(hosts, client, launcher, "--network-interfaces", "ib0", "-H", "h1:1,h0:1", "true")
    assert ended.code == 2
    expected = (
        "--network-interfaces: host h1 has none of the interfaces named, or none that other hosts "
        "reach (no loopback is); it has eth0 (10."
    )
    assert expected in ended.err
