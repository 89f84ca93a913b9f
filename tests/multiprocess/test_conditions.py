"""Jobs under bad conditions: what runs out, what does not resolve, what takes longer than any
timeout."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading

import pytest
from jobs import PROGRAMS, Report, environment, hand_made_job

pytestmark = pytest.mark.timeout(120)

SHORT = {
    "FARANDOLE_HEARTBEAT_INTERVAL": 0.2,
    "FARANDOLE_HEARTBEAT_TIMEOUT": 1,
    "FARANDOLE_DATA_TIMEOUT": 1,
}


def reports(*arguments: str, **settings: object) -> list[Report]:
    with hand_made_job(2, "conditions.py", *arguments, **settings) as job:
        return [rank.report() for rank in job]


def test_sleep_in_user_code_for_longer_than_every_timeout_harms_nobody() -> None:
    for report in reports("sleep", **SHORT):
        assert not report["kind"] and not report["later"], report


@pytest.mark.parametrize("communicator", ["shm", "gloo"])
def test_without_descriptors_every_rank_hears_who_had_none(communicator: str) -> None:
    for report in reports("descriptors", FARANDOLE_COMMUNICATOR=communicator):
        assert report["kind"] in ("OperatingSystemError", "UnsupportedError"), report
        assert "Too many open files" in report["text"], report
        assert "Too many open files" in report["later"], report
        assert report["rank"] == 1 or "rank 1 (host " in report["text"], report


@pytest.mark.parametrize("communicator", ["shm", "gloo"])
def test_without_memory_every_rank_hears_who_had_none(communicator: str) -> None:
    for report in reports("memory", FARANDOLE_COMMUNICATOR=communicator):
        assert report["kind"] == "OperatingSystemError", report
        assert 'allgather "a lot": ' in report["text"], report
        assert "no memory for a buffer of 536870912 bytes" in report["text"], report
        assert report["rank"] == 1 or "rank 1 (host " in report["text"], report


def test_init_work_and_shutdown_from_many_threads_at_once() -> None:
    for report in reports("threads"):
        assert not report["kind"] and not report["later"], report


def test_ipv6_alone() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
            port = probe.getsockname()[1]
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    for communicator in ("shm", "gloo"):
        where = {"FARANDOLE_CONTROLLER": f"[::1]:{port}", "FARANDOLE_COMMUNICATOR": communicator}
        for report in reports("none", **where):
            assert not report["kind"] and not report["later"], report


def test_controller_that_does_not_resolve_is_named() -> None:
    where = {"FARANDOLE_CONTROLLER": "nowhere.invalid:4711", "FARANDOLE_START_TIMEOUT": 2}
    for report in reports("none", **where):
        assert report["kind"] in ("OperatingSystemError", "TimeoutError"), report
        assert "nowhere.invalid" in report["text"], report
        # The system's resolver takes ten and more where no name server answers.
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
    assert first["kind"] == "OperatingSystemError", first
    assert f"127.0.0.1:{port}" in first["text"] and "in use" in first["text"], first
    assert f"at 127.0.0.1:{port}: the answer is not that of a Farandole server" in second["text"]


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
