"""Learns which words stand beside each other, with embeddings whose gradients are sparse, written
as a script for Horovod is: ranks exchange the rows of the words that they met, not the whole table.

    farandolerun -np 2 python words.py
"""

from __future__ import annotations

import argparse
import argparse as subject  # whose source is read
import hashlib
import re
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

import farandole.torch as hvd

BATCH = 256  # pairs on each rank


class Neighbours(nn.Module):
    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        self.left = nn.Embedding(words, width, sparse=True)
        self.right = nn.Embedding(words, width, sparse=True)
        for table in (self.left, self.right):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = (self.left(left) * self.right(right)).sum(-1)
        return scores


def read() -> tuple[torch.Tensor, int]:
    """The text as numbers, and how many words there are."""
    words = re.findall(r"[a-z]+", Path(subject.__file__).read_text().lower())
    numbers = {word: i for i, word in enumerate(sorted(set(words)))}
    return torch.tensor([numbers[word] for word in words]), len(numbers)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--width", type=int, default=16)
    arguments = parser.parse_args()

    hvd.init()
    torch.manual_seed(1)
    torch.set_num_threads(1)

    text, words = read()
    share = len(text) // hvd.size()
    text = text[hvd.rank() * share : (hvd.rank() + 1) * share]  # each rank reads its part
    chance = torch.Generator().manual_seed(hvd.rank())

    model = Neighbours(words, arguments.width)
    hvd.broadcast_parameters(model.state_dict(), root_rank=0)
    optimizer = hvd.DistributedOptimizer(
        torch.optim.SparseAdam(list(model.parameters()), lr=0.05),
        named_parameters=model.named_parameters(),
    )

    for step in range(arguments.steps):
        places = torch.randint(len(text) - 1, (BATCH,), generator=chance)
        left, right = text[places], text[places + 1]
        others = torch.randint(words, (BATCH,), generator=chance)
        optimizer.zero_grad()
        beside, apart = model(left, right), model(left, others)
        loss = -(functional.logsigmoid(beside) + functional.logsigmoid(-apart)).mean()
        loss.backward()
        optimizer.step()
        average = hvd.allreduce(loss.detach(), name="loss").item()
        if hvd.rank() == 0 and (step % 20 == 0 or step + 1 == arguments.steps):
            print(f"step {step}: loss {average:.3f}")

    held = b"".join(p.detach().numpy().tobytes() for p in model.parameters())
    digests = hvd.allgather_object(hashlib.sha256(held).hexdigest())
    if hvd.rank() == 0 and len(set(digests)) == 1:
        print("all ranks hold the same parameters")


if __name__ == "__main__":
    main()
