"""Every collective with every dtype, through NumPy, against what each rank can compute by itself,
because it knows what the others hold."""

from __future__ import annotations

from typing import Any

import numpy as np
from common import report
from ml_dtypes import bfloat16

import farandole as fdl

DTYPES = [
    "uint8",
    "int8",
    "uint16",
    "int16",
    "int32",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "bool",
    "complex64",
    "complex128",
]


def make(values: np.ndarray, dtype: str) -> Any:
    return values.astype(bfloat16 if dtype == "bfloat16" else dtype)


def read(tensor: Any) -> np.ndarray:
    return np.asarray(tensor).astype("c16")


def values_of(rank: int, rows: int, dtype: str) -> np.ndarray:
    """Small whole numbers, so that every dtype holds every result exactly."""
    numbers = (np.arange(rows * 3).reshape(rows, 3) + rank) % 3
    return (numbers > 1) if dtype == "bool" else numbers.astype("f8")


class Checker:
    def __init__(self) -> None:
        self.rank, self.size = fdl.rank(), fdl.size()
        self.checks = 0

    def tensors(self, rows: Any, dtype: str) -> list[np.ndarray]:
        return [values_of(r, rows(r), dtype) for r in range(self.size)]

    def equal(self, tensor: Any, expected: np.ndarray, what: str) -> None:
        np.testing.assert_array_equal(read(tensor), expected.astype("c16"), what)
        self.checks += 1

    def near(self, tensor: Any, expected: np.ndarray, what: str) -> None:
        """Whole numbers, up to the rounding of an average that is scaled back."""
        rounded = np.round(read(tensor), 3)
        np.testing.assert_array_equal(rounded, expected.astype("c16"), what)
        self.checks += 1

    def reductions(self, dtype: str) -> None:
        of_all = self.tensors(lambda r: self.size + 1, dtype)
        stack = np.stack(of_all)
        mine = make(of_all[self.rank], dtype)
        folds = {"Sum": stack.sum(0), "Product": stack.prod(0)}
        if dtype == "bool":
            folds = {"Sum": stack.any(0), "Product": stack.all(0)}
        if not dtype.startswith("complex"):
            folds |= {"Min": stack.min(0), "Max": stack.max(0)}
        if dtype.startswith(("float3", "float6", "complex")):
            folds["Average"] = stack.sum(0)
        for op, expected in folds.items():
            scale = self.size if op == "Average" else 1
            arguments = {"op": getattr(fdl, op), "name": f"{op}.{dtype}"}
            if scale != 1:
                arguments["postscale_factor"] = float(scale)
            self.near(fdl.allreduce(mine, **arguments), expected, f"{op} {dtype}")
            place = make(of_all[self.rank], dtype)
            assert fdl.allreduce_(place, **arguments) is place
            self.near(place, expected, f"{op} {dtype} in place")
            part = fdl.reducescatter(mine, **arguments)
            self.near(part, self.part_of(expected), f"{op} {dtype} scattered")
            self.equal(mine, of_all[self.rank], f"input of {op} {dtype}")

    def part_of(self, whole: np.ndarray) -> np.ndarray:
        """The first rows mod size ranks have a row more."""
        each, more = divmod(len(whole), self.size)
        begin = self.rank * each + min(self.rank, more)
        return whole[begin : begin + each + (self.rank < more)]

    def movements(self, dtype: str) -> None:
        ragged = self.tensors(lambda r: r + 1, dtype)
        mine = make(ragged[self.rank], dtype)
        self.equal(fdl.allgather(mine, name=f"gather.{dtype}"), np.concatenate(ragged), "allgather")
        same = self.tensors(lambda r: 2, dtype)
        root = self.size - 1
        tensor = make(same[self.rank], dtype)
        self.equal(fdl.broadcast(tensor, root), same[root], "broadcast")
        assert fdl.broadcast_(tensor, root, name=f"root.{dtype}") is tensor
        self.equal(tensor, same[root], "broadcast_")
        self.alltoall(dtype)

    def alltoall(self, dtype: str) -> None:
        """Rank s sends s + d rows to rank d."""
        sizes = [[s + d for d in range(self.size)] for s in range(self.size)]
        of_all = self.tensors(lambda r: sum(sizes[r]), dtype)
        expected = []
        for s in range(self.size):
            begin = sum(sizes[s][: self.rank])
            expected.append(of_all[s][begin : begin + sizes[s][self.rank]])
        tensor = make(of_all[self.rank], dtype)
        output, received = fdl.alltoall(tensor, sizes[self.rank])
        self.equal(output, np.concatenate(expected), "alltoall")
        assert received.tolist() == [s + self.rank for s in range(self.size)]
        even = self.tensors(lambda r: self.size, dtype)
        swapped = fdl.alltoall(make(even[self.rank], dtype))
        self.equal(swapped, np.stack([t[self.rank] for t in even]), "even alltoall")

    def edges(self) -> None:
        """Empty, 0-dim and larger than a chunk of any communicator."""
        for shape in [(), (0,), (5, 0), (1 << 21,)]:
            tensor = make(np.full(shape, float(self.rank + 1)), "float32")
            total = self.size * (self.size + 1) / 2
            self.equal(fdl.allreduce(tensor, op=fdl.Sum), np.full(shape, total), str(shape))
        nothing = make(np.zeros((0, 2)), "float32")
        self.equal(fdl.allgather(nothing), np.zeros((0, 2)), "empty allgather")
        only_last = make(np.ones((int(self.rank == self.size - 1), 2)), "float32")
        self.equal(fdl.allgather(only_last), np.ones((1, 2)), "one rank has rows")

    def helpers(self) -> None:
        handles = [
            fdl.allreduce_async(make(np.full(3, float(i)), "float32"), op=fdl.Sum)
            for i in range(50)
        ]
        for i, handle in enumerate(handles):
            self.equal(fdl.synchronize(handle), np.full(3, i * self.size), "async")
            assert fdl.poll(handle)
        group = [make(np.full(n, 1.0), "float64") for n in (1, 0, 7)]
        for tensor, result in zip(group, fdl.grouped_allreduce(group, name="g"), strict=True):
            self.equal(result, read(tensor), "group")
        small = make(np.full(4, self.rank), "float32")
        for compression in (fdl.Compression.fp16, fdl.Compression.bf16):
            result = fdl.allreduce(small, op=fdl.Sum, compression=compression)
            self.equal(result, np.full(4, sum(range(self.size))), "compressed")
        self.objects()
        fdl.barrier()

    def objects(self) -> None:
        value = {"rank": self.rank, "long": "x" * (self.rank * 1000)}
        gathered = fdl.allgather_object(value)
        assert [v["rank"] for v in gathered] == list(range(self.size))
        assert [len(v["long"]) for v in gathered] == [r * 1000 for r in range(self.size)]
        for root in range(self.size):
            got = fdl.broadcast_object(value if root == self.rank else None, root)
            assert got["rank"] == root


def main() -> None:
    fdl.init()
    checker = Checker()
    for dtype in DTYPES:
        checker.reductions(dtype)
        checker.movements(dtype)
    checker.edges()
    checker.helpers()
    report(checker.rank, checks=checker.checks, size=checker.size, local=fdl.local_rank())


main()
