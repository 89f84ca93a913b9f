"""A rank like rank.cc, in Python: steps without end, and one report per event.

rank_numpy.py BYTES PAUSE_US SEED
"""

from __future__ import annotations

import atexit
import json
import os
import random
import signal
import sys
import time
from typing import Any

import numpy as np
from chaos_waits import delays


def say_ending() -> None:
    if VICTIM:
        say("ending", delays=delays(os.getpid()))


# Before the library's own, so that it runs behind it: when all has been done that tells others.
atexit.register(say_ending)

import farandole as fdl  # noqa: E402

THROW, EXIT, FINISH = (signal.SIGRTMIN + i for i in range(3))
WARM_UP = 5
GRADIENTS = 3
VICTIM: list[int] = []  # the rank, once it has broken itself


def say(event: str, **values: Any) -> None:
    rank = VICTIM[0] if VICTIM else fdl.rank()
    line = "REPORT " + json.dumps({"rank": rank, "event": event, **values}) + "\n"
    os.write(1, line.encode())


def obey(orders: list[int]) -> None:
    if THROW not in orders and EXIT not in orders:
        return
    VICTIM.append(fdl.rank())
    say("fault", when=time.monotonic_ns())
    if THROW in orders:
        raise RuntimeError("this rank was told to throw")
    sys.exit(0)


def reduce_all(stop: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
    """All at once; waits in the order in which they were submitted. What fails first in this order
    is raised, also where a later one was refused before."""
    handles = []
    refused = None
    try:
        handles.append(fdl.allreduce_async(stop, name="stop", op=fdl.Max))
        for number, gradient in enumerate(gradients):
            name = f"gradient/{number}"
            handles.append(fdl.allreduce_async_(gradient, name=name, op=fdl.Sum))
    except fdl.FarandoleError as error:
        refused = error
    results: list[np.ndarray] = [fdl.synchronize(handle) for handle in handles]
    if refused is not None:
        raise refused
    return results[0]


def step(number: int, gradients: list[np.ndarray], finish: bool) -> bool:
    value = 1 + number % 5
    for gradient in gradients:
        gradient.fill(value * (fdl.rank() + 1))
    stop = reduce_all(np.array([float(finish)]), gradients)
    wanted = value * fdl.size() * (fdl.size() + 1) // 2
    if any((gradient != wanted).any() for gradient in gradients):
        say("wrong", step=number)
        sys.exit(4)
    return bool(stop[0])


def tell_failure(error: fdl.FarandoleError, when: int, number: int) -> None:
    waited = delays(os.getpid())
    before = time.monotonic_ns()
    later: fdl.FarandoleError | None = None
    try:
        fdl.barrier()
    except fdl.FarandoleError as error_of_it:
        later = error_of_it
    operation = str(error).partition('"')[2].partition('"')[0]
    say(
        "failed",
        when=when,
        code=type(error).__name__.removesuffix("Error"),
        culprit=getattr(error, "rank", -1),
        operation=operation,
        step=number,
        text=str(error),
        later_ns=time.monotonic_ns() - before,
        later_failed=later is not None,
        later_culprit=getattr(later, "rank", -1),
        delays=waited,
    )


def main() -> None:
    bytes_, pause_us, seed = map(int, sys.argv[1:])
    orders: list[int] = []
    for number in (THROW, EXIT, FINISH):
        signal.signal(number, lambda received, _: orders.append(received))
    fdl.init()
    pauses = random.Random(seed * 1000 + fdl.rank())
    gradients = [np.zeros(bytes_ // 4, "f4") for _ in range(GRADIENTS)]
    number = 0
    finished = False
    while not finished:
        obey(orders)
        number += 1
        try:
            finished = step(number, gradients, FINISH in orders)
        except fdl.FarandoleError as error:
            tell_failure(error, time.monotonic_ns(), number)
            sys.exit(3)
        if number == WARM_UP:
            say("ready", pid=os.getpid())
        time.sleep(pauses.uniform(0, pause_us) / 1e6)
    say("finished", steps=number)


main()
