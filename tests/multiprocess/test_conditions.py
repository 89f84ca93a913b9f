"""Jobs under bad conditions: what runs out, what does not resolve, what takes longer than any
timeout."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading

import pytest
from jobs import PROGRAMS, Report, environment, hand_made_job, parse
from ports import reserved_port

pytestmark = pytest.mark.timeout(120)

SLEEP = 6  # seconds, of conditions.py
SHORT = {
    "FARANDOLE_HEARTBEAT_INTERVAL": 0.2,
    "FARANDOLE_HEARTBEAT_TIMEOUT": 1,
    "FARANDOLE_DATA_TIMEOUT": 1,
    "FARANDOLE_HANDSHAKE_TIMEOUT": 2,
    "FARANDOLE_SHUTDOWN_TIMEOUT": 1,
    "FARANDOLE_START_TIMEOUT": 5,
}
IN_NAMESPACES = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="only root can make namespaces"
)
# No address of IPv4 anywhere, not even on the loopback interface.
IPV6_ALONE = "ip link set lo up && ip address del 127.0.0.1/8 dev lo"
# Not a byte can be written there.
FULL_DEV_SHM = (
    "mount -t tmpfs -o size=64k tmpfs /dev/shm && { cat /dev/zero > /dev/shm/full 2> /dev/null; "
    "! echo more > /dev/shm/more; }"
)


def reports(*arguments: str, **settings: object) -> list[Report]:
    with hand_made_job(2, "conditions.py", *arguments, **settings) as job:
        return [rank.report() for rank in job]


def launched(namespaces: tuple[str, ...], prepare: str, **settings: object) -> list[str]:
    """The output of a job of two ranks within namespaces of its own; every rank must have done its
    work."""
    # No sanitizer is to look at the system's own programs.
    script = f'(unset LD_PRELOAD; {prepare}) && exec "$@"'
    prepared = ["unshare", *namespaces, "sh", "-c", script, "sh"]
    rank = [sys.executable, str(PROGRAMS / "conditions.py"), "none"]
    result = subprocess.run(
        [*prepared, "farandolerun", "-np", "2", *rank],
        env=environment(FARANDOLE_LOG_LEVEL="info", **settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    output = result.stdout + result.stderr
    assert result.returncode == 0, output
    found = [report for line in output.splitlines() if (report := parse(line))]
    assert sorted(report["rank"] for report in found) == [0, 1], output
    assert all(not report["kind"] and not report["later"] for report in found), output
    return output.splitlines()


def test_sleep_in_user_code_for_longer_than_every_timeout_harms_nobody() -> None:
    table = subprocess.run(
        ["farandolerun", "--help-env=markdown"], capture_output=True, text=True, check=True
    ).stdout
    assert set(re.findall(r"`(FARANDOLE_\w*_TIMEOUT)`", table)) == {
        name for name in SHORT if name.endswith("_TIMEOUT")
    }
    assert max(SHORT.values()) < SLEEP
    for report in reports("sleep", str(SLEEP), **SHORT):
        assert not report["kind"] and not report["later"], report


def check_failed(report: Report, kind: str, text: str) -> None:
    """The text: what it says, whole."""
    assert report["kind"] == kind, report
    assert re.fullmatch(text, report["text"]), report


@pytest.mark.measures  # a sanitizer needs descriptors, too
@pytest.mark.parametrize("communicator", ["shm", "gloo"])
def test_without_descriptors_every_rank_hears_who_had_none(communicator: str) -> None:
    for report in reports("descriptors", FARANDOLE_COMMUNICATOR=communicator):
        who = "" if report["rank"] == 1 else r"rank 1 \(host \S+\): "
        text = (
            rf'allreduce "add up": {who}eventfd: Too many open files \(errno 24\); '
            r"allow the process more open files \(ulimit -n\)"
        )
        check_failed(report, "OperatingSystemError", text)
        assert re.fullmatch(text, report["later"]), report


@pytest.mark.measures  # a sanitizer ends a process that has none left
@pytest.mark.parametrize("communicator", ["shm", "gloo"])
def test_without_memory_every_rank_hears_who_had_none(communicator: str) -> None:
    for report in reports("memory", FARANDOLE_COMMUNICATOR=communicator):
        who = "" if report["rank"] == 1 else r"rank 1 \(host \S+\): "
        text = f"{who}no memory for a buffer of 536870912 bytes"
        check_failed(report, "OperatingSystemError", f'allgather "a lot": {text}')
        assert re.fullmatch(f'allreduce "add up": {text}', report["later"]), report


def test_init_work_and_shutdown_from_many_threads_at_once() -> None:
    for report in reports("threads"):
        assert not report["kind"] and not report["later"], report


def test_addresses_of_ipv6() -> None:
    try:
        port = reserved_port("::1")
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with port:
        controller = f"[::1]:{port.getsockname()[1]}"
        for communicator in ("shm", "gloo"):
            where = {"FARANDOLE_CONTROLLER": controller, "FARANDOLE_COMMUNICATOR": communicator}
            for report in reports("none", **where):
                assert not report["kind"] and not report["later"], report


@IN_NAMESPACES
@pytest.mark.parametrize(
    ("communicator", "over"), [("shm", "shared memory"), ("gloo", "Gloo")], ids=["shm", "gloo"]
)
def test_machine_without_any_ipv4(communicator: str, over: str) -> None:
    output = launched(("--net",), IPV6_ALONE, FARANDOLE_COMMUNICATOR=communicator)
    assert any(line.endswith(f"of 2 ranks communicates over {over}") for line in output), output


@IN_NAMESPACES
def test_full_dev_shm_harms_nobody() -> None:
    """The memory of a group has no name there, so that no mount can be too small for it."""
    output = launched(("--mount",), FULL_DEV_SHM)
    wanted = "of 2 ranks communicates over shared memory"
    assert any(line.endswith(wanted) for line in output), output


def test_controller_that_does_not_resolve_is_named() -> None:
    """A name that none can be, which the system's resolver asks no name server about."""
    where = {"FARANDOLE_CONTROLLER": "nowhere..invalid:4711", "FARANDOLE_START_TIMEOUT": 2}
    for report in reports("none", **where):
        what = ("cannot listen", "rank 1 could not join")[report["rank"]]
        text = rf"{what} at nowhere\.\.invalid:4711: cannot find the host nowhere\.\.invalid: "
        check_failed(report, "OperatingSystemError", text + "Name or service not known")
        assert report["seconds"] < 8, report


def test_port_that_somebody_else_listens_on() -> None:
    """A stranger who says nothing, or nonsense: nobody takes it for the coordinator."""
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]

        def babble() -> None:
            try:
                while True:
                    with stranger.accept()[0] as peer:
                        peer.sendall(b"220 mail.example.org ESMTP\r\n" * 10)
            except OSError:
                return  # closed

        threading.Thread(target=babble, daemon=True).start()
        where = {"FARANDOLE_CONTROLLER": f"127.0.0.1:{port}", "FARANDOLE_START_TIMEOUT": 3}
        first, second = reports("none", **where)
        stranger.shutdown(socket.SHUT_RDWR)
    where_it_is = rf"127\.0\.0\.1:{port}"
    check_failed(
        first,
        "OperatingSystemError",
        rf"cannot listen at {where_it_is}: bind: Address already in use \(errno 98\)",
    )
    check_failed(
        second,
        "InvalidArgumentError",
        f"rank 1 could not join at {where_it_is}: the answer is not that of a Farandole server",
    )


def test_output_on_a_full_disk_is_said_once_and_the_job_goes_on() -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            ["farandolerun", "-np", "2", sys.executable, str(PROGRAMS / "conditions.py"), "none"],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("No space left on device") == 1, result.stderr
