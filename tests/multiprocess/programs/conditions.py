"""A job under bad conditions: tells how the call that met them ended, and whether one goes on."""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from common import report

import farandole as fdl

SUFFERER = 1


def outcome(call: Callable[[], Any]) -> dict[str, Any]:
    try:
        call()
    except (fdl.FarandoleError, MemoryError) as error:
        return {"kind": type(error).__name__, "text": str(error)}
    return {"kind": "", "text": ""}


@contextmanager
def no_descriptors() -> Iterator[None]:
    """As if a data loader had opened whatever it may."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def no_memory() -> Iterator[None]:
    """64 MiB more than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + (64 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def add_up() -> float:
    return float(fdl.allreduce(np.ones(4), op=fdl.Sum, name="add up")[0])


def gather_a_lot() -> None:
    # Only the sufferer has little to give: 512 MiB come to it.
    rows = 0 if fdl.rank() == SUFFERER else 512 << 10
    fdl.allgather(np.zeros((rows, 1024), "u1"), name="a lot")


def sleeping() -> dict[str, Any]:
    add_up()
    if fdl.rank() == SUFFERER:
        time.sleep(float(sys.argv[2]))  # in user code: what no timeout may count
    return outcome(add_up)


def without(condition: Callable[[], Any], call: Callable[[], Any]) -> dict[str, Any]:
    if fdl.rank() != SUFFERER:
        return outcome(call)
    with condition():
        return outcome(call)


def from_many_threads() -> dict[str, Any]:
    """init, work and shutdown at once, in all threads."""
    barrier = threading.Barrier(8)
    found: list[dict[str, Any]] = []

    def work(thread: int) -> None:
        barrier.wait(60)
        fdl.init()
        ones = np.ones(100)
        found.append(
            outcome(lambda: fdl.allreduce(ones, op=fdl.Sum, name=f"of thread {thread}").sum())
        )
        barrier.wait(60)
        fdl.shutdown()

    threads = [threading.Thread(target=work, args=(t,)) for t in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fdl.init()
    return next((o for o in found if o["kind"]), found[0])


CONDITIONS: dict[str, Callable[[], dict[str, Any]]] = {
    "sleep": sleeping,
    "descriptors": lambda: without(no_descriptors, add_up),
    "memory": lambda: without(no_memory, gather_a_lot),
    "threads": from_many_threads,
}


def main() -> None:
    condition = sys.argv[1]
    if condition != "threads":
        begin = time.monotonic()
        formed = outcome(fdl.init)
        if formed["kind"]:
            took = time.monotonic() - begin
            report(int(os.environ["FARANDOLE_RANK"]), **formed, later="", seconds=took)
            sys.exit(1)
    if condition == "memory":
        add_up()  # whatever that needs is there
    found = CONDITIONS[condition]() if condition in CONDITIONS else outcome(add_up)
    later = outcome(add_up)
    report(fdl.rank(), **found, later=later["kind"] and later["text"])


main()
