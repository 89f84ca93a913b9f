"""Classifies handwritten digits, written as a script for Horovod is.

farandolerun -np 2 python digits.py
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

import farandole.torch as hvd

DATA = Path(__file__).resolve().parents[1] / "data/digits.csv.gz"
HELD_OUT = 297  # of 1797 images, to measure with


def read() -> tuple[TensorDataset, torch.Tensor, torch.Tensor]:
    """What is trained on; images to measure with, and their digits."""
    table = torch.from_numpy(np.loadtxt(DATA, delimiter=",", dtype=np.float32))
    images, digits = table[:, :64].view(-1, 1, 8, 8) / 16, table[:, 64].long()
    return TensorDataset(images[HELD_OUT:], digits[HELD_OUT:]), images[:HELD_OUT], digits[:HELD_OUT]


def metric_average(value: torch.Tensor, name: str) -> float:
    return hvd.allreduce(value.float(), name=name).item()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch", type=int, default=32)
    arguments = parser.parse_args()

    hvd.init()
    torch.manual_seed(1)
    torch.set_num_threads(1)

    dataset, images, digits = read()
    sampler: DistributedSampler[tuple[torch.Tensor, ...]] = DistributedSampler(
        dataset, num_replicas=hvd.size(), rank=hvd.rank()
    )
    loader = DataLoader(dataset, batch_size=arguments.batch, sampler=sampler)

    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10)
    )
    plain = torch.optim.SGD(model.parameters(), lr=0.05 * hvd.size(), momentum=0.5)
    hvd.broadcast_parameters(model.state_dict(), root_rank=0)
    hvd.broadcast_optimizer_state(plain, root_rank=0)
    optimizer = hvd.DistributedOptimizer(
        plain, named_parameters=model.named_parameters(), compression=hvd.Compression.fp16
    )

    for epoch in range(arguments.epochs):
        sampler.set_epoch(epoch)
        for batch, wanted in loader:
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(batch), wanted)
            loss.backward()
            optimizer.step()
        mine = slice(hvd.rank(), None, hvd.size())
        with torch.no_grad():
            hits = (model(images[mine]).argmax(1) == digits[mine]).float().mean()
        accuracy = metric_average(hits, "accuracy")
        if hvd.rank() == 0:
            print(f"epoch {epoch}: accuracy {accuracy:.3f}")

    held = b"".join(p.detach().numpy().tobytes() for p in model.parameters())
    digests = hvd.allgather_object(hashlib.sha256(held).hexdigest())
    if hvd.rank() == 0 and len(set(digests)) == 1:
        print("all ranks hold the same parameters")


if __name__ == "__main__":
    main()
