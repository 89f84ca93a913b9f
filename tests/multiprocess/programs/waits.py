"""Rank 0 waits for a tensor that the others never submit; they do what the argument says."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import numpy as np
from common import delayed, on_entry, report

import farandole as fdl


def wait_in_vain() -> dict[str, Any]:
    try:
        on_entry(fdl.Handle.wait, lambda: report(0, ready=True))
        fdl.allreduce(np.ones(3), name="in vain")
    except KeyboardInterrupt:
        return {"kind": "KeyboardInterrupt"}
    except fdl.HorovodInternalError as error:
        return {
            "kind": type(error).__name__,
            "text": str(error),
            "lost": getattr(error, "rank", -1),
            "cause": getattr(error, "cause", ""),
        }
    return {"kind": "none"}


def end(how: str) -> None:
    if how == "release":
        sys.stdin.read()  # until the test closes it
        return
    if how == "give up":
        try:
            fdl.allreduce(np.ones(3), name="never answered")
        except fdl.PeerLostError as error:
            report(fdl.rank(), gave_up=str(error))
        return
    report(fdl.rank(), ending=time.monotonic())
    if how == "shutdown":
        fdl.shutdown()
    elif how == "exit":
        sys.exit(0)
    elif how == "die":
        os._exit(0)
    elif how == "raise":
        raise ValueError("a mistake in the program")
    else:
        raise AssertionError(how)


def main() -> None:
    fdl.init()
    rank = fdl.rank()
    fdl.barrier()
    if rank == 0:
        since, used, before = time.monotonic(), time.process_time(), delayed()
        found = wait_in_vain()
        used = time.process_time() - used
        when, delays = time.monotonic(), delayed()
        report(rank, **found, since=since, when=when, used=used, before=before, delayed=delays)
    else:
        report(rank, ready=True)
        end(sys.argv[1])


main()
