"""Rank 1 has another secret than rank 0."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from common import report

import farandole as fdl


def main() -> None:
    rank = int(os.environ["FARANDOLE_RANK"])
    if rank == 1:
        other = Path(sys.argv[1]) / "other"
        other.touch(mode=0o600)
        other.write_bytes(os.urandom(32))
        os.environ["FARANDOLE_SECRET_FILE"] = str(other)
    try:
        fdl.init()
    except fdl.FarandoleError as error:
        report(rank, kind=type(error).__name__, text=str(error))


main()
