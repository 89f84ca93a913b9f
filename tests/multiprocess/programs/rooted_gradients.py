"""Gradients of reduce, gather and scatter where ranks differ: in their losses, in what they record
and when they wait, and in whether they have joined."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from common import report
from optimizer_common import raises

import farandole.torch as hvd

CASES: list[Callable[[int, int], None]] = []


def case(function: Callable[[int, int], None]) -> Callable[[int, int], None]:
    CASES.append(function)
    return function


def own(rank: int, rows: int = 2) -> torch.Tensor:
    values = torch.arange(1.0, 1 + 2 * rows, dtype=torch.float64).view(rows, 2) + rank
    return values.requires_grad_()


def first(loss: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    (gradient,) = torch.autograd.grad(loss, x, create_graph=True)
    return gradient


def equal(got: Any, wanted: torch.Tensor) -> None:
    assert got is not None
    torch.testing.assert_close(got.detach(), wanted)


@case
def second_derivatives_where_others_have_plain_losses(rank: int, size: int) -> None:
    x, weight = own(rank), float(rank + 1)
    everyone = torch.stack([own(r).detach() for r in range(size)])
    mean, weights = everyone.mean(0), size * (size + 1) / 2
    for root in (0, size - 1):
        for name, wanted, further in (
            ("reduce", 3 * mean**2 / size, weights * 6 * mean / size**2),
            ("gather", 3 * everyone[rank] ** 2, weight * 6 * everyone[rank]),
        ):
            for by_backward in (False, True):
                result = getattr(hvd, name)(x, root)
                loss = (result**3 if rank == root else result).sum()
                gradient = first(loss, x)
                assert gradient.requires_grad
                equal(gradient, wanted)
                if by_backward:
                    x.grad = None
                    torch.autograd.backward((gradient * weight).sum())
                    equal(x.grad, further)
                else:
                    equal(torch.autograd.grad((gradient * weight).sum(), x)[0], further)


@case
def third_derivatives(rank: int, size: int) -> None:
    x = own(rank)
    result: Any = hvd.gather(x, 0)
    once = first((result**3 if rank == 0 else result).sum(), x)
    twice = first(once.sum(), x)
    (thrice,) = torch.autograd.grad(twice.sum(), x)
    equal(thrice, torch.full((2, 2), 6.0, dtype=torch.float64))


@case
def second_derivatives_of_a_scatter(rank: int, size: int) -> None:
    """Each part has a loss of its own; the last one's is plain."""
    x = own(rank, size)
    part = hvd.scatter(x, 0)
    gradient = first((part if rank == size - 1 else part**3).sum(), x)
    assert gradient.requires_grad
    (again,) = torch.autograd.grad(gradient.sum(), x)
    wanted = 6 * own(0, size).detach()
    wanted[-1] = 0
    equal(again, wanted if rank == 0 else torch.zeros_like(wanted))


@case
def second_derivatives_by_what_else_the_root_has(rank: int, size: int) -> None:
    """The root's gradient depends on its weight, and not on what was reduced."""
    for in_place in (False, True):
        x = own(rank)
        given = x * 1
        result: Any = (hvd.reduce_ if in_place else hvd.reduce)(given, 0, op=hvd.Sum)
        weight = torch.full((2, 2), 5.0, dtype=torch.float64, requires_grad=True)
        gradient = first((result * weight).sum() if rank == 0 else result.sum(), x)
        equal(gradient, torch.full((2, 2), 5.0, dtype=torch.float64))
        torch.autograd.backward(gradient.sum())
        if rank == 0:
            equal(weight.grad, torch.full((2, 2), float(size), dtype=torch.float64))


@case
def no_graph_where_nobody_needs_one(rank: int, size: int) -> None:
    x = own(rank)
    for name in ("reduce", "gather", "scatter"):
        given = own(rank, size) if name == "scatter" else x
        gradient = first(getattr(hvd, name)(given, 0).sum(), given)
        assert not gradient.requires_grad, name


