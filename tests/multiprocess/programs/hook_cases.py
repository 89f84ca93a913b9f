"""Hooks of the program's own beside ours, and what a broadcast of buffers leaves of a graph."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from model_case import case, failure
from torch import nn

import farandole.torch as hvd


def mean() -> float:
    """Of r + 1 over the ranks."""
    return (hvd.size() + 1) / 2


def backward(model: Any) -> None:
    """Gradients of the weight are r + 1 on rank r."""
    torch.autograd.backward(((hvd.rank() + 1) * model(torch.ones(1, 3))).sum())


def trained(wrap: Callable[[nn.Module], tuple[Any, Any]], hook: Callable[[Any], Any]) -> Any:
    """One step, of a model to whose weight the program gives a hook before it is wrapped."""
    model = nn.Linear(3, 1, bias=False)
    nn.init.zeros_(model.weight)
    model.weight.register_post_accumulate_grad_hook(hook)
    wrapped, optimizer = wrap(model)
    backward(wrapped)
    optimizer.step()
    return model.weight.detach()


def by_optimizer(model: nn.Module) -> tuple[Any, Any]:
    sgd = torch.optim.SGD(model.parameters(), lr=1.0)
    return model, hvd.DistributedOptimizer(sgd, model.named_parameters())


def by_wrapper(model: nn.Module) -> tuple[Any, Any]:
    return hvd.DistributedDataParallel(model), torch.optim.SGD(model.parameters(), lr=1.0)


@case
def hooks_that_return_something() -> None:
    """Which torch gives to the hooks behind them, in the parameter's place, before it says so."""
    for wrap in (by_optimizer, by_wrapper):
        text = failure(partial(trained, wrap, lambda p: p.grad.mul_(3)), RuntimeError)
        assert "hooks should return None" in text, text


@case
def hooks_that_change_the_gradient() -> None:
    def scale(p: torch.Tensor) -> None:
        cast(torch.Tensor, p.grad).mul_(3)

    for wrap in (by_optimizer, by_wrapper):
        torch.testing.assert_close(trained(wrap, scale), torch.full((1, 3), -3 * mean()))


@case
def hooks_that_take_the_gradient() -> None:
    def take(p: torch.Tensor) -> None:
        p.grad = None

    kinds: list[tuple[Any, type[Exception]]] = [
        (by_optimizer, AssertionError),
        (by_wrapper, hvd.InvalidArgumentError),
    ]
    for wrap, kind in kinds:
        assert failure(partial(trained, wrap, take), kind) == (
            "the gradient of weight is gone (None) before it could be exchanged: a hook of the "
            "program's clears it during backward; let it be until the step"
        )


@case
def hooks_that_take_what_is_not_exchanged() -> None:
    model = nn.Linear(3, 1, bias=False)
    handle = model.weight.register_post_accumulate_grad_hook(lambda p: setattr(p, "grad", None))
    wrapped = hvd.DistributedDataParallel(model)
    with wrapped.no_sync():
        backward(wrapped)
    handle.remove()
    backward(wrapped)
    torch.testing.assert_close(model.weight.grad, torch.full((1, 3), mean()))


def optimizer_of(tensors: list[nn.Parameter], **options: Any) -> Any:
    named = [(f"p{i}", p) for i, p in enumerate(tensors)]
    return hvd.DistributedOptimizer(torch.optim.SGD(tensors, lr=1.0), named, **options)


def step_with_parts(tensors: list[nn.Parameter], optimizer: Any, passes: int) -> None:
    """Gradients r + 1 on rank r, of each pass."""
    for p in tensors:
        p.data.zero_()
    for _ in range(passes):
        torch.autograd.backward((hvd.rank() + 1) * torch.cat(tuple(tensors)).sum())
    optimizer.step()
    for p in tensors:
        torch.testing.assert_close(p.detach(), torch.full((2,), -passes * mean()))


@case
def gradients_that_are_parts_of_one_tensor() -> None:
    """Backward adds to one part while the other travels, and nothing of that is changed."""
    tensors = [nn.Parameter(torch.zeros(2)) for _ in range(3)]
    optimizer = optimizer_of(tensors, backward_passes_per_step=2)
    for _ in range(2):
        optimizer.zero_grad()
        step_with_parts(tensors, optimizer, 2)
    del optimizer
    optimizer, flat = optimizer_of(tensors), torch.zeros(6)
    for p, part in zip(tensors, flat.split(2), strict=True):
        p.grad = part
    for _ in range(2):
        flat.zero_()
        step_with_parts(tensors, optimizer, 1)
    torch.testing.assert_close(flat, torch.full((6,), mean()))
    flat.zero_()
    torch.autograd.backward(torch.cat(tuple(tensors)).sum())
    tensors[1].grad = torch.zeros(2)
    text = failure(optimizer.step, AssertionError)
    assert text.startswith("the gradient of p1 was changed while it was exchanged"), text


class Masked(nn.Module):
    """Of one buffer, which backward needs."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(size))
        self.mask: torch.Tensor
        self.register_buffer("mask", torch.full((size,), float(hvd.rank())))

    def forward(self) -> torch.Tensor:
        return (self.weight * self.mask).sum()


@case
def one_buffer_alone_may_change_before_backward() -> None:
    """As several may, which travel together; a graph learns of neither."""
    model = Masked(3)
    wrapped: Any = hvd.DistributedDataParallel(model)
    model.mask.fill_(1)
    total = wrapped() + wrapped()
    torch.autograd.backward(total)
    torch.testing.assert_close(model.weight.grad, torch.full((3,), 2.0))


@case
def quantized_tensors_are_refused() -> None:
    """Their bytes are not all that there is of them."""
    parameters = {"w": torch.zeros(3), "q": torch._empty_affine_quantized([3], dtype=torch.qint8)}
    text = failure(lambda: hvd.broadcast_parameters(parameters, 0), hvd.InvalidArgumentError)
    assert text.startswith("params: q: a quantized tensor cannot be communicated in place"), text


@case
def another_default_device() -> None:
    """What is made here on the way lies in the memory of the CPU nevertheless."""
    table = nn.Embedding(4, 3, sparse=True)
    model = nn.Sequential(table, nn.Linear(3, 3, bias=False))
    norm, wrapped = hvd.SyncBatchNorm(3), hvd.DistributedDataParallel(nn.Linear(3, 1))
    own, rows = torch.tensor([hvd.rank() % 4]), torch.ones(hvd.rank() + 1, 3, requires_grad=True)
    ones, eye = torch.ones(2, 3), torch.eye(2).to_sparse()
    with torch.device("meta"):
        hvd.broadcast_parameters(model.state_dict(), 0)
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        distributed = hvd.DistributedOptimizer(optimizer, model.named_parameters())
        norm(model(own)).sum().backward()
        distributed.step()
        wrapped(model(own).detach()).sum().backward()
        hvd.allgather(rows).sum().backward()
        splits = [hvd.rank() + 1] * hvd.size()
        received = hvd.alltoall(ones[:1].expand(sum(splits), 3), splits)[1]
        samples = [*hvd.DistributedSampler(range(2 * hvd.size()))]
        total = hvd.sparse_allreduce_async(eye, "eye", hvd.Sum).wait().to_dense()
    assert rows.grad is not None and torch.equal(rows.grad, torch.ones_like(rows))
    assert received.tolist() == [rank + 1 for rank in range(hvd.size())]
    assert torch.equal(total, hvd.size() * torch.eye(2))
    assert len(samples) == 2
    weights = hvd.allgather(table.weight.detach()[None])
    assert torch.equal(weights[0], weights[-1]) and bool(weights.isfinite().all())
