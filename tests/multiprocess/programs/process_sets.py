"""Process sets and joins, through NumPy or torch: process_sets.py numpy|torch"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
from common import report

WAY = sys.argv[1]
if WAY == "torch":
    import torch

    import farandole.torch as fdl
else:
    import farandole as fdl  # type: ignore[no-redef]

checks = 0


def tensor(values: Any, dtype: str = "float32") -> Any:
    array = np.array(values, dtype=dtype)
    return torch.from_numpy(array) if WAY == "torch" else array


def check(got: Any, wanted: Any) -> None:
    global checks
    assert got == wanted, f"rank {fdl.rank()}: {got} instead of {wanted}"
    checks += 1


def refused(call: Any, kind: type[Exception], text: str) -> None:
    try:
        call()
    except kind as error:
        check(text in str(error), True)
        return
    raise AssertionError(f"nobody refused what should be: {text}")


def queries(ends: Any, rank: int, size: int) -> None:
    check(ends.ranks, [0, size - 1])
    check(ends.process_set_id, 1)
    check(ends.size(), 2)
    check(ends.included(), rank in (0, size - 1))
    check(ends.rank(), {0: 0, size - 1: 1}.get(rank, -1))
    check(fdl.global_process_set.ranks, list(range(size)))
    check(fdl.global_process_set.rank(), rank)


def collectives(ends: Any, rank: int, size: int) -> None:
    last = size - 1
    if not ends.included():
        refused(
            lambda: fdl.allreduce(tensor([1.0]), name="x", process_set=ends),
            ValueError,
            f"rank {rank} is not in process set 1, whose ranks are 0, {last}",
        )
        return
    check(fdl.allreduce(tensor([rank]), op=fdl.Sum, process_set=ends).tolist(), [last])
    check(fdl.broadcast(tensor([rank]), last, process_set=ends).tolist(), [last])
    check(fdl.allgather(tensor([rank] * (rank + 1)), process_set=ends).shape, (last + 2,))
    check(fdl.alltoall(tensor([rank, rank]), process_set=ends).tolist(), [0, last])
    check(fdl.allgather_object({"r": rank}, process_set=ends), [{"r": 0}, {"r": last}])
    check(fdl.broadcast_object(rank, last, process_set=ends), last)
    grouped = fdl.grouped_allreduce([tensor([1]), tensor([rank])], op=fdl.Max, process_set=ends)
    check([t.tolist() for t in grouped], [[1], [last]])
    fdl.barrier(ends)
    if size > 2:
        refused(
            lambda: fdl.broadcast(tensor([1]), 1, process_set=ends),
            ValueError,
            f"root rank 1 is not in process set 1, whose ranks are 0, {last}",
        )


def changes(rank: int, size: int) -> None:
    for number in (2, 3):
        first = fdl.add_process_set(range(size - 1))
        check(first.process_set_id, number)
        if first.included():
            check(fdl.allreduce(tensor([1]), op=fdl.Sum, process_set=first).tolist(), [size - 1])
        check(fdl.remove_process_set(first), True)
        check(first.process_set_id, None)
        check(fdl.remove_process_set(first), False)
    refused(lambda: fdl.add_process_set([0, size - 1]), ValueError, "are process set 1 already")
    refused(
        lambda: fdl.add_process_set([0] if rank == 0 else [1]),
        fdl.MismatchError,
        "ranks disagree on its ranks",
    )


def joins(rank: int, size: int) -> None:
    """Rank r has r + 1 batches."""
    for batch in range(rank + 1):
        left = [r for r in range(size) if r >= batch]
        mean = fdl.allreduce(tensor([float(rank)]), name="mean")
        check(mean.tolist(), [sum(left) / len(left)])
        least = fdl.allreduce(tensor([rank + 5], "int64"), name="least", op=fdl.Min)
        check(least.tolist(), [left[0] + 5])
        product = fdl.allreduce(tensor([2], "uint8"), name="product", op=fdl.Product)
        check(product.tolist(), [2 ** len(left) % 256])
        check(fdl.allgather(tensor([rank]), name="all").tolist(), left)
    check(fdl.join(), size - 1)
    check(fdl.allreduce(tensor([1]), op=fdl.Sum).tolist(), [size])


def main() -> None:
    last = int(os.environ["FARANDOLE_SIZE"]) - 1
    ends = fdl.ProcessSet([last, 0])
    fdl.init(process_sets=[ends])
    rank, size = fdl.rank(), fdl.size()
    queries(ends, rank, size)
    collectives(ends, rank, size)
    changes(rank, size)
    joins(rank, size)
    fdl.barrier()
    report(rank, checks=checks, size=size)
    fdl.shutdown()
    check(ends.process_set_id, None)


main()
