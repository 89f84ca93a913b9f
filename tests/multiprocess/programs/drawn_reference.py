"""What becomes of a drawn case, values and gradients, by its definition, from the tensors of all
ranks. Computed in int64, float64 or complex128; only what is said to wrap is cut to its dtype."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from drawn_cases import COMPLEX, REDUCTIONS, WHOLE, Case, Member

Tensors = list[torch.Tensor]


def wide(dtype: str) -> torch.dtype:
    """In which values of that dtype are computed here."""
    if dtype in WHOLE or dtype == "bool":
        return torch.int64
    return torch.complex128 if dtype in COMPLEX else torch.float64


def numbers(
    shape: Sequence[int], dtype: str, low: int, high: int, key: tuple[int, ...]
) -> torch.Tensor:
    """Drawn by a key."""
    seed = 0
    for part in key:
        seed = seed * 1009 + part + 1
    generator = torch.Generator().manual_seed(seed % 2**63)
    parts = torch.randint(low, high + 1, (2, *shape), generator=generator)
    return torch.complex(*parts.double()) if dtype in COMPLEX else parts[0].to(wide(dtype))


def values(seed: int, case: Case, i: int, place: int) -> torch.Tensor:
    """Of a member, on the rank at that place of the set."""
    member = case.members[i]
    key = (seed, case.number, i, place, 0)
    return numbers(member.shapes[place], member.dtype, member.low, member.high, key)


def weights(seed: int, case: Case, i: int, place: int, shape: Sequence[int]) -> torch.Tensor:
    """The gradient of that rank's result."""
    return numbers(shape, case.members[i].dtype, -4, 4, (seed, case.number, i, place, 1))


def wrapped(tensor: torch.Tensor, dtype: str) -> torch.Tensor:
    return tensor.to(getattr(torch, dtype)).to(wide(dtype))


def reduced(case: Case, tensors: Tensors, dtype: str) -> torch.Tensor:
    both = torch.stack(tensors)
    before, after = case.prescale, case.postscale
    if dtype == "bool":
        return (both.amax(0) if case.op in ("Sum", "Max") else both.amin(0)).clone()
    if dtype in WHOLE:
        before, after = int(before), int(after)
    both = both * before
    if case.op == "Adasum":
        result = adasum(list(both))
    elif case.op in ("Sum", "Average"):
        result = both.sum(0)
    elif case.op == "Product":
        result = both.prod(0)
    else:
        result = both.amin(0) if case.op == "Min" else both.amax(0)
    if case.op == "Average":
        whole = dtype in WHOLE
        size = len(tensors)
        result = torch.div(result, size, rounding_mode="trunc") if whole else result / size
    return wrapped(result * after, dtype) if dtype in WHOLE else result * after


def adasum(tensors: Tensors) -> torch.Tensor:
    """Neighbours first, then what came of them; who has no neighbour goes on."""
    while len(tensors) > 1:
        pairs = [tensors[i : i + 2] for i in range(0, len(tensors), 2)]
        tensors = [adasum_of_two(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return tensors[0]


def adasum_of_two(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    aa, bb, ab = ((x * y).sum() for x, y in ((a, a), (b, b), (a, b)))
    return a + b if aa == 0 or bb == 0 else a * (1 - ab / (2 * aa)) + b * (1 - ab / (2 * bb))


def cuts(rows: int, size: int) -> list[int]:
    """How many rows of a reducescatter each rank gets."""
    each, more = divmod(rows, size)
    return [each + (place < more) for place in range(size)]


def parts_of(tensor: torch.Tensor, rows: list[int] | None, size: int) -> Tensors:
    """The blocks for each rank."""
    each = [len(tensor) // size] * size if rows is None else rows
    return list(tensor.split(each))


def rows_from(member: Member, place: int) -> list[int]:
    """alltoall: how many rows come from each rank."""
    if member.rows is not None:
        return [row[place] for row in member.rows]
    return [shape[0] // len(member.shapes) for shape in member.shapes]


def results(seed: int, case: Case, i: int) -> list[torch.Tensor | None]:
    """What each rank of the set gets; None: nothing."""
    member, size = case.members[i], len(case.ranks)
    inputs = [values(seed, case, i, place) for place in range(size)]
    root = case.ranks.index(case.root)

    def at_root(result: torch.Tensor) -> list[torch.Tensor | None]:
        return [result if place == root else None for place in range(size)]

    if case.kind in REDUCTIONS:
        total = reduced(case, inputs, member.dtype)
        if case.kind == "reduce":
            return at_root(total)
        if case.kind == "reducescatter":
            return list(total.split(cuts(len(total), size)))
        return [total] * size
    if case.kind == "broadcast":
        return [inputs[root]] * size
    if case.kind in ("allgather", "gather"):
        whole = torch.cat(inputs)
        return at_root(whole) if case.kind == "gather" else [whole] * size
    rows: Sequence[list[int] | None] = member.rows or [None] * size
    if case.kind == "scatter":
        return list(parts_of(inputs[root], rows[root], size))
    sent = [parts_of(tensor, rows[place], size) for place, tensor in enumerate(inputs)]
    return [torch.cat([parts[place] for parts in sent]) for place in range(size)]


def gradients(seed: int, case: Case, i: int) -> Tensors:
    """Of each rank's input, as docs/python.md has them, where each result's gradient is its
    `weights`."""
    member, size = case.members[i], len(case.ranks)
    given = [
        torch.empty(0) if result is None else weights(seed, case, i, place, result.shape)
        for place, result in enumerate(results(seed, case, i))
    ]
    root = case.ranks.index(case.root)
    scale = case.prescale * case.postscale
    zeros = [torch.zeros(shape, dtype=wide(member.dtype)) for shape in member.shapes]
    if case.kind == "allreduce":
        return [reduced(case, given, member.dtype)] * size
    if case.kind == "reduce":
        return [given[root] * scale / (size if case.op == "Average" else 1)] * size
    if case.kind == "reducescatter":
        return [torch.cat(given) * scale * (size if case.op == "Sum" else 1)] * size
    if case.kind == "broadcast":
        mean = torch.stack(given).sum(0) / size
        return [mean if place == root else zeros[place] for place in range(size)]
    if case.kind in ("allgather", "gather"):
        mean = torch.stack(given).sum(0) / size if case.kind == "allgather" else given[root]
        return list(mean.split([shape[0] for shape in member.shapes]))
    if case.kind == "scatter":
        whole = torch.cat(given)
        return [whole if place == root else zeros[place] for place in range(size)]
    back = [tensor.split(rows_from(member, place)) for place, tensor in enumerate(given)]
    return [torch.cat([blocks[place] for blocks in back]) for place in range(size)]
