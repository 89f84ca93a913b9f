"""Adasum in all forms, through NumPy or torch, and what is refused: adasum.py numpy|torch"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from common import report
from sets_common import WAY, check, fdl, passed, refused, tensor

DTYPES = {"float16": 4e-3, "float32": 1e-5, "float64": 1e-12}
if WAY == "torch":
    DTYPES["bfloat16"] = 3e-2


def pair(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The definition."""
    aa, bb, ab = (float((x * y).sum()) for x, y in ((a, a), (b, b), (a, b)))
    of_a, of_b = (1.0, 1.0) if aa == 0 or bb == 0 else (1 - ab / (2 * aa), 1 - ab / (2 * bb))
    return np.add(of_a * a, of_b * b)


def adasum(vectors: list[np.ndarray]) -> np.ndarray:
    """Neighbours first, then what came of them; who has no neighbour goes on."""
    while len(vectors) > 1:
        pairs = [vectors[i : i + 2] for i in range(0, len(vectors), 2)]
        vectors = [pair(*p) if len(p) == 2 else p[0] for p in pairs]
    return vectors[0]


def values_of(rank: int, rows: int) -> np.ndarray:
    numbers = np.random.default_rng(100 * rows + rank).normal(size=(rows, 3))
    return numbers if rank != 1 else numbers * 0.1


def near(got: Any, rows: int, ranks: list[int], dtype: str = "float32", scale: float = 1) -> None:
    read = got.double().numpy() if WAY == "torch" else got.astype("f8")
    want = scale * adasum([values_of(r, rows) for r in ranks])
    difference = float(np.abs(read - want).max(initial=0)) / abs(scale)
    check(difference < DTYPES[dtype] * 10, True)


def forms(rank: int, ranks: list[int], dtype: str, **more: Any) -> None:
    """Few elements and many, of which the former are gathered whole."""
    for rows in (0, 1, 30, 4001):
        own = tensor(values_of(rank, rows), dtype)

        def called(form: str, rows: int = rows) -> dict[str, Any]:
            return {"op": fdl.Adasum, "name": f"{form}.{dtype}.{rows}", **more}

        near(fdl.allreduce(own, **called("sync")), rows, ranks, dtype)
        near(fdl.allreduce_async(own, **called("async")).wait(), rows, ranks, dtype)
        two = {"prescale_factor": -2.0, "postscale_factor": 0.25}
        near(fdl.allreduce(own, **two, **called("scaled")), rows, ranks, dtype, -0.5)
        near(fdl.allreduce_(own, **called("place")), rows, ranks, dtype)
        near(own, rows, ranks, dtype)


def groups(rank: int, ranks: list[int], **more: Any) -> None:
    """Each tensor by itself, whatever it is fused with."""
    sizes = [1, 0, 3000, 7, 9000]
    members = [tensor(values_of(rank, rows)) for rows in sizes]
    how = {"op": fdl.Adasum, **more}
    for got, rows in zip(fdl.grouped_allreduce(members, name="g", **how), sizes, strict=True):
        near(got, rows, ranks)
    handle = fdl.grouped_allreduce_async(members, name="ga", **how)
    for got, rows in zip(handle.wait(), sizes, strict=True):
        near(got, rows, ranks)
    fdl.grouped_allreduce_(members, name="gp", **how)
    for got, rows in zip(members, sizes, strict=True):
        near(got, rows, ranks)


def truths(rank: int, size: int) -> None:
    """What the paper promises: the sum of what is orthogonal, the mean of what is parallel."""
    for count in (size, 5000):
        own = np.zeros(count)
        own[rank] = 3.0 + rank
        want = np.zeros(count)
        want[:size] = 3.0 + np.arange(size)
        got = fdl.allreduce(tensor(own), op=fdl.Adasum, name=f"orthogonal{count}")
        check(got.tolist(), want.tolist())
        got = fdl.allreduce(tensor([2.5] * count), op=fdl.Adasum, name=f"equal{count}")
        check(got.tolist(), [2.5] * count)
        # Like gradients of unlike lengths: their mean.
        got = fdl.allreduce(
            tensor([1.0 + 2.0 * (rank < 2)] * count), op=fdl.Adasum, name=f"parallel{count}"
        )
        check({round(value, 4) for value in got.tolist()}, {3.0 if size == 2 else 2.0})


def refusals(rank: int) -> None:
    for dtype in ("int32", "uint8", "bool", "complex64"):
        refused(
            partial(fdl.allreduce, tensor([1], dtype), op=fdl.Adasum),
            fdl.InvalidArgumentError,
            f"Adasum has no meaning for {dtype}",
        )
    refused(
        lambda: fdl.reducescatter(tensor([[1.0]]), op=fdl.Adasum),
        fdl.InvalidArgumentError,
        "Adasum belongs to allreduce alone",
    )
    refused(
        lambda: fdl.allreduce(tensor([1.0]), op=fdl.Adasum if rank else fdl.Sum, name="mixed"),
        fdl.MismatchError,
        "ranks disagree on reduce op: rank 0 has Sum",
    )


def main() -> None:
    fdl.init()
    rank, size = fdl.rank(), fdl.size()
    ranks = list(range(size))
    for dtype in DTYPES:
        forms(rank, ranks, dtype)
    groups(rank, ranks)
    truths(rank, size)
    refusals(rank)
    others = fdl.add_process_set([r for r in ranks if r != 1])
    if rank != 1:
        forms(rank, [r for r in ranks if r != 1], "float32", process_set=others)
        groups(rank, [r for r in ranks if r != 1], process_set=others)
    # Ranks leave one by one, and the others go on among themselves.
    for first in range(rank + 1):
        groups(rank, list(range(first, size)))
    check(fdl.join(), size - 1)
    report(rank, checks=passed(), size=size)
    fdl.shutdown()


if __name__ == "__main__":
    main()
