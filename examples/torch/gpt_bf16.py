"""A GPT that computes and communicates in bfloat16, adds up gradients over several passes and clips
them, written as a script for Horovod is.

    farandolerun -np 2 python gpt_bf16.py
"""

from __future__ import annotations

import argparse
import hashlib
import random
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

import farandole.torch as hvd

CONTEXT = 32
WIDTH = 32


class GPT(nn.Module):
    """Bytes are the tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(256, WIDTH)
        self.places = nn.Parameter(torch.zeros(CONTEXT, WIDTH))
        layer = nn.TransformerEncoderLayer(
            WIDTH, 4, 4 * WIDTH, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, 256)
        self.mask: torch.Tensor
        mask = nn.Transformer.generate_square_subsequent_mask(CONTEXT)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        hidden = self.tokens(tokens) + self.places
        scores: torch.Tensor = self.head(self.blocks(hidden, mask=self.mask, is_causal=True))
        return scores


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--passes", type=int, default=2, help="backward passes of a step")
    parser.add_argument("--batch", type=int, default=8, help="of a pass on each rank")
    arguments = parser.parse_args()

    hvd.init()
    torch.manual_seed(1)
    torch.set_num_threads(1)

    text = torch.tensor(list(Path(random.__file__).read_bytes()))
    chance = torch.Generator().manual_seed(hvd.rank())  # each rank reads elsewhere

    model = GPT()
    hvd.broadcast_parameters(model.state_dict(), root_rank=0)
    optimizer = hvd.DistributedOptimizer(
        torch.optim.AdamW(model.parameters(), lr=3e-3),
        named_parameters=model.named_parameters(),
        compression=hvd.Compression.bf16,
        backward_passes_per_step=arguments.passes,
    )

    for step in range(arguments.steps):
        optimizer.zero_grad()
        total = 0.0
        for _ in range(arguments.passes):
            starts = torch.randint(len(text) - CONTEXT, (arguments.batch, 1), generator=chance)
            window = text[starts + torch.arange(CONTEXT + 1)]
            with torch.autocast("cpu", dtype=torch.bfloat16):
                scores = model(window[:, :-1])
            loss = functional.cross_entropy(scores.float().flatten(0, 1), window[:, 1:].flatten())
            (loss / arguments.passes).backward()
            total += loss.item() / arguments.passes
        optimizer.synchronize()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        with optimizer.skip_synchronize():
            optimizer.step()
        total = hvd.allreduce(torch.tensor(total), name="loss").item()
        if hvd.rank() == 0 and (step % 10 == 0 or step + 1 == arguments.steps):
            print(f"step {step}: loss {total:.3f}, gradients of norm {norm:.2f}")

    held = b"".join(p.detach().numpy().tobytes() for p in model.parameters())
    digests = hvd.allgather_object(hashlib.sha256(held).hexdigest())
    if hvd.rank() == 0 and len(set(digests)) == 1:
        print("all ranks hold the same parameters")


if __name__ == "__main__":
    main()
