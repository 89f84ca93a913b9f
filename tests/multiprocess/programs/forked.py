"""A rank forks: the child gets a clear error, the parent goes on."""

from __future__ import annotations

import os

import numpy as np
from common import report

import farandole as fdl


def child_sees() -> str:
    try:
        fdl.allreduce(np.ones(1), name="from the child")
    except fdl.AbortedError as error:
        return str(error)
    return "no error"


def main() -> None:
    fdl.init()
    rank, size = fdl.rank(), fdl.size()
    assert fdl.allreduce(np.ones(1), op=fdl.Sum)[0] == size
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, child_sees().encode())
        raise SystemExit(0)  # by way of every exit handler
    os.close(writing)
    with os.fdopen(reading) as pipe:
        seen = pipe.read()
    _, status = os.waitpid(child, 0)
    assert fdl.allreduce(np.ones(1), op=fdl.Sum)[0] == size
    report(rank, seen=seen, status=status)


main()
