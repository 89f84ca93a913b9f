"""The operations of random jobs: what each rank brings to one, how it starts, what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

import farandole as fdl

# Functions of farandole; test_soak.py sees that it has no other.
KINDS = (
    "allreduce_async",
    "allreduce_async_",
    "allgather_async",
    "broadcast_async",
    "broadcast_async_",
    "reducescatter_async",
    "alltoall_async",
    "reduce_async",
    "reduce_async_",
    "gather_async",
    "scatter_async",
    "grouped_allreduce_async",
    "grouped_allreduce_async_",
    "grouped_allgather_async",
    "grouped_broadcast_async",
    "grouped_broadcast_async_",
    "grouped_reducescatter_async",
    "grouped_alltoall_async",
    "grouped_reduce_async",
    "grouped_reduce_async_",
    "grouped_gather_async",
    "grouped_scatter_async",
)
DTYPES = tuple(
    np.dtype(name)
    for name in ("float64", "float32", "float16", ml_dtypes.bfloat16, "int64", "int32")
)
RAGGED = ("allgather", "alltoall", "gather", "scatter")  # may have any number of rows
REDUCING = ("allreduce", "reducescatter", "reduce")
ROOTED = ("broadcast", "reduce", "gather", "scatter")
AT_ROOT = ("reduce", "gather")  # alone there is a result


@dataclass(frozen=True)
class Operation:
    name: str
    kind: str
    dtype: np.dtype[Any]
    rows: tuple[int, ...]  # of each tensor of a group, or of the one
    op: Any
    root: int
    process_set: Any
    members: tuple[int, ...]  # of the set
    present: tuple[int, ...]  # who submits it: the others have joined
    mistaken: int  # the rank that submits another shape; -1: none does

    @property
    def what(self) -> str:
        return what_is(self.kind)

    @property
    def grouped(self) -> bool:
        return self.kind.startswith("grouped_")


def what_is(kind: str) -> str:
    """The collective, however it is called."""
    return kind.removeprefix("grouped_").split("_")[0]


def is_exact(dtype: np.dtype[Any]) -> bool:
    """Whether its values are whole numbers."""
    return dtype.kind == "i"


def suits(op: Any, what: str, dtype: np.dtype[Any]) -> bool:
    """Whether it can be computed."""
    return op is not fdl.Adasum or (what == "allreduce" and not is_exact(dtype))


def start(operation: Operation, rank: int) -> Any:
    """Its handle. Requires: the rank is present."""
    tensors = [_brought(operation, rank, rows) for rows in operation.rows]
    if operation.mistaken == rank:
        tensors[0] = _brought(operation, rank, operation.rows[0] + 1)
    arguments: dict[str, Any] = {"name": operation.name, "process_set": operation.process_set}
    if operation.what in REDUCING:
        arguments["op"] = operation.op
    if operation.what in ROOTED:
        arguments["root_rank"] = operation.root
    if operation.what == "scatter" and rank == operation.root:
        splits = [_scattered(operation, rows) for rows in operation.rows]
        arguments["splits"] = splits if operation.grouped else splits[0]
    return getattr(fdl, operation.kind)(tensors if operation.grouped else tensors[0], **arguments)


def _brought(operation: Operation, rank: int, rows: int) -> np.ndarray | None:
    if operation.what == "scatter":
        if rank != operation.root:
            return None
        parts = zip(operation.members, _scattered(operation, rows), strict=True)
        return _filled([(to + 1, count) for to, count in parts], operation.dtype)
    if operation.what == "alltoall":
        rows *= len(operation.members)
    return _filled([(rank + 1, _gathered(operation, rank, rows))], operation.dtype)


def _gathered(operation: Operation, rank: int, rows: int) -> int:
    """Every rank brings some rows more."""
    return rows + (rank if operation.what in ("allgather", "gather") else 0)


def _scattered(operation: Operation, rows: int) -> list[int]:
    """Every rank gets some rows more."""
    return [rows + rank for rank in operation.members]


def _filled(parts: list[tuple[float, int]], dtype: np.dtype[Any]) -> np.ndarray:
    """So many rows of each value."""
    values, counts = zip(*parts, strict=True)
    column = np.repeat(np.array(values, dtype), counts)
    return np.stack([column, column], axis=1)


def check(operation: Operation, rank: int, handle: Any) -> None:
    """Waits for it. Raises: AssertionError for a wrong end of it; what else it raises."""
    try:
        result = fdl.synchronize(handle)
    except fdl.MismatchError as error:
        assert operation.mistaken >= 0 and operation.name in str(error), str(error)
        return
    assert operation.mistaken < 0, f"{operation}: nobody noticed the mistake"
    results = result if operation.grouped else [result]
    assert len(results) == len(operation.rows), f"{operation}: {len(results)} results"
    for one, rows in zip(results, operation.rows, strict=True):
        if operation.what in AT_ROOT and rank != operation.root:
            assert one is None, f"{operation}: {one!r}"
            continue
        expected = _expected(operation, rank, rows)
        got = np.asarray(one)
        told = f"{operation}: {got.dtype} {got.shape} {got[:2]}, not {expected[:2]}"
        assert got.dtype == expected.dtype and got.shape == expected.shape, told
        assert _same(operation, got, expected), told


def _same(operation: Operation, got: np.ndarray, expected: np.ndarray) -> bool:
    """Small whole numbers are exact in every dtype; what was divided is not."""
    divided = operation.what in REDUCING and operation.op in (fdl.Average, fdl.Adasum)
    if not divided or is_exact(operation.dtype):
        return bool((got == expected).all())
    tolerance = 1e-2 if operation.dtype.itemsize == 2 else 1e-6
    return np.allclose(got.astype("f8"), expected.astype("f8"), rtol=tolerance)


def _expected(operation: Operation, rank: int, rows: int) -> np.ndarray:
    what, dtype = operation.what, operation.dtype
    place = operation.members.index(rank)
    if what in ("allreduce", "reduce"):
        parts = [(_reduced(operation), rows)]
    elif what == "reducescatter":
        each, more = divmod(rows, len(operation.members))
        parts = [(_reduced(operation), each + (place < more))]
    elif what == "broadcast":
        parts = [(operation.root + 1, rows)]
    elif what == "scatter":
        parts = [(rank + 1, _scattered(operation, rows)[place])]
    else:  # one part of every rank that is there
        parts = [(one + 1, _gathered(operation, one, rows)) for one in operation.present]
    return _filled(parts, dtype)


def _reduced(operation: Operation) -> float:
    values = [rank + 1 for rank in operation.present]
    if operation.op is fdl.Average:
        mean = sum(values) / len(values)
        return int(mean) if is_exact(operation.dtype) else mean
    if operation.op is fdl.Adasum:
        return _adasum([float(value) for value in values])
    if operation.op is fdl.Product:
        return float(np.prod(values))
    return {fdl.Sum: sum(values), fdl.Min: min(values), fdl.Max: max(values)}[operation.op]


def _adasum(values: list[float]) -> float:
    """Of tensors that are parallel, which all of these are: the mean of each pair of neighbours;
    who has none goes on as it is."""
    while len(values) > 1:
        pairs = [values[i : i + 2] for i in range(0, len(values), 2)]
        values = [sum(pair) / len(pair) for pair in pairs]
    return values[0]
