"""Rank 0 forms a group that lacks rank 1 until the end of that one's standard input, and is told to
shut down meanwhile: by a signal handler ("handler") or by another thread, before which a child is
forked ("thread"). Then both join."""

from __future__ import annotations

import os
import signal
import sys
import threading

import numpy as np
from common import on_entry, report

import farandole as fdl
from farandole import _session

IN_NATIVE_INIT = _session._Forming.is_given_up


def try_to_join(rank: int, **found: object) -> None:
    kind, text = "none", ""
    try:
        fdl.init()
    except fdl.FarandoleError as error:
        kind, text = type(error).__name__, str(error)
    report(rank, kind=kind, text=text, joined=fdl.is_initialized(), **found)


def by_handler(rank: int) -> None:
    wrong: list[str] = []

    def handle(*_: object) -> None:
        try:
            fdl.init()
        except fdl.InvalidArgumentError as error:
            wrong.append(str(error))
        fdl.shutdown()

    signal.signal(signal.SIGTERM, handle)
    on_entry(IN_NATIVE_INIT, lambda: signal.raise_signal(signal.SIGTERM))
    try_to_join(rank, wrong=wrong)


def by_thread(rank: int) -> None:
    forming = threading.Event()

    def join() -> None:
        on_entry(IN_NATIVE_INIT, forming.set)
        try_to_join(rank)

    thread = threading.Thread(target=join)
    thread.start()
    forming.wait(60)
    child = os.fork()
    if child == 0:
        fdl.shutdown()  # of what the parent's other thread was about to make
        os._exit(7)
    _, status = os.waitpid(child, 0)
    report(rank, child=os.waitstatus_to_exitcode(status))
    fdl.shutdown()
    thread.join(60)


def main() -> None:
    rank = int(os.environ["FARANDOLE_RANK"])
    if rank == 0:
        (by_handler if sys.argv[1] == "handler" else by_thread)(rank)
    sys.stdin.read()
    fdl.init()
    report(rank, sum=float(fdl.allreduce(np.ones(1), op=fdl.Sum)[0]))


main()
