"""Finds squares in noisy images, with batches so small that batch normalisation needs those of all
ranks, written as a script for Horovod is.

    farandolerun -np 2 python squares.py
"""

from __future__ import annotations

import argparse
import hashlib

import torch
from torch import nn
from torch.nn import functional

import farandole.torch as hvd

EXTENT = 12


def block(before: int, after: int) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
    return nn.Sequential(convolution, hvd.SyncBatchNorm(after), nn.ReLU())


def images(count: int, chance: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise of any brightness with a brighter square, and where the squares are."""
    where = torch.zeros(count, 1, EXTENT, EXTENT)
    for i in range(count):
        top, left = torch.randint(EXTENT - 4, (2,), generator=chance).tolist()
        where[i, 0, top : top + 4, left : left + 4] = 1
    brightness = torch.rand(count, 1, 1, 1, generator=chance) * 4
    return torch.randn(where.shape, generator=chance) * 0.3 + where + brightness, where


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch", type=int, default=2, help="images on each rank")
    arguments = parser.parse_args()

    hvd.init()
    torch.manual_seed(1)
    torch.set_num_threads(1)
    chance = torch.Generator().manual_seed(hvd.rank())

    model = nn.Sequential(block(1, 8), block(8, 8), nn.Conv2d(8, 1, 1))
    hvd.broadcast_parameters(model.state_dict(), root_rank=0)
    optimizer = hvd.DistributedOptimizer(
        torch.optim.Adam(model.parameters(), lr=0.02),
        named_parameters=model.named_parameters(),
        groups=1,
    )

    for step in range(arguments.steps):
        seen, where = images(arguments.batch, chance)
        optimizer.zero_grad()
        loss = functional.binary_cross_entropy_with_logits(model(seen), where)
        loss.backward()
        optimizer.step()
        average = hvd.allreduce(loss.detach(), name="loss").item()
        if hvd.rank() == 0 and (step % 20 == 0 or step + 1 == arguments.steps):
            print(f"step {step}: loss {average:.3f}")

    # Running statistics are those of all ranks, too.
    held = b"".join(t.numpy().tobytes() for t in model.state_dict().values())
    digests = hvd.allgather_object(hashlib.sha256(held).hexdigest())
    if hvd.rank() == 0 and len(set(digests)) == 1:
        print("all ranks hold the same parameters")


if __name__ == "__main__":
    main()
