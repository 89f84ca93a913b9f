"""Gradients of collectives against their definition.

To check the whole Jacobian, that of all ranks' results by all ranks' inputs, every rank holds all
inputs: `_Mine` takes this rank's, `_Collect` brings the results together, and each is the other's
transposition.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.autograd import gradcheck, gradgradcheck

import farandole.torch as hvd


class Place(NamedTuple):
    """A rank's, in a process set."""

    rank: int
    size: int
    process_set: hvd.ProcessSet


def place_in(process_set: hvd.ProcessSet) -> Place:
    return Place(process_set.rank(), process_set.size(), process_set)


class _Mine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, everything: torch.Tensor, place: Place) -> torch.Tensor:
        ctx.place = place
        return everything[place.rank].clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        return _apply(_Collect, gradient, ctx.place), None


class _Collect(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, place: Place) -> torch.Tensor:
        ctx.place = place
        mine = tensor.detach().unsqueeze(0)
        gathered = hvd.allgather(mine, name="collect", process_set=place.process_set)
        return gathered.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        return _apply(_Mine, gradient, ctx.place), None


def _apply(function: Any, tensor: torch.Tensor, place: Place) -> torch.Tensor:
    result: torch.Tensor = function.apply(tensor, place)
    return result


class _Rescaled(torch.autograd.Function):
    """The tensor, with a gradient times a factor: Horovod's are those of other sums than the one of
    all results."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, factor: float) -> torch.Tensor:
        ctx.factor = factor
        return tensor.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        return gradient * ctx.factor, None


Function = Callable[[torch.Tensor], torch.Tensor]


def padded(tensor: torch.Tensor, rows: int) -> torch.Tensor:
    return torch.nn.functional.pad(tensor, (0, 0, 0, rows - len(tensor)))


def linear_functions(place: Place) -> dict[str, tuple[Function, float]]:
    """Each collective with its factor: 1 / what Horovod's gradient is times the true one."""
    rank, size, process_set = place
    inside: Any = {"process_set": process_set}
    first, last = process_set.ranks[0], process_set.ranks[-1]
    rows = [r + 1 for r in range(size)]
    splits = [1] * (size - 1) + [2]  # of size + 1 rows
    of_all = sum(rows)
    most = 2 * size

    def swapped(x: torch.Tensor) -> torch.Tensor:
        output, _ = hvd.alltoall(x[: size + 1], splits, name="g", **inside)
        return padded(output, most)

    def grouped_gather(x: torch.Tensor) -> torch.Tensor:
        ragged, even = hvd.grouped_allgather([x[: rows[rank]], x[:2]], name="g", **inside)
        return torch.cat([ragged * 3, even])

    def grouped_swap(x: torch.Tensor) -> torch.Tensor:
        both = [x[: size + 1], x[:size]]
        (ragged, _), even = hvd.grouped_alltoall(both, [splits, None], **inside)
        return torch.cat([padded(ragged, most), even])

    def in_place(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        hvd.allreduce_(y[1:], op=hvd.Sum, name="g", **inside)
        return y

    def scattered(x: torch.Tensor) -> torch.Tensor:
        return padded(hvd.reducescatter(x[: size + 1], op=hvd.Sum, **inside), 2)

    def grouped_scatter(x: torch.Tensor) -> torch.Tensor:
        return torch.cat(hvd.grouped_reducescatter([x[:size], x[:size] * 2], **inside))

    def grouped_sum(x: torch.Tensor) -> torch.Tensor:
        return torch.cat(hvd.grouped_allreduce([x, x[:1]], op=hvd.Sum, **inside))

    def grouped_broadcast(x: torch.Tensor) -> torch.Tensor:
        return torch.cat(hvd.grouped_broadcast([x, x[:1]], first, **inside))

    linear = {
        "sum": (lambda x: hvd.allreduce(x, op=hvd.Sum, prescale_factor=0.5, **inside), 1),
        "average": (lambda x: hvd.allreduce(x, postscale_factor=3.0, **inside), 1),
        "in place": (in_place, 1),
        "gather": (lambda x: hvd.allgather(x[: rows[rank]], **inside), size),
        "even gather": (lambda x: hvd.synchronize(hvd.allgather_async(x[:2], **inside)), size),
        "broadcast": (lambda x: hvd.broadcast(x, last, **inside), size),
        "scatter": (scattered, 1 / size),
        "even scatter": (
            lambda x: hvd.reducescatter(x[:size], prescale_factor=2.0, **inside),
            1 / size,
        ),
        "swap": (swapped, 1),
        "even swap": (lambda x: hvd.alltoall(x[:size], **inside), 1),
        "grouped sum": (grouped_sum, 1),
        "grouped gather": (grouped_gather, size),
        "grouped broadcast": (grouped_broadcast, size),
        "grouped scatter": (grouped_scatter, 1 / size),
        "grouped swap": (grouped_swap, 1),
        "gathered rows": (lambda x: hvd.allgather(x[: rows[rank]], **inside)[: of_all - 1], size),
    }
    return linear | {name: (function, 1) for name, function in rooted_functions(place).items()}


def rooted_functions(place: Place) -> dict[str, Function]:
    """What ends or begins at one rank; where there is no result, of nothing but padding."""
    rank, size, process_set = place
    first, last = process_set.ranks[0], process_set.ranks[-1]
    inside: Any = {"process_set": process_set}
    splits = [0] * (size - 1) + [size + 1]

    def same(result: Any, most: int) -> torch.Tensor:
        return padded(result.reshape(-1, 2), most)

    def summed(x: torch.Tensor) -> torch.Tensor:
        scales: Any = {"prescale_factor": 0.5, "postscale_factor": 3.0}
        return same(hvd.reduce(x, last, op=hvd.Sum, **scales, **inside), size + 1)

    def in_place(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        token: Any = hvd.reduce_(y[1:], first, op=hvd.Sum, **inside)
        return y + (0 if rank == 0 else token.sum())

    def gathered(x: torch.Tensor) -> torch.Tensor:
        return same(hvd.gather(x[: rank + 1], last, **inside), size * size)

    def scattered(x: torch.Tensor) -> torch.Tensor:
        return hvd.scatter(x[:size] * 2, first, **inside)

    def scattered_unevenly(x: torch.Tensor) -> torch.Tensor:
        part = hvd.synchronize(hvd.scatter_async(x, last, splits, **inside))
        return same(part, size + 1)

    def scattered_list(x: torch.Tensor) -> torch.Tensor:
        given = list(x[:size].split(1)) if rank == 0 else x
        return hvd.scatter(given, first, **inside)

    def grouped(x: torch.Tensor) -> torch.Tensor:
        sums = hvd.grouped_reduce([x, x[:1] * 2], first, **inside)
        rows = hvd.grouped_gather([x[:1], x[: rank + 1]], last, **inside)
        parts = hvd.grouped_scatter([x[:size], x[:size] * 3], first, **inside)
        return torch.cat([same(part, size * size) for part in (*sums, *rows, *parts)])

    return {
        "reduce": summed,
        "mean": lambda x: same(hvd.reduce(x, first, **inside), size + 1),
        "reduce in place": in_place,
        "gather to one": gathered,
        "scatter from one": scattered,
        "uneven scatter from one": scattered_unevenly,
        "scattered list": scattered_list,
        "grouped rooted": grouped,
    }


def globally(place: Place, function: Function, factor: float, power: int = 1) -> Function:
    """The function of all ranks' inputs, raised to a power, whose result is all ranks' results."""

    def whole(everything: torch.Tensor) -> torch.Tensor:
        rescale: Any = _Rescaled.apply
        mine = rescale(_apply(_Mine, everything, place) ** power, float(factor))
        return _apply(_Collect, function(mine), place)

    return whole


def inputs(size: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    torch.manual_seed(5)  # the same on every rank
    return torch.randn(size, size + 1, 2, dtype=dtype, requires_grad=True)


def check_gradients(place: Place) -> None:
    for name, (function, factor) in linear_functions(place).items():
        for dtype in (torch.float64, torch.complex128) if name == "sum" else (torch.float64,):
            whole = globally(place, function, factor)
            assert gradcheck(whole, (inputs(place.size, dtype),), fast_mode=True), name


def check_second_derivatives(place: Place) -> None:
    for name, (function, factor) in linear_functions(place).items():
        whole = globally(place, function, factor, power=2)
        assert gradgradcheck(whole, (inputs(place.size),), fast_mode=True), name


def gradient(result: Any, x: torch.Tensor, weight: float = 1.0) -> torch.Tensor:
    x.grad = None
    torch.autograd.backward((result * weight).sum())
    assert x.grad is not None
    return x.grad


def gradients_of_one_rank(rank: int, size: int, x: torch.Tensor) -> None:
    """Exact ones; others than the root go backward through an empty tensor."""
    ones, weight = torch.ones(size, 2), float(rank + 1)
    options = {"root_rank": 1}
    for name, given, wanted in (
        ("reduce", x, ones * 2 / size),
        ("gather", x, ones * 2),
        ("scatter", x if rank == 1 else None, torch.arange(1.0, size + 1).view(-1, 1) * ones),
    ):
        one, later = getattr(hvd, name), getattr(hvd, f"{name}_async")
        several = getattr(hvd, f"grouped_{name}")
        for result in (
            one(given, **options),
            one(given, name="named", **options),
            hvd.synchronize(later(given, **options)),
            several([given, given], **options)[1],
        ):
            assert result.requires_grad and (rank == 1 or name == "scatter" or result.shape == (0,))
            if name == "scatter" and rank != 1:
                torch.autograd.backward((result * weight).sum())
                continue
            assert torch.allclose(gradient(result, x, weight), wanted), (name, x.grad, wanted)
    if rank == 1:
        try:
            hvd.scatter(x, 1, name="refused", out=torch.zeros(1, 2))
        except hvd.InvalidArgumentError as error:
            assert "out= is not differentiable" in str(error), error
        else:
            raise RuntimeError("a gradient through the root's out")


def check_values_of_gradients(rank: int, size: int) -> None:
    """Horovod's, in every form; rank r weighs its result with r + 1."""
    x = torch.full((size, 2), float(rank + 1), requires_grad=True)
    ones, weight, mean = torch.ones(size, 2), float(rank + 1), (size + 1) / 2
    swapped = torch.arange(1.0, size + 1).view(-1, 1).expand(size, 2)
    expected: dict[str, tuple[dict[str, Any], torch.Tensor]] = {
        "allreduce": ({"op": hvd.Sum}, ones * mean * size),
        "allgather": ({}, ones * mean),
        "broadcast": ({"root_rank": 1}, ones * mean * (rank == 1)),
        "alltoall": ({}, swapped),
        "reducescatter": ({"op": hvd.Sum}, swapped * size),
    }
    for name, (options, wanted) in expected.items():
        one, several = getattr(hvd, name), getattr(hvd, f"grouped_{name}")
        later, all_later = getattr(hvd, f"{name}_async"), getattr(hvd, f"grouped_{name}_async")
        results = [
            one(x, **options),
            one(x, name="named", **options),
            hvd.synchronize(later(x, **options)),
            several([x, torch.ones(size)], **options)[0],
            hvd.synchronize(all_later([torch.ones(size), x], **options))[1],
        ]
        for result in results:
            assert torch.allclose(gradient(result, x, weight), wanted), (name, x.grad, wanted)
    gradients_of_one_rank(rank, size, x)
    with torch.no_grad():
        assert not hvd.allreduce(x).requires_grad
        assert (hvd.reduce(x, 0) is None) == (rank != 0)
        assert not hvd.scatter(x, 0).requires_grad
    for sparse_gradient in (hvd.Max, hvd.Min, hvd.Product):
        try:
            gradient(hvd.allreduce(x, op=sparse_gradient), x)
        except hvd.UnsupportedError as error:
            assert "gradient" in str(error)
        else:
            raise RuntimeError(f"a gradient of {sparse_gradient}")
    saved = x * 1.0
    product = saved * saved
    hvd.broadcast_(saved.detach(), 0)
    try:
        torch.autograd.backward(product.sum())
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)
    else:
        raise RuntimeError("a gradient of overwritten values")
