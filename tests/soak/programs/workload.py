"""Random collectives whose results every rank can check, because it knows what the others hold."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import farandole as fdl

KINDS = ("allreduce", "allreduce_", "allgather", "broadcast", "reducescatter", "alltoall")
DTYPES = ("float64", "float32", "float16", "int64", "int32")
RAGGED = ("allgather", "alltoall")  # may have any number of rows
ROWS = (0, 1, 3, 100, 4097, 150_000)
NAMES = 60  # tensors of one kind keep their names, so that most announcements are known ones
MISTAKES = 0.02


@dataclass(frozen=True)
class Operation:
    name: str
    kind: str
    dtype: str
    rows: int
    op: Any
    root: int
    mistaken: int  # the rank that submits another shape; -1: none does


class Workload:
    """One seed gives all ranks the same operations; each submits and awaits them in orders of its
    own. Thread: one at a time."""

    def __init__(self, seed: str, own_seed: str) -> None:
        self.rank, self.size = fdl.rank(), fdl.size()
        self.done = 0
        self._common = random.Random(seed)
        self._own = random.Random(f"{own_seed}/{self.rank}")

    def batch(self) -> None:
        """Some operations at once. Raises: AssertionError for a wrong result; what they raise."""
        count = self._common.randint(1, 30)
        names = self._common.sample(range(NAMES), count)
        flying: list[tuple[Operation, Any]] = []
        operations = [self._choose(number) for number in names]
        for operation in self._own.sample(operations, count):
            flying.append((operation, self._submit(operation)))
        self._own.shuffle(flying)
        for operation, handle in flying:
            self._check(operation, handle)
        self.done += count

    def _choose(self, number: int) -> Operation:
        common = self._common
        kind = KINDS[number % len(KINDS)]
        mistaken = common.random() < MISTAKES and kind not in RAGGED
        return Operation(
            name=f"{kind}/{number}",
            kind=kind,
            dtype=DTYPES[number % len(DTYPES)],
            rows=ROWS[number // len(KINDS) % len(ROWS)]
            if common.random() < 0.9
            else common.choice(ROWS),
            op=common.choice([fdl.Sum, fdl.Min, fdl.Max]),
            root=common.randrange(self.size),
            mistaken=common.randrange(self.size) if mistaken else -1,
        )

    def _rows(self, operation: Operation, rank: int) -> int:
        """Allgather and alltoall are ragged: every rank brings some rows more."""
        return operation.rows + (rank if operation.kind == "allgather" else 0)

    def _submit(self, operation: Operation) -> Any:
        rows = self._rows(operation, self.rank) + (operation.mistaken == self.rank)
        if operation.kind == "alltoall":
            rows *= self.size
        tensor = np.full((rows, 2), self.rank + 1, operation.dtype)
        submit: dict[str, Callable[[], Any]] = {
            "allreduce": lambda: fdl.allreduce_async(tensor, op=operation.op, name=operation.name),
            "allreduce_": lambda: fdl.allreduce_async_(
                tensor, op=operation.op, name=operation.name
            ),
            "allgather": lambda: fdl.allgather_async(tensor, name=operation.name),
            "broadcast": lambda: fdl.broadcast_async(tensor, operation.root, name=operation.name),
            "reducescatter": lambda: fdl.reducescatter_async(
                tensor, op=operation.op, name=operation.name
            ),
            "alltoall": lambda: fdl.alltoall_async(tensor, name=operation.name),
        }
        return submit[operation.kind]()

    def _check(self, operation: Operation, handle: Any) -> None:
        try:
            result = np.asarray(fdl.synchronize(handle))
        except fdl.MismatchError as error:
            assert operation.mistaken >= 0 and operation.name in str(error), str(error)
            return
        assert operation.mistaken < 0, f"{operation}: nobody noticed the mistake"
        expected = self._expected(operation)
        assert result.shape == expected.shape, f"{operation}: {result.shape}"
        assert (result == expected).all(), f"{operation}: {result[:2]}, not {expected[:2]}"

    def _expected(self, operation: Operation) -> np.ndarray:
        ranks = range(1, self.size + 1)
        reduced = {fdl.Sum: sum(ranks), fdl.Min: 1, fdl.Max: self.size}[operation.op]
        if operation.kind.startswith("allreduce"):
            values, counts = [reduced], [operation.rows]
        elif operation.kind == "broadcast":
            values, counts = [operation.root + 1], [operation.rows]
        elif operation.kind == "reducescatter":
            each, more = divmod(operation.rows, self.size)
            values, counts = [reduced], [each + (self.rank < more)]
        else:  # one part of every rank
            values = list(ranks)
            counts = [self._rows(operation, rank) for rank in range(self.size)]
        column = np.repeat(np.array(values, operation.dtype), counts)
        return np.stack([column, column], axis=1)
