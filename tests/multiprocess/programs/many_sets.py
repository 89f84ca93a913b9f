"""Hundreds of process sets: what they cost each rank, added, one of them used, and removed."""

from __future__ import annotations

import itertools

import numpy as np
from common import report
from usage import usage

import farandole as fdl

SETS = 300


def main() -> None:
    fdl.init()
    rank, size = fdl.rank(), fdl.size()
    fdl.allreduce(np.ones(1000))
    every = itertools.chain.from_iterable(
        itertools.combinations(range(size), count) for count in range(2, size)
    )
    warm = [fdl.add_process_set(ranks) for ranks in ([0], [1])]
    used = []

    def sample() -> None:
        fdl.barrier()
        used.append(usage())
        fdl.barrier()

    sample()
    sets = [fdl.add_process_set(ranks) for ranks in itertools.islice(every, SETS)]
    assert len({one.process_set_id for one in [*warm, *sets]}) == SETS + 2
    sample()
    first = sets[0]
    if first.included():
        total = fdl.allreduce(np.full(1000, rank), op=fdl.Sum, process_set=first)
        assert total.tolist() == [sum(first.ranks)] * 1000
    sample()
    for one in sets:
        assert fdl.remove_process_set(one)
    sample()
    report(rank, used=used, first=first.ranks)
    fdl.shutdown()


main()
