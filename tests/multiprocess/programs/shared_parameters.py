"""One parameter in several optimizers and wrapped models: one at a time, or an error, the same on
every rank."""

from __future__ import annotations

from typing import Any

import torch
from model_case import failure
from optimizer_common import backward, case, distributed, expect, mean, parameters
from torch import nn

import farandole.torch as hvd


def refused(tensors: list[nn.Parameter], name: str, first: str, second: str) -> None:
    """A backward that two exchange."""
    text = failure(lambda: backward(tensors), hvd.InvalidArgumentError)
    wanted = f"the gradient of {name} is on its way for another {first} already, and this {second}"
    assert wanted in text and "wrap the optimizer or the model, not both" in text, text


def step(optimizer: Any, tensors: list[nn.Parameter]) -> None:
    for p in tensors:
        p.grad = None
        p.data.zero_()
    backward(tensors)
    optimizer.step()
    expect(tensors, mean())


@case
def two_optimizers_at_once() -> None:
    tensors = [nn.Parameter(torch.zeros(100_000))]
    first, second = distributed(tensors), distributed(tensors)
    refused(tensors, "p0", "DistributedOptimizer", "DistributedOptimizer")
    first.step()  # what was on its way is right
    expect(tensors, mean())
    del first, second
    step(distributed(tensors), tensors)


@case
def two_optimizers_of_which_one_has_groups() -> None:
    """The group starts last: nothing of it does where one member is on its way."""
    tensors = parameters(3)
    grouped, single = distributed(tensors, groups=1), distributed(tensors)
    text = failure(lambda: backward(tensors), hvd.InvalidArgumentError)
    assert "is on its way for another DistributedOptimizer" in text, text
    del grouped, single
    step(distributed(tensors), tensors)


@case
def optimizers_one_after_the_other() -> None:
    """The older one lives until the new one is made, as where a name is bound anew."""
    tensors = parameters()
    optimizer: Any = None
    for options in ({}, {"groups": 2}, {"op": hvd.Sum, "gradient_predivide_factor": 1.0}, {}):
        optimizer = distributed(tensors, **options)
        for p in tensors:
            p.grad = None
            p.data.zero_()
        backward(tensors)
        optimizer.step()
        expect(tensors, mean() * (hvd.size() if "op" in options else 1))
    # Gradients stay each rank's own until the step.
    several = [distributed(tensors, op=hvd.Adasum) for _ in range(2)]
    del optimizer
    for one in [*several, *several]:
        for p in tensors:
            p.data.zero_()
        one.zero_grad()
        torch.autograd.backward(
            torch.stack([p.sum() * (i + 1) for i, p in enumerate(tensors)]).sum()
        )
        one.step()
        expect(tensors, 1.0)


class Shared(nn.Module):
    """Holds parameters that others hold, too."""

    def __init__(self, tensors: list[nn.Parameter]) -> None:
        super().__init__()
        self.tensors = nn.ParameterList(tensors)

    def forward(self) -> torch.Tensor:
        parts = [((hvd.rank() + 1) * p * (i + 1)).sum() for i, p in enumerate(self.tensors)]
        return torch.stack(parts).sum()


def wrapped(tensors: list[nn.Parameter]) -> Any:
    return hvd.DistributedDataParallel(Shared(tensors))


def refused_of(model: Any, first: str, second: str) -> None:
    loss = model()
    text = failure(lambda: torch.autograd.backward(loss), hvd.InvalidArgumentError)
    wanted = f"is on its way for another {first} already, and this {second} would"
    assert wanted in text, text


def gradients_are_averages(model: Any, tensors: list[nn.Parameter]) -> None:
    for p in tensors:
        p.grad = None
    torch.autograd.backward(model())
    for i, p in enumerate(tensors):
        torch.testing.assert_close(p.grad, torch.full_like(p, mean() * (i + 1)))


@case
def the_optimizer_and_the_model() -> None:
    tensors = parameters()
    model = wrapped(tensors)
    optimizer = distributed(tensors)
    refused_of(model, "DistributedOptimizer", "DistributedDataParallel")
    del optimizer
    gradients_are_averages(model, tensors)
    optimizer = distributed(tensors)
    refused_of(model, "DistributedDataParallel", "DistributedOptimizer")
    with model.no_sync():  # the optimizer's alone
        del optimizer
        optimizer = distributed(tensors)
        for p in tensors:
            p.grad = None
        torch.autograd.backward(model())
    optimizer.step()
    expect(tensors, mean())
    del model
    step(optimizer, tensors)


@case
def the_model_and_moves_of_adasum() -> None:
    """Gradients are averages when backward ends, and equal moves one of them."""
    tensors = parameters()
    model, optimizer = wrapped(tensors), distributed(tensors, op=hvd.Adasum)
    gradients_are_averages(model, tensors)
    optimizer.step()
    expect(tensors, mean())


@case
def two_wrapped_models() -> None:
    tensors = parameters()
    first, second = wrapped(tensors), wrapped(tensors)
    gradients_are_averages(first, tensors)  # the other has yet to run
    refused_of(second, "DistributedDataParallel", "DistributedDataParallel")
    del first
    gradients_are_averages(second, tensors)
