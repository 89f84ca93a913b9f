"""Gradients of collectives against their definition.

To check the whole Jacobian, that of all ranks' results by all ranks' inputs, every rank holds all
inputs: `_Mine` takes this rank's, `_Collect` brings the results together, and each is the other's
transposition.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd import gradcheck, gradgradcheck

import farandole.torch as hvd


class _Mine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, everything: torch.Tensor) -> torch.Tensor:
        return everything[hvd.rank()].clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        return _apply(_Collect, gradient)


class _Collect(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor) -> torch.Tensor:
        gathered = hvd.allgather(tensor.detach().unsqueeze(0), name="collect")
        return gathered.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        return _apply(_Mine, gradient)


def _apply(function: Any, tensor: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = function.apply(tensor)
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


def linear_functions(rank: int, size: int) -> dict[str, tuple[Function, float]]:
    """Each collective with its factor: 1 / what Horovod's gradient is times the true one."""
    rows = [r + 1 for r in range(size)]
    splits = [1] * (size - 1) + [2]  # of size + 1 rows
    of_all = sum(rows)
    most = 2 * size

    def swapped(x: torch.Tensor) -> torch.Tensor:
        output, _ = hvd.alltoall(x[: size + 1], splits, name="g")
        return padded(output, most)

    def grouped_gather(x: torch.Tensor) -> torch.Tensor:
        ragged, even = hvd.grouped_allgather([x[: rows[rank]], x[:2]], name="g")
        return torch.cat([ragged * 3, even])

    def grouped_swap(x: torch.Tensor) -> torch.Tensor:
        (ragged, _), even = hvd.grouped_alltoall([x[: size + 1], x[:size]], [splits, None])
        return torch.cat([padded(ragged, most), even])

    def in_place(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        hvd.allreduce_(y[1:], op=hvd.Sum, name="g")
        return y

    return {
        "sum": (lambda x: hvd.allreduce(x, op=hvd.Sum, prescale_factor=0.5), 1),
        "average": (lambda x: hvd.allreduce(x, postscale_factor=3.0), 1),
        "in place": (in_place, 1),
        "gather": (lambda x: hvd.allgather(x[: rows[rank]]), size),
        "even gather": (lambda x: hvd.synchronize(hvd.allgather_async(x[:2])), size),
        "broadcast": (lambda x: hvd.broadcast(x, size - 1), size),
        "scatter": (lambda x: padded(hvd.reducescatter(x[: size + 1], op=hvd.Sum), 2), 1 / size),
        "even scatter": (lambda x: hvd.reducescatter(x[:size], prescale_factor=2.0), 1 / size),
        "swap": (swapped, 1),
        "even swap": (lambda x: hvd.alltoall(x[:size]), 1),
        "grouped sum": (lambda x: torch.cat(hvd.grouped_allreduce([x, x[:1]], op=hvd.Sum)), 1),
        "grouped gather": (grouped_gather, size),
        "grouped broadcast": (lambda x: torch.cat(hvd.grouped_broadcast([x, x[:1]], 0)), size),
        "grouped scatter": (
            lambda x: torch.cat(hvd.grouped_reducescatter([x[:size], x[:size] * 2])),
            1 / size,
        ),
        "grouped swap": (grouped_swap, 1),
        "gathered rows": (lambda x: hvd.allgather(x[: rows[rank]])[: of_all - 1], size),
    }


def globally(function: Function, factor: float, power: int = 1) -> Function:
    """The function of all ranks' inputs, raised to a power, whose result is all ranks' results."""

    def whole(everything: torch.Tensor) -> torch.Tensor:
        rescale: Any = _Rescaled.apply
        mine = rescale(_apply(_Mine, everything) ** power, float(factor))
        return _apply(_Collect, function(mine))

    return whole


def inputs(size: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    torch.manual_seed(5)  # the same on every rank
    return torch.randn(size, size + 1, 2, dtype=dtype, requires_grad=True)


def check_gradients(rank: int, size: int) -> None:
    for name, (function, factor) in linear_functions(rank, size).items():
        for dtype in (torch.float64, torch.complex128) if name == "sum" else (torch.float64,):
            whole = globally(function, factor)
            assert gradcheck(whole, (inputs(size, dtype),), fast_mode=True), name


def check_second_derivatives(rank: int, size: int) -> None:
    for name, (function, factor) in linear_functions(rank, size).items():
        whole = globally(function, factor, power=2)
        assert gradgradcheck(whole, (inputs(size),), fast_mode=True), name


def gradient(result: Any, x: torch.Tensor, weight: float = 1.0) -> torch.Tensor:
    x.grad = None
    torch.autograd.backward((result * weight).sum())
    assert x.grad is not None
    return x.grad


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
    with torch.no_grad():
        assert not hvd.allreduce(x).requires_grad
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
