"""Training a model that calls a collective, compiled to machine code, against the same without."""

from __future__ import annotations

import copy
from typing import Any

import torch
from common import report
from torch import nn
from torch._dynamo.utils import counters

import farandole.torch as hvd

STEPS = 2


class Centred(nn.Module):
    """Its graph ends where the ranks meet, and goes on behind."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 3)
        self.last = nn.Linear(3, 1)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        hidden = torch.tanh(self.first(batch))
        hidden = hidden - hvd.allreduce(hidden.mean(0), name="mean")
        loss: torch.Tensor = self.last(hidden).pow(2).sum()
        return loss


def batch(step: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(10 * step + hvd.rank())
    return torch.rand(5, 4, generator=generator, dtype=torch.float64)


def train(model: Any, kind: str) -> list[torch.Tensor]:
    """The losses of its steps."""
    named = [(f"{kind}.{name}", value) for name, value in model.named_parameters()]
    optimizer = hvd.DistributedOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), named)
    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = model(batch(step))
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return losses


def main() -> None:
    hvd.init()
    torch.set_num_threads(1)
    torch.manual_seed(4)
    plain = Centred().double()
    model = copy.deepcopy(plain)
    losses = train(torch.compile(model, backend="inductor"), "compiled")
    torch.testing.assert_close(losses, train(plain, "plain"))
    torch.testing.assert_close(model.state_dict(), plain.state_dict())
    same = hvd.allgather_object([value.tolist() for value in model.state_dict().values()])
    assert all(state == same[0] for state in same), same
    report(hvd.rank(), graphs=counters["stats"]["unique_graphs"])
    hvd.shutdown()


main()
