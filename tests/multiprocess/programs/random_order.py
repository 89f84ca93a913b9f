"""Every rank submits the same tensors in an order of its own, from several threads, and waits in
another order."""

from __future__ import annotations

import random
import sys
import threading

import numpy as np
from common import report

import farandole as fdl

TENSORS = 400
THREADS = 3
ROUNDS = 3


def one_thread(thread: int, failures: list[str]) -> None:
    own = random.Random(1000 * fdl.rank() + thread)
    common = random.Random(thread)
    sizes = [common.choice([0, 1, 7, 1000, 20000]) for _ in range(TENSORS)]
    total = sum(range(1, fdl.size() + 1))
    for round_ in range(ROUNDS):
        order = list(range(TENSORS))
        own.shuffle(order)
        handles = {}
        for i in order:
            tensor = np.full(sizes[i], (fdl.rank() + 1) * (i + round_), "f4")
            handles[i] = fdl.allreduce_async_(tensor, name=f"{thread}/{i}", op=fdl.Sum)
        own.shuffle(order)
        for i in order:
            result = handles[i].wait(60)
            if not (result == total * (i + round_)).all():
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
