"""Digits, by logistic regression: what Adasum is for. Steps on all ranks at once, with the learning
rate of one, take the loss as far as one rank that goes through all data by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import report
from torch import nn

import farandole.torch as hvd

DATA = Path(__file__).resolve().parents[3] / "examples/data/digits.csv.gz"
BATCH, EPOCHS = 8, 3


def train(ranks: int, wrap: Any) -> float:
    """The loss of all images; this rank's batches are its own of `ranks`."""
    table = torch.from_numpy(np.loadtxt(DATA, delimiter=",", dtype=np.float32))
    images, digits = table[:, :64] / 16, table[:, 64].long()
    torch.manual_seed(0)
    model = nn.Linear(64, 10)
    optimizer = wrap(torch.optim.SGD(model.parameters(), lr=0.5))
    chance = torch.Generator().manual_seed(1)
    for _ in range(EPOCHS):
        order = torch.randperm(len(images), generator=chance)
        for first in range(0, len(images) - BATCH * ranks + 1, BATCH * ranks):
            begin = first + BATCH * (hvd.rank() % ranks)
            chosen = order[begin : begin + BATCH]
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(images[chosen]), digits[chosen])
            torch.autograd.backward(loss)
            optimizer.step()
    with torch.no_grad():
        return float(nn.functional.cross_entropy(model(images), digits))


def main() -> None:
    hvd.init()
    torch.set_num_threads(1)
    size = hvd.size()
    losses = {
        "adasum": train(size, lambda o: hvd.DistributedOptimizer(o, op=hvd.Adasum)),
        "average": train(size, hvd.DistributedOptimizer),
    }
    if hvd.rank() == 0:
        losses["one"] = train(1, lambda optimizer: optimizer)
    report(hvd.rank(), **losses)
    hvd.shutdown()


main()
