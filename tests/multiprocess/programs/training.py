"""Trains a small network for 50 steps; the batch of a step is split over the ranks.

A script as Horovod's users have it: run it with python -m farandole.horovod.
"""

from __future__ import annotations

import sys

import horovod
import horovod.torch as hvd
import torch
from common import report
from horovod.torch.mpi_ops import allreduce
from torch import nn

STEPS = 50
BATCH = 16


def optimizer_of(kind: str, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    if kind == "adamw":
        return torch.optim.AdamW(parameters, lr=1e-3)
    return torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=1e-3)


def train(dtype: torch.dtype, kind: str) -> dict[str, list[float]]:
    torch.manual_seed(hvd.rank())  # ranks begin apart, and are brought together
    model = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 16), nn.Tanh())
    model.append(nn.Linear(16, 1))
    if hvd.rank() == 0:
        torch.manual_seed(7)
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.3)
    model = model.to(dtype)
    optimizer = optimizer_of(kind, list(model.parameters()))
    optimizer = hvd.DistributedOptimizer(optimizer, named_parameters=model.named_parameters())
    hvd.broadcast_parameters(model.state_dict(), root_rank=0)
    hvd.broadcast_optimizer_state(optimizer, root_rank=0)

    data = torch.Generator().manual_seed(1)
    share = BATCH // hvd.size()
    losses = []
    for _ in range(STEPS):
        inputs = torch.randn(BATCH, 10, generator=data, dtype=torch.float64).to(dtype)
        targets = inputs.sin().sum(1, keepdim=True)
        mine = slice(hvd.rank() * share, (hvd.rank() + 1) * share)
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs[mine]), targets[mine])
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(allreduce(loss.detach().double(), name="loss").item())
    weights = torch.cat([p.detach().double().flatten() for p in model.parameters()])
    return {"losses": losses, "weights": weights.tolist()}


def main() -> None:
    hvd.init()
    torch.set_num_threads(1)
    for dtype in ("float64", "float32"):
        for kind in ("sgd", "adamw"):
            report(hvd.rank(), **{f"{dtype}.{kind}": train(getattr(torch, dtype), kind)})
    served = sorted(name for name in sys.modules if name.startswith("horovod"))
    report(hvd.rank(), version=horovod.__version__, arguments=sys.argv[1:], served=served)


main()
