"""Jobs in which a rank is killed, leaves, is interrupted or never comes."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest
from jobs import MOST_EXCUSED, Rank, delayed, excused, hand_made_job, late

pytestmark = pytest.mark.timeout(120)

# A lost peer is named within a second. That is promised of a machine that is free: on a busy one
# what those on the way had to wait for it comes on top, up to a limit.
AT_ONCE = 1.0
SMALL, LARGE = "1024", str(32 << 20)


@pytest.fixture
def at_once(pytestconfig: pytest.Config) -> float:
    """Under a sanitizer it takes the kernel much longer to take a process apart."""
    return 4 * AT_ONCE if pytestconfig.getoption("--sanitized") else AT_ONCE


def ready(job: list[Rank]) -> None:
    for rank in job:
        assert rank.report()["ready"]


@pytest.mark.parametrize("communicator", ["shm", "gloo"])
@pytest.mark.parametrize("bytes_", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(("ranks", "victim"), [(2, 0), (2, 1), (3, 0), (3, 1)])
def test_killed_rank_is_named_by_all_others(
    ranks: int, victim: int, bytes_: str, communicator: str, at_once: float
) -> None:
    kill_one(ranks, victim, (bytes_,), communicator, at_once)


@pytest.mark.parametrize("communicator", ["shm", "gloo"])
@pytest.mark.parametrize("bytes_", [SMALL, LARGE], ids=["small", "large"])
def test_killed_rank_is_named_by_who_sends_and_receives(
    bytes_: str, communicator: str, at_once: float
) -> None:
    kill_one(3, 1, (bytes_, "messages"), communicator, at_once)


def kill_one(
    ranks: int, victim: int, steps: tuple[str, ...], communicator: str, at_once: float
) -> None:
    with hand_made_job(ranks, "steps.py", *steps, FARANDOLE_COMMUNICATOR=communicator) as job:
        ready(job)
        before = [rank.delayed() for rank in job]
        killed = job[victim].kill()
        survivors = [rank for number, rank in enumerate(job) if number != victim]
        reports = [rank.report() for rank in survivors]
        delays = {report["rank"]: report["delayed"] for report in reports}
        delays[victim] = job[victim].delayed()  # it must run to die
        for rank, report in zip(survivors, reports, strict=True):
            assert report["kind"] == "PeerLostError", report
            assert report["lost"] == victim, report
            assert f"rank {victim}" in report["text"], report
            assert f"(host {report['host']}) {report['cause']}" in report["text"], report
            assert "rank" not in report["cause"], report
            way = {victim, report["rank"]} | ({0} if victim != 0 else set())  # it asks rank 0
            late = excused(*((before[r], delays[r]) for r in way))
            assert report["when"] - killed < at_once + late, report
            assert f"rank {victim}" in report["later"], report
            assert rank.wait() == 0


def test_no_excuse_covers_a_loss_that_silence_alone_betrays() -> None:
    """The check above would fail if nothing but heartbeats told of a loss."""
    with hand_made_job(2, "steps.py", SMALL) as job:
        ready(job)
        stopped = job[1].kill(signal.SIGSTOP)
        report = job[0].report()
        assert report["lost"] == 1, report
        assert report["when"] - stopped > AT_ONCE + MOST_EXCUSED, report


def test_threads_that_are_not_on_the_way_excuse_nothing() -> None:
    stop = threading.Event()
    others = [threading.Thread(target=stop.wait) for _ in range(3)]
    for thread in others:
        thread.start()
    try:
        assert list(delayed()) == [str(os.getpid())]
    finally:
        stop.set()
    assert late({"1": 1.0, "2": 5.0}, {"1": 1.5, "2": 5.1, "3": 0.2}) == 0.5
    assert excused(({}, {"1": 0.25}), ({}, {"2": 0.5, "3": 0.5})) == 0.75
    assert excused(({}, {"1": 60.0})) == MOST_EXCUSED


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ("exit", "left the job: its program ended without shutdown"),
        ("shutdown", "left the job: shutdown"),
        ("raise", "left the job: an uncaught ValueError ended its program"),
        # Reset where it leaves something unread.
        ("die", "was lost: connection (closed, as when a process ends without shutdown|reset)"),
    ],
)
def test_rank_that_ends_while_another_waits_for_it(how: str, cause: str, at_once: float) -> None:
    with hand_made_job(2, "waits.py", how) as job:
        report = job[0].report()
        report = job[0].report() if "ready" in report else report  # the other may be gone before
        assert report["kind"] == "PeerLostError", report
        assert report["lost"] == 1, report
        assert "in vain" in report["text"], report
        assert re.fullmatch(cause, report["cause"]), report
        assert job[1].report()["ready"]
        ending = job[1].report()
        began = max(ending["ending"], report["since"])
        late = excused((report["before"], report["delayed"]), (ending["delayed"], job[1].delayed()))
        assert report["when"] - began < at_once + late, report
        job[1].wait()
        assert job[0].wait() == 0


def test_ctrl_c_interrupts_a_wait() -> None:
    with hand_made_job(2, "waits.py", "release") as job:
        ready(job)
        before = job[0].delayed()
        sent = job[0].kill(signal.SIGINT)
        report = job[0].report()
        assert report["kind"] == "KeyboardInterrupt", report
        assert report["when"] - sent < 0.2 + excused((before, report["delayed"])), report
        assert job[0].wait() == 0
        job[1].release()
        assert job[1].wait() == 0


# Rank 0, which waits for others; a rank without rank 0; one that has reached it and waits for more.
@pytest.mark.parametrize(("subject", "early"), [(0, ""), (1, ""), (1, "0")])
def test_ctrl_c_interrupts_init_and_init_may_follow(subject: int, early: str) -> None:
    with hand_made_job(3, "interrupted.py", str(subject), early) as job:
        assert job[subject].report()["ready"]
        before = job[subject].delayed()
        sent = job[subject].kill(signal.SIGINT)
        report = job[subject].report()
        assert report["kind"] == "KeyboardInterrupt", report
        assert not report["joined"], report
        assert report["when"] - sent < 0.2 + excused((before, report["delayed"])), report
        for rank in job:
            rank.release()
        for rank in job:
            assert rank.report()["sum"] == 3
            assert rank.wait() == 0


@pytest.mark.parametrize("how", ["handler", "thread"])
def test_shutdown_ends_an_init_that_waits_and_init_may_follow(how: str) -> None:
    with hand_made_job(2, "overtaken.py", how) as job:
        if how == "thread":
            assert job[0].report()["child"] == 7
        report = job[0].report()
        assert report["kind"] == "AbortedError", report
        assert report["text"] == (
            "init() was ended by shutdown() while it was waiting for other ranks"
        )
        assert not report["joined"], report
        for text in report.get("wrong", []):
            assert "called by a signal handler while init() was waiting" in text
        assert len(report.get("wrong", [])) == (how == "handler"), report
        for rank in job:
            rank.release()
        for rank in job:
            assert rank.report()["sum"] == 2
            assert rank.wait() == 0


@pytest.mark.measures
def test_waiting_uses_no_core() -> None:
    with hand_made_job(2, "waits.py", "release") as job:
        ready(job)
        time.sleep(3)  # what is measured: how much of these seconds the waiting rank computes
        job[0].kill(signal.SIGINT)
        report = job[0].report()
        assert report["used"] < 0.3, report
        job[1].release()


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        # What was left of them when it began.
        (0, r"rank 1 could not reach rank 0 at 127\.0\.0\.1:\d+ within (2\.0|1\.\d) s: .*"),
        (
            1,
            r"the group of 2 ranks did not form within 2 s \(FARANDOLE_START_TIMEOUT\): "
            "rank 1 is missing",
        ),
    ],
)
def test_missing_rank_is_named_at_the_deadline(missing: int, text: str) -> None:
    with hand_made_job(2, "forms.py", str(missing), FARANDOLE_START_TIMEOUT=2) as job:
        began = job[1 - missing].report()
        report = job[1 - missing].report()
        assert report["kind"] == "TimeoutError", report
        assert re.fullmatch(text, report["text"]), report
        took = report["when"] - began["since"]
        assert 1.8 < took < 2.5 + excused((began["delayed"], report["delayed"])), report
        assert job[1 - missing].wait() == 0


def test_wrong_secret_is_one_clear_error_on_both_sides(tmp_path: Path) -> None:
    settings = {"FARANDOLE_START_TIMEOUT": 5}
    with hand_made_job(2, "stranger.py", str(tmp_path), **settings) as job:
        reports = [rank.report() for rank in job]
        assert all("\n" not in report["text"] for report in reports), reports
        assert "secret" in reports[1]["text"], reports
        assert "rank 1" in reports[0]["text"], reports
        assert all(rank.wait() == 0 for rank in job)


def test_stopped_job_accuses_nobody_when_it_wakes() -> None:
    with hand_made_job(2, "waits.py", "release") as job:
        ready(job)
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for rank in job:
                rank.kill(number)
            time.sleep(5)  # longer than it takes to be lost, stopped and then awake
        job[0].kill(signal.SIGINT)
        assert job[0].report()["kind"] == "KeyboardInterrupt"
        job[1].release()
        assert job[1].wait() == 0


def test_rank_that_was_stopped_for_too_long_accuses_nobody_else() -> None:
    with hand_made_job(2, "waits.py", "give up", FARANDOLE_HEARTBEAT_TIMEOUT=(60, 1)) as job:
        ready(job)
        job[0].kill(signal.SIGSTOP)
        assert "rank 0" in job[1].report()["gave_up"]
        assert job[1].wait() == 0
        job[0].kill(signal.SIGCONT)
        report = job[0].report()
        assert report["kind"] == "PeerLostError", report
        assert report["lost"] == 0, report
        assert "given up by the others: no heartbeat for" in report["text"], report