@case
def a_graph_on_some_ranks_alone_is_refused_on_all(rank: int, size: int) -> None:
    for name in ("reduce", "gather"):
        x = own(rank)
        result = getattr(hvd, name)(x, 0)
        loss = (result**2).sum()

        def backward(loss: torch.Tensor = loss) -> None:
            torch.autograd.backward(loss, create_graph=rank == 0)

        raises(backward, hvd.UnsupportedError, "give create_graph=True on all, or on none")
    hvd.barrier()


@case
def recorded_when_called(rank: int, size: int) -> None:
    """Whatever torch does when the result is waited for."""
    x = own(rank, size)
    wanted = torch.ones(size, 2, dtype=torch.float64)
    for grouped in (False, True):
        given = x if rank == 0 else None
        handle = hvd.grouped_scatter_async([given], 0) if grouped else hvd.scatter_async(given, 0)
        with torch.no_grad():
            result = hvd.synchronize(handle)
        part = result[0] if grouped else result
        assert part.requires_grad
        x.grad = None
        torch.autograd.backward(part.sum())
        if rank == 0:
            equal(x.grad, wanted)
        with torch.no_grad():
            handle = hvd.scatter_async(given, 0)
        assert not hvd.synchronize(handle).requires_grad


@case
def a_part_goes_to_an_output_with_its_graph(rank: int, size: int) -> None:
    x = own(rank, size)
    buffer = torch.zeros(1, 4, dtype=torch.float64)
    for place in (torch.zeros(1, 2, dtype=torch.float64), buffer[:, ::2], buffer.detach()[:, ::2]):
        out = None if rank == 0 else place
        result = hvd.scatter(x if rank == 0 else None, 0, out=out)
        assert result is out or rank == 0
        assert result.requires_grad
        equal(result, own(0, size).detach()[rank : rank + 1])
        x.grad = None
        torch.autograd.backward((result * (rank + 1)).sum())
        if rank == 0:
            equal(x.grad, torch.arange(1.0, size + 1).view(-1, 1).expand(size, 2).double())
    leaf = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    for wrong in (leaf, leaf * 2) if rank > 0 else ():
        refused = functools.partial(hvd.scatter, None, 0, name="own", out=wrong)
        raises(refused, ValueError, "part of a graph already")
    given = (x, None) if rank == 0 else (None, leaf)
    with torch.no_grad():
        result = hvd.scatter(given[0], 0, name="own", out=given[1])
    assert rank == 0 or result is leaf
    equal(result, own(0, size).detach()[rank : rank + 1])


@case
def while_ranks_have_joined(rank: int, size: int) -> None:
    """The forward has divided by those that are left."""
    if rank == size - 1:
        hvd.join()
        return
    others = size - 1
    ones = torch.ones(others, 2, dtype=torch.float64)  # and no row for whoever has joined
    for name in ("allreduce", "allgather", "reducescatter"):
        x = own(rank, others)
        torch.autograd.backward(getattr(hvd, name)(x, name=f"mean.{name}").sum())
        equal(x.grad, ones)
    x = own(rank, others)
    torch.autograd.backward(hvd.reducescatter(x, op=hvd.Sum, name="sum").sum())
    equal(x.grad, ones * others)
    x = own(rank, others)
    result: Any = hvd.reduce(x, 0, name="to one")
    torch.autograd.backward(result.sum())
    equal(x.grad, ones / others)
    x = own(rank)
    result = hvd.broadcast(x, 0, name="from one")
    torch.autograd.backward(result.sum() * (rank + 1))
    equal(x.grad, torch.full((2, 2), (others + 1) / 2 if rank == 0 else 0.0, dtype=torch.float64))
    hvd.join()


