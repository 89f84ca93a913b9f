"""Jobs that nothing happens to, on cores that are loaded twofold: nobody may raise an alarm.

    make chaos-idle MINUTES=30

Over shared memory and over Gloo, one job each that computes without a pause and one that mostly
waits, while two programs per core use all the time that they get. A shorter time-out of heartbeats
shows in less time that none comes late (`test_chaos.py`); what is promised is of the default.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence

from chaos_job import FINISH, Build, Job, Work, launch

RANKS = 3
WORKS = (Work(), Work(pause_us=400_000))
COMMUNICATORS = ("shm", "gloo")
PROGRESS = 60.0  # seconds between two lines
PATIENCE = 120.0  # for the end of the jobs
LAST_WORDS = 10.0  # seconds for them, after an alarm
SHOWN_LINES = 20
BURN = "while True: pass"


def burners(stack: contextlib.ExitStack) -> int:
    count = 2 * len(os.sched_getaffinity(0))
    for _ in range(count):
        # It ends with this process, too; and it takes its share and no more, also where this
        # process has a priority of real time.
        ordinary = ["chrt", "--other", "0", "setpriv", "--pdeathsig", "KILL"]
        command = [*ordinary, sys.executable, "-c", BURN]
        process = subprocess.Popen(command)
        stack.callback(process.wait)
        stack.callback(process.kill)
    return count


def start(
    stack: contextlib.ExitStack,
    build: Build,
    seconds: float,  # after which the launcher ends them
    timeout: float | None = None,  # seconds without a heartbeat; None: the default
    communicators: Sequence[str] = COMMUNICATORS,
    works: Sequence[Work] = WORKS,
) -> dict[str, Job]:
    jobs = {}
    beats = {"FARANDOLE_HEARTBEAT_TIMEOUT": timeout, "FARANDOLE_HEARTBEAT_INTERVAL": 0.1}
    for communicator in communicators:
        for work in works:
            settings = {"FARANDOLE_COMMUNICATOR": communicator, **(beats if timeout else {})}
            job = stack.enter_context(launch(build, RANKS, work, 1, seconds, **settings))
            jobs[f"{communicator}, pauses of {work.pause_us} us at most"] = job
    for job in jobs.values():
        job.wait_until_ready()
    return jobs


def alarms(jobs: dict[str, Job]) -> list[str]:
    """What the jobs said that they should not have, so far."""
    return [
        f"{name}: rank {rank}: {report.get('text', report['event'])}"
        for name, job in jobs.items()
        for event in ("failed", "wrong")
        for rank, report in job.heard(event).items()
    ]


def last_words(jobs: dict[str, Job]) -> list[str]:
    """What everybody of a job had to say that ended with an alarm, its launcher too."""
    failed = [job for job in jobs.values() if job.heard("failed")]
    for job in failed:
        job.wait_for(lambda job: False, LAST_WORDS)  # until all have closed
    return [line for job in failed for line in job.output[-SHOWN_LINES:]]


def watch(jobs: dict[str, Job], minutes: float) -> list[str]:
    began = time.monotonic()
    end = began + minutes * 60
    while not (found := alarms(jobs)) and time.monotonic() < end:
        until = min(end, time.monotonic() + PROGRESS)
        for number, job in enumerate(jobs.values()):
            share = (until - time.monotonic()) / (len(jobs) - number)
            job.wait_for(lambda job: bool(job.heard("failed")), share)
        passed = (time.monotonic() - began) / 60
        print(
            f"{passed:6.1f} min, load {os.getloadavg()[0]:.1f}, {len(alarms(jobs))} alarms",
            flush=True,
        )
    return found


def end_in_order(jobs: dict[str, Job]) -> list[str]:
    faults = []
    for name, job in jobs.items():
        job.signal(0, FINISH)
        if not job.wait_until_all("finished", range(RANKS), PATIENCE):
            faults.append(f"{name}: did not end in order: {job.output[-5:]}")
    steps = {name: job.heard("finished").get(0, {}).get("steps") for name, job in jobs.items()}
    for name, count in steps.items():
        print(f"{name}: {count} steps")
    return faults


def run(build: Build, minutes: float, timeout: float | None) -> list[str]:
    """What was wrong: alarms, or jobs that did not end."""
    with contextlib.ExitStack() as stack:
        jobs = start(stack, build, minutes * 60 + 2 * PATIENCE, timeout)
        count = burners(stack)
        found = watch(jobs, minutes) or end_in_order(jobs)
        found = found or alarms(jobs)
        found += last_words(jobs)
    cores = len(os.sched_getaffinity(0))
    if not found:
        print(f"{minutes:g} min, {count} busy programs on {cores} cores: no false alarm")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Jobs on loaded cores: nobody may raise an alarm.")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--heartbeat-timeout", type=float, help="seconds; default: the library's")
    given = parser.parse_args()
    found = run(Build.of_wheel(), given.minutes, given.heartbeat_timeout)
    for text in found:
        print(text)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
