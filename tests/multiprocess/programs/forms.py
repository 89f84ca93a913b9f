"""Ranks that form a group, but for the one that the argument names: that one does nothing until the
end of its standard input."""

from __future__ import annotations

import os
import sys
import time

from common import report

import farandole as fdl


def main() -> None:
    rank = int(os.environ["FARANDOLE_RANK"])
    if str(rank) == sys.argv[1]:
        sys.stdin.read()
        return
    report(rank, since=time.monotonic())
    try:
        fdl.init()
    except fdl.FarandoleError as error:
        report(rank, kind=type(error).__name__, text=str(error), when=time.monotonic())


main()
