"""Collectives as differentiable functions.

Gradients are Horovod's: that of a gathered or broadcast tensor is averaged over the ranks, that of
a reduced one is reduced alike.
"""

from __future__ import annotations

from typing import Any

import torch

from farandole import _session
from farandole.errors import UnsupportedError
from farandole.process_sets import ProcessSet
from farandole.reduce_ops import Average, ReduceOp, Sum
from farandole.torch import groups, ops


def wanted(tensor: torch.Tensor) -> bool:
    """Whether a gradient will be asked for."""
    return torch.is_grad_enabled() and getattr(tensor, "requires_grad", False)


def apply(function: type[torch.autograd.Function], *arguments: Any) -> Any:
    """The function's result, as part of the graph."""
    return function.apply(*arguments)


def _gradient_name(name: str | None) -> str | None:
    return f"{name}.gradient" if name else None


def _check_linear(op: int) -> None:
    if op not in (Sum, Average):
        raise UnsupportedError(f"the gradient of op={ReduceOp(op)!r} is not supported")


class Allreduce(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        tensor: torch.Tensor,
        name: str | None,
        op: int,
        prescale: float,
        postscale: float,
        process_set: ProcessSet,
    ) -> torch.Tensor:
        ctx.arguments = (_gradient_name(name), op, prescale, postscale, process_set)
        result: torch.Tensor = ops.allreduce_async(
            tensor, None, name, op, prescale, postscale, process_set
        ).wait()
        return result

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        _check_linear(ctx.arguments[1])
        reduced = ops.allreduce_async(gradient, None, *ctx.arguments).wait()
        return reduced, None, None, None, None, None


class GroupedAllreduce(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        name: str | None,
        op: int,
        prescale: float,
        postscale: float,
        process_set: ProcessSet,
        *tensors: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        ctx.arguments = (_gradient_name(name), op, prescale, postscale, process_set)
        handle = groups.grouped_allreduce_async(
            tensors, None, name, op, prescale, postscale, process_set
        )
        return tuple(handle.wait())

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        _check_linear(ctx.arguments[1])
        reduced = groups.grouped_allreduce_async(gradients, None, *ctx.arguments).wait()
        return (None, None, None, None, None, *reduced)


class Allgather(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, tensor: torch.Tensor, name: str | None, process_set: ProcessSet
    ) -> torch.Tensor:
        ctx.arguments = (_gradient_name(name), process_set)
        ctx.rows = tensor.shape[0]
        result: torch.Tensor = ops.allgather_async(tensor, name, process_set).wait()
        return result

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        """Every rank needs its own rows of all ranks' gradients: an alltoall, summed here."""
        name, process_set = ctx.arguments
        counts = ops.allgather_async(
            torch.tensor([ctx.rows]), f"{name}.rows" if name else None, process_set
        ).wait()
        rows, _ = ops.alltoall_async(gradient, counts, name, process_set).wait()
        size = _session.size()
        averaged = rows.view(size, ctx.rows, *gradient.shape[1:]).sum(0) / size
        return averaged, None, None


class Broadcast(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, tensor: torch.Tensor, root_rank: int, name: str | None, process_set: ProcessSet
    ) -> torch.Tensor:
        ctx.arguments = (_gradient_name(name), process_set)
        ctx.root_rank = root_rank
        result: torch.Tensor = ops.broadcast_async(tensor, root_rank, name, process_set).wait()
        return result

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        name, process_set = ctx.arguments
        reduced = ops.allreduce_async(gradient, None, name, Average, process_set=process_set).wait()
        if _session.rank() != ctx.root_rank:
            reduced.zero_()
        return reduced, None, None, None


class Alltoall(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, tensor: torch.Tensor, splits: Any, name: str | None, process_set: ProcessSet
    ) -> tuple[torch.Tensor, torch.Tensor]:
        handle = ops.alltoall_async(tensor, splits, name, process_set)
        if splits is None:
            size = _session.size()
            output = handle.wait()
            received = torch.full((size,), tensor.shape[0] // size, dtype=torch.int32)
        else:
            output, received = handle.wait()
        ctx.arguments = (received, _gradient_name(name), process_set)
        ctx.mark_non_differentiable(received)
        return output, received

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor, _: torch.Tensor) -> Any:
        returned, _ = ops.alltoall_async(gradient, *ctx.arguments).wait()
        return returned, None, None, None


class Reducescatter(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        tensor: torch.Tensor,
        name: str | None,
        op: int,
        process_set: ProcessSet,
        prescale: float,
        postscale: float,
    ) -> torch.Tensor:
        ctx.arguments = (_gradient_name(name), process_set)
        ctx.op = op
        ctx.factor = prescale * postscale * (_session.size() if op == Sum else 1)
        result: torch.Tensor = ops.reducescatter_async(
            tensor, name, op, process_set, prescale, postscale
        ).wait()
        return result

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        _check_linear(ctx.op)
        gathered = ops.allgather_async(gradient * ctx.factor, *ctx.arguments).wait()
        return gathered, None, None, None, None, None