@case
def of_a_broadcast_before_ranks_joined(rank: int, size: int) -> None:
    """The forward has counted all; those that are left sum theirs at the root, whichever it is."""
    x, y = own(rank), torch.tensor(rank + 1.0, requires_grad=True)
    left = range(size - 1)
    results = {root: hvd.broadcast(x**2, root, name=f"from {root}") for root in range(size)}
    groups = {root: hvd.grouped_broadcast([x * 1, y * 1], root, f"all {root}") for root in left}
    if rank == size - 1:
        hvd.join()
        return
    total = sum(r + 1.0 for r in left) / size
    for root in left:
        mine = float(rank == root)
        gradient = first((results[root] * (rank + 1)).sum(), x)
        equal(gradient, 2 * total * mine * x.detach())
        equal(first(gradient.sum(), x), torch.full((2, 2), 2 * total * mine, dtype=x.dtype))
        whole, number = groups[root]
        x.grad = y.grad = None
        torch.autograd.backward((whole.expand(3, 2, 2).sum() + number * 2) * (rank + 1))
        equal(x.grad, torch.full((2, 2), 3 * total * mine, dtype=x.dtype))
        equal(y.grad, torch.tensor(2 * total * mine))
    lost = results[size - 1].sum()
    raises(lambda: torch.autograd.backward(lost), hvd.MismatchError, "joined")
    hvd.join()


def reduced_in_parts(rank: int, size: int, gone: int, took_part: int) -> None:
    """Rows of whoever is gone are zeros.

    took_part: how many ranks, in the forward.
    """
    x, number = own(rank, 2 * size + 1), own(rank, 1)
    parts = hvd.grouped_reducescatter([x, number], op=hvd.Sum, name="parts")
    more = hvd.reducescatter(x, op=hvd.Sum, name="more")
    if rank == gone:
        hvd.join()
        return
    owner = torch.arange(size).repeat_interleave(torch.tensor([3] + [2] * (size - 1)))
    weights = ((owner + 1.0) * (owner != gone)).double().unsqueeze(1).expand(-1, 2)
    torch.autograd.backward((parts[0].sum() + parts[1].sum()) * (rank + 1))
    equal(x.grad, weights * took_part)
    equal(number.grad, weights[:1] * took_part)
    gradient = first((more**2).sum(), x)
    torch.autograd.backward(gradient.sum())
    twice = 2.0 * took_part**2 * (size - 1) * (weights > 0)
    equal(x.grad, weights * took_part + twice)


def gathered_in_rows(rank: int, size: int, gone: int) -> None:
    """What the losses of those that are left make of their rows, even or not."""
    x, row = own(rank, rank + 1), own(rank, 1)
    everything, rows = hvd.grouped_allgather([x, row], name="rows")
    more = hvd.allgather(x, name="more rows")
    if rank == gone:
        hvd.join()
        return
    left = [r for r in range(size) if r != gone]
    mean = sum(r + 1.0 for r in left) / size
    torch.autograd.backward((everything.sum() + 2 * rows.sum()) * (rank + 1))
    equal(x.grad, torch.full_like(x.detach(), mean))
    equal(row.grad, torch.full_like(row.detach(), 2 * mean))
    gradient = first((more**2).sum(), x)
    equal(gradient, 2 * x.detach() * len(left) / size)
    equal(first(gradient.sum(), x), torch.full_like(x.detach(), 2 * len(left) / size**2))


@case
def of_rows_before_ranks_joined(rank: int, size: int) -> None:
    for gone in range(size):
        reduced_in_parts(rank, size, gone, size)
        if rank != gone:
            hvd.join()
        gathered_in_rows(rank, size, gone)
        if rank != gone:
            hvd.join()


@case
def of_parts_while_ranks_have_joined(rank: int, size: int) -> None:
    for gone in range(size):
        if rank != gone:
            reduced_in_parts(rank, size, gone, size - 1)
        hvd.join()


@case
def rows_of_ranks_apart_that_have_joined(rank: int, size: int) -> None:
    """How many were whose is known to them alone."""
    x, row = own(rank, rank + 1), own(rank, 1)
    result = hvd.allgather(x, name="apart")
    if size >= 3 and rank == 1:
        lost = result.sum()
        raises(lambda: torch.autograd.backward(lost), hvd.UnsupportedError, "before any of them")
        torch.autograd.backward(hvd.allgather(row, name="here").sum())
        equal(row.grad, torch.ones(1, 2, dtype=row.dtype))
    hvd.join()


def main() -> None:
    hvd.init()
    torch.set_num_threads(1)
    for function in CASES:
        print("case", function.__name__, flush=True)
        function(hvd.rank(), hvd.size())
    report(hvd.rank(), cases=len(CASES))
    hvd.shutdown()


main()
