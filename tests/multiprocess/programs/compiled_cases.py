"""Training under torch.compile against the same without: graphs end where ranks meet, and nothing
of what happens there is recorded."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import torch
from model_case import case
from torch import nn

import farandole.torch as hvd


def models() -> list[Any]:
    """Twice the same."""
    torch.manual_seed(4)
    plain = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Tanh(), nn.Linear(3, 1))
    model = hvd.SyncBatchNorm.convert_sync_batchnorm(plain.double())
    return [model, copy.deepcopy(model)]


def batch(step: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(10 * step + hvd.rank())
    return torch.rand(3, 4, generator=generator, dtype=torch.float64)


def whole_step(model: Any) -> Callable[[torch.Tensor], Any]:
    optimizer = hvd.DistributedOptimizer(
        torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), model.named_parameters()
    )

    def train(inputs: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss: torch.Tensor = model(inputs).pow(2).mean()
        torch.autograd.backward(loss)
        optimizer.step()
        mean: torch.Tensor = hvd.synchronize(hvd.allreduce_async(loss.detach()))
        return mean * hvd.size()

    return train


def wrapped_step(model: Any) -> Callable[[torch.Tensor], Any]:
    """The model alone is compiled, by the one who calls."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def train(inputs: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss: torch.Tensor = model(inputs).pow(2).mean()
        torch.autograd.backward(loss)
        optimizer.step()
        return loss.detach()

    return train


def same_steps(
    compiled: Callable[[torch.Tensor], Any], plain: Callable[[torch.Tensor], Any]
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(2):
            torch.testing.assert_close(compiled(batch(step)), plain(batch(step)))
    traced = [str(one.message) for one in caught if "know how to trace" in str(one.message)]
    assert traced == [], "the compiler looked into this package"


@case
def a_whole_step_is_compiled() -> None:
    model, other = models()
    same_steps(torch.compile(whole_step(model), backend="eager"), whole_step(other))
    for own, one in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(own, one)


@case
def a_wrapped_model_is_compiled() -> None:
    """With a backward that was compiled, too, whose gradients the hooks see as they do others."""
    model, other = map(hvd.DistributedDataParallel, models())
    compiled: Any = torch.compile(model, backend="aot_eager")
    same_steps(wrapped_step(compiled), wrapped_step(other))
    for own, one in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(own, one)
