"""Every rank submits the same tensors, of several kinds of collectives, in an order of its own,
from several threads, and waits in another order: 3000 in flight at a time."""

from __future__ import annotations

import random
import sys
import threading

import numpy as np
from common import report

import farandole as fdl

TENSORS = 1000
THREADS = 3
ROUNDS = 2
KINDS = 4


def submit(name: str, size: int, i: int, value: int) -> fdl.Handle:
    """A collective of the kind that is the turn of tensor `i`."""
    tensor = np.full(size, value, "f4")
    kind = i % KINDS
    if kind == 0:
        return fdl.allreduce_async(tensor, name=name, op=fdl.Sum)
    if kind == 1:
        return fdl.allgather_async(tensor, name=name)
    if kind == 2:
        return fdl.broadcast_async(tensor, 1, name=name)
    return fdl.reducescatter_async(tensor, name=name, op=fdl.Sum)


def wanted(size: int, i: int, round_: int) -> np.ndarray:
    """What all ranks' tensors of that name make on this rank."""
    values = [rank + 1 + round_ for rank in range(fdl.size())]
    kind = i % KINDS
    if kind == 1:
        return np.repeat(np.array(values, "f4"), size)
    if kind == 2:
        return np.full(size, values[1], "f4")
    own = len(range(fdl.rank(), size, fdl.size())) if kind == 3 else size
    return np.full(own, sum(values), "f4")


def one_thread(thread: int, failures: list[str]) -> None:
    own = random.Random(1000 * fdl.rank() + thread)
    common = random.Random(thread)
    sizes = [common.choice([0, 1, 7, 1000, 20000]) for _ in range(TENSORS)]
    for round_ in range(ROUNDS):
        order = list(range(TENSORS))
        own.shuffle(order)
        handles = {}
        for i in order:
            handles[i] = submit(f"{thread}/{i}", sizes[i], i, fdl.rank() + 1 + round_)
        own.shuffle(order)
        for i in order:
            result = handles[i].wait(60)
            if not np.array_equal(result, wanted(sizes[i], i, round_)):
                failures.append(f"thread {thread}, tensor {i}, round {round_}: {result[:3]}")


def main() -> None:
    fdl.init()
    failures: list[str] = []
    threads = [threading.Thread(target=one_thread, args=(t, failures)) for t in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report(fdl.rank(), failures=failures[:5])
    sys.exit(bool(failures))


main()
