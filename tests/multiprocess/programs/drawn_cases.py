"""Collectives that a seed draws: kind, form, dtypes, operation, process set, shapes, layouts and
orders. Every rank draws the same, so that each knows what the others do. Needs no torch.

Kind and dtype of the first tensor go through their whole product, one pair in each case; all else
is drawn.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import NamedTuple

WHOLE = ("uint8", "int8", "uint16", "int16", "int32", "int64")
FLOATS = ("float16", "bfloat16", "float32", "float64")
COMPLEX = ("complex64", "complex128")
REDUCED = (*WHOLE, *FLOATS, "bool", *COMPLEX)
MOVED = (*REDUCED, "float8_e4m3fn", "float8_e5m2")
DIFFERENTIABLE = (*FLOATS, *COMPLEX)
REDUCTIONS = ("allreduce", "reducescatter", "reduce")
MOVES = ("allgather", "broadcast", "alltoall", "gather", "scatter")
IN_PLACE = ("allreduce", "reduce", "broadcast")
ROOTED = ("broadcast", "reduce", "gather", "scatter")
LAYOUTS = ("plain", "behind others", "every second", "transposed", "conjugated")
PAIRS = [(kind, dtype) for kind in REDUCTIONS for dtype in REDUCED]
PAIRS += [(kind, dtype) for kind in MOVES for dtype in MOVED]
EXTENTS = (0, 1, 1, 2, 3, 4, 7)

Shape = tuple[int, ...]


class Member(NamedTuple):
    """A tensor of a case; lists have an entry for each rank of the set.

    rows: alltoall: from each rank to each; scatter: from the root to each. None: as many to each.
    outs: the layouts of the caller's outputs, or None.
    graph: a gradient is wanted.
    low, high: between which its values lie.
    """

    dtype: str
    shapes: list[Shape]
    layouts: list[str]
    rows: list[list[int]] | None
    as_list: bool
    outs: list[str] | None
    graph: bool
    low: int
    high: int


class Case(NamedTuple):
    """ranks: of the set. order: a number of the batch that it belongs to, whose cases are in flight
    together, in an order of each rank's own; 0: it is alone."""

    number: int
    kind: str
    grouped: bool
    later: bool
    in_place: bool
    named: bool
    ranks: tuple[int, ...]
    root: int
    op: str
    prescale: float
    postscale: float
    compression: str
    members: list[Member]
    batch: int

    @property
    def function(self) -> str:
        """What is called."""
        ending = ("_async" if self.later else "") + ("_" if self.in_place else "")
        return f"{'grouped_' if self.grouped else ''}{self.kind}{ending}"


def sets_of(seed: int, size: int) -> list[tuple[int, ...]]:
    """All ranks, and sets of each smaller size."""
    rng = random.Random(f"sets {seed} {size}")
    drawn = [tuple(range(size))]
    for count in range(1, size):
        every = list(itertools.combinations(range(size), count))
        drawn += rng.sample(every, min(2, len(every)))
    return drawn


def cases(seed: int, size: int, count: int) -> Iterator[list[Case]]:
    """In batches, which are mostly of one."""
    rng = random.Random(f"batches {seed} {size}")
    number = 0
    while number < count:
        several = rng.randrange(2, 5) if rng.random() < 0.2 else 1
        together = range(number, min(number + several, count))
        batch = together.start + 1 if several > 1 else 0
        yield [_Draw(seed, size, each, batch).case() for each in together]
        number = together.stop


