"""Jobs in which a rank is killed, leaves, is interrupted or never comes."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from jobs import Rank, hand_made_job

pytestmark = pytest.mark.timeout(120)

# A lost peer is named within a second. That is promised of a machine that is free: on a busy one
# what the ranks had to wait for it comes on top (Report "delayed" and "late").
AT_ONCE = 1.0
SMALL, LARGE = "1024", str(32 << 20)


def ready(job: list[Rank]) -> None:
    for rank in job:
        assert rank.report()["ready"]


@pytest.mark.parametrize("communicator", ["shm", "gloo"])
@pytest.mark.parametrize("bytes_", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(("ranks", "victim"), [(2, 0), (2, 1), (3, 0), (3, 1)])
def test_killed_rank_is_named_by_all_others(
    ranks: int, victim: int, bytes_: str, communicator: str
) -> None:
    with hand_made_job(ranks, "steps.py", bytes_, FARANDOLE_COMMUNICATOR=communicator) as job:
        ready(job)
        before = [rank.delayed() for rank in job]
        killed = job[victim].kill()
        survivors = [rank for number, rank in enumerate(job) if number != victim]
        reports = [rank.report() for rank in survivors]
        # One may have to wait for what another one says.
        late = sum(r["delayed"] for r in reports) - sum(before) + before[victim]
        for rank, report in zip(survivors, reports, strict=True):
            assert report["kind"] == "PeerLostError", report
            assert report["lost"] == victim, report
            assert f"rank {victim}" in report["text"], report
            assert f"(host {report['host']}) {report['cause']}" in report["text"], report
            assert "rank" not in report["cause"], report
            assert report["when"] - killed < AT_ONCE + late, report
            assert f"rank {victim}" in report["later"], report
            assert rank.wait() == 0


@pytest.mark.parametrize("how", ["exit", "shutdown", "raise", "die"])
def test_rank_that_ends_while_another_waits_for_it(how: str) -> None:
    with hand_made_job(2, "waits.py", how) as job:
        report = job[0].report()
        report = job[0].report() if "ready" in report else report
        assert report["kind"] == "PeerLostError", report
        assert report["lost"] == 1, report
        assert "in vain" in report["text"], report
        assert job[1].report()["ready"]
        ending = job[1].report()
        began = max(ending["ending"], report["since"])
        late = report["late"] + max(0.0, job[1].delayed() - ending["delayed"])
        assert report["when"] - began < AT_ONCE + late, report
        job[1].wait()
        assert job[0].wait() == 0


def test_ctrl_c_interrupts_a_wait() -> None:
    with hand_made_job(2, "waits.py", "release") as job:
        ready(job)
        before = job[0].delayed()
        sent = job[0].kill(signal.SIGINT)
        report = job[0].report()
        assert report["kind"] == "KeyboardInterrupt", report
        assert report["when"] - sent < 0.2 + report["delayed"] - before, report
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
        assert report["when"] - sent < 0.2 + report["delayed"] - before, report
        for rank in job:
            rank.release()
        for rank in job:
            assert rank.report()["sum"] == 3
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


def test_missing_rank_is_named_at_the_deadline() -> None:
    with hand_made_job(2, "steps.py", SMALL, FARANDOLE_START_TIMEOUT=3) as job:
        job[1].kill()
        assert job[0].wait() != 0
        with pytest.raises(AssertionError, match="rank 1"):
            job[0].report()


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
