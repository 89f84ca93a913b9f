"""Models and optimizers that outlive their session: alone first, then with all ranks, then after a
session that ended between backward and step, then alone again."""

from __future__ import annotations

import os
import sys
from typing import Any

import torch
from common import report

import farandole.torch as hvd

WRAPPED = sys.argv[1]  # "optimizer", "adasum" or "model"


def begin(alone: bool) -> None:
    hvd.init(settings={"rank": "0", "size": "1"} if alone else {})


def made() -> tuple[torch.nn.Module, Any]:
    model: torch.nn.Module = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.zeros_(next(model.parameters()))
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=1.0)
    if WRAPPED == "model":
        return hvd.DistributedDataParallel(model), optimizer
    op = hvd.Adasum if WRAPPED == "adasum" else hvd.Average
    named = model.named_parameters()
    return model, hvd.DistributedOptimizer(optimizer, named_parameters=named, op=op)


def backward(model: torch.nn.Module, own: int) -> None:
    model(torch.full((1, 2), float(own))).sum().backward()


def moved(model: torch.nn.Module, optimizer: Any, own: int) -> float:
    """By how much a step moves each weight down."""
    (weight,) = model.parameters()
    before = weight.detach().clone()
    optimizer.zero_grad()
    backward(model, own)
    optimizer.step()
    (by,) = set((before - weight.detach()).flatten().tolist())
    return float(by)


def main() -> None:
    own = 1 + int(os.environ["FARANDOLE_RANK"])
    begin(alone=True)
    model, optimizer = made()
    steps = [moved(model, optimizer, own)]
    hvd.shutdown()
    begin(alone=False)
    rank, size = hvd.rank(), hvd.size()
    steps += [moved(model, optimizer, own), moved(model, optimizer, own)]
    optimizer.zero_grad()
    backward(model, own)
    hvd.barrier()  # nobody leaves while another one is still in its backward
    hvd.shutdown()
    begin(alone=False)
    steps += [moved(model, optimizer, own), moved(model, optimizer, own)]
    backward(model, own)
    hvd.barrier()  # nobody leaves while another one is still in its backward
    hvd.shutdown()
    begin(alone=True)
    steps.append(moved(model, optimizer, own))
    hvd.shutdown()
    report(rank, size=size, steps=steps)


main()