class _Draw:
    def __init__(self, seed: int, size: int, number: int, batch: int) -> None:
        self.rng = random.Random(f"case {seed} {size} {number}")
        self.number, self.batch = number, batch
        self.kind, self.dtype = PAIRS[number % len(PAIRS)]
        # All ranks in each second case.
        sets = sets_of(seed, size)
        self.ranks = sets[0] if self.chance(0.5) else self.rng.choice(sets)
        self.root = self.rng.randrange(len(self.ranks))

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def case(self) -> Case:
        rng = self.rng
        reduces = self.kind in REDUCTIONS
        later = self.batch > 0 or self.chance(0.4)
        in_place = self.kind in IN_PLACE and self.chance(0.4)
        graph = self.dtype in DIFFERENTIABLE and self.chance(0.6)
        op = self._operation(graph) if reduces else "Sum"
        scaled = reduces and self.dtype != "bool" and self.chance(0.4)
        if op == "Average" and self.dtype in WHOLE:
            scaled = False  # what is cut towards zero, and when, is the contract suite's affair
        compression = "none"
        if reduces and not later and not in_place and self.dtype in FLOATS and self.chance(0.3):
            compression = rng.choice(("fp16", "bf16"))
        factors = (1, 2, 3) if self.dtype in WHOLE else (1, 0.5, 2, -1)
        grouped = self.chance(0.5)
        with_out = not graph and not in_place and self.chance(0.4)
        allowed = self._alike(op, scaled)
        dtypes = [self.dtype] + [
            rng.choice(allowed) for _ in range(rng.randrange(4) if grouped else 0)
        ]
        return Case(
            self.number,
            self.kind,
            grouped,
            later,
            in_place,
            self.batch > 0 or self.chance(0.5),
            self.ranks,
            self.ranks[self.root],
            op,
            rng.choice(factors) if scaled else 1,
            rng.choice(factors) if scaled else 1,
            compression,
            [self._member(dtype, op, scaled, graph, with_out) for dtype in dtypes],
            self.batch,
        )

    def _operation(self, graph: bool) -> str:
        if graph:
            return self.rng.choice(("Sum", "Average"))
        ops = ["Sum", "Product"]
        ops += [] if self.dtype == "bool" else ["Average"]
        ops += [] if self.dtype in COMPLEX else ["Min", "Max"]
        if self.kind == "allreduce" and self.dtype in FLOATS:
            ops += ["Adasum"] * 5  # of floats alone, and never with a gradient
        return self.rng.choice(ops)

    def _alike(self, op: str, scaled: bool) -> tuple[str, ...]:
        """Dtypes of a group whose first has this one."""
        if self.kind in MOVES:
            return MOVED
        if self.dtype in WHOLE:
            return WHOLE
        if self.dtype in FLOATS:
            return FLOATS if op in ("Min", "Max", "Adasum") else (*FLOATS, *COMPLEX)
        if self.dtype in COMPLEX:
            return (*FLOATS, *COMPLEX)
        return ("bool",) if scaled else ("bool", "int32")

    def _member(self, dtype: str, op: str, scaled: bool, graph: bool, with_out: bool) -> Member:
        rng, size = self.rng, len(self.ranks)
        graph = graph and dtype in DIFFERENTIABLE and (dtype == self.dtype or self.chance(0.7))
        rows, shapes = self._shapes(size)
        layouts = LAYOUTS if dtype in COMPLEX else LAYOUTS[:-1]
        low, high = self._range(dtype, op, scaled)
        return Member(
            dtype,
            shapes,
            rng.choices(layouts, k=size),
            rows,
            self.kind == "scatter" and not with_out and not graph and self.chance(0.3),
            rng.choices(layouts, k=size) if with_out and self.chance(0.8) else None,
            graph,
            low,
            high,
        )

    def _range(self, dtype: str, op: str, scaled: bool) -> tuple[int, int]:
        """What every dtype computes exactly; of whole numbers also what wraps."""
        if dtype == "bool":
            return 0, 1
        most = 2 if op == "Product" else 4
        if dtype in WHOLE and self.kind in REDUCTIONS:
            most = (1 if op == "Product" else 2) if scaled else 100
        return 0 if dtype.startswith("u") else -most, most

    def _shapes(self, size: int) -> tuple[list[list[int]] | None, list[Shape]]:
        rng = self.rng
        behind = tuple(rng.choices(EXTENTS, k=rng.randrange(3)))
        if self.kind in ("allreduce", "broadcast", "reduce") and self.chance(0.2):
            return None, [()] * size
        if self.kind in ("allgather", "gather"):
            return None, [(rng.randrange(5), *behind) for _ in range(size)]
        if self.kind == "alltoall":
            if self.chance(0.5):
                return None, [(rng.randrange(3) * size, *behind) for _ in range(size)]
            rows = [[rng.randrange(4) for _ in range(size)] for _ in range(size)]
            return rows, [(sum(each), *behind) for each in rows]
        if self.kind == "scatter":
            if self.chance(0.5):
                return None, [(rng.randrange(4) * size, *behind)] * size
            parts = [rng.randrange(4) for _ in range(size)]
            return [parts] * size, [(sum(parts), *behind)] * size
        first = rng.randrange(20_000, 70_000) if self.chance(0.03) else rng.choice(EXTENTS)
        return None, [(first, *(behind if first < 10 else ()))] * size
