"""Trains a small GPT on the source code of Python's standard library, as it lies on this machine.

    farandolerun -np 2 python train_gpt.py        two ranks, each with its own part of the files
    python train_gpt.py                           alone

Bytes are the tokens. A tenth of the files is held out for validation. Every rank averages its
gradients with the others while backward still runs; at the end a digest of each rank's parameters
shows that all hold the same model.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

import farandole.torch as hvd

VOCABULARY = 256  # a token is a byte


class Block(nn.Module):
    """Causal self-attention, then a two-layer perceptron, each normalised before."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.norm_perceptron = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        parts = self.query_key_value(x).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        attended: torch.Tensor = self.project(mixed.transpose(1, 2).reshape(batch, length, width))
        return attended

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attend(self.norm_attention(x))
        x = x + self.narrow(functional.gelu(self.widen(self.norm_perceptron(x))))
        return x


class GPT(nn.Module):
    def __init__(self, layers: int, width: int, heads: int, context: int) -> None:
        super().__init__()
        self.context = context
        self.tokens = nn.Embedding(VOCABULARY, width)
        self.positions = nn.Embedding(context, width)
        blocks = [Block(width, heads) for _ in range(layers)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(width)
        self.apply(self.initialise)
        for block in blocks:  # each block adds to the residual twice
            nn.init.normal_(block.project.weight, std=0.02 / math.sqrt(2 * layers))
            nn.init.normal_(block.narrow.weight, std=0.02 / math.sqrt(2 * layers))

    @staticmethod
    def initialise(module: nn.Module) -> None:
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return functional.linear(self.norm(x), self.tokens.weight)

    def loss(self, tokens: torch.Tensor) -> torch.Tensor:
        """Mean cross entropy, in nats per byte, of each next byte of (batch, context + 1)."""
        logits = self(tokens[:, :-1])
        return functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


def library_files(seed: int) -> tuple[list[Path], list[Path]]:
    """The standard library's sources for training and for validation, alike on every rank."""
    folder = Path(os.__file__).parent
    foreign = {"site-packages", "dist-packages", "test", "tests", "__pycache__"}
    files = sorted(
        path for path in folder.rglob("*.py") if not foreign & set(path.relative_to(folder).parts)
    )
    random.Random(seed).shuffle(files)
    held_out = max(1, len(files) // 10)
    return files[held_out:], files[:held_out]


def read_part(files: list[Path]) -> torch.Tensor:
    """The bytes of this rank's share of the files."""
    text = bytearray()
    for path in files[hvd.rank() :: hvd.size()]:
        text += path.read_bytes()
    return torch.frombuffer(text, dtype=torch.uint8)


def draw(text: torch.Tensor, batch: int, length: int, source: torch.Generator) -> torch.Tensor:
    starts = torch.randint(len(text) - length, (batch,), generator=source)
    return torch.stack([text[start : start + length] for start in starts.tolist()]).long()


@torch.no_grad()
def validate(model: GPT, text: torch.Tensor, batches: int, batch: int) -> float:
    """Mean loss over the same places of the held-out text whenever it is called."""
    source = torch.Generator().manual_seed(1)
    losses = [model.loss(draw(text, batch, model.context + 1, source)) for _ in range(batches)]
    return float(hvd.allreduce(torch.stack(losses).mean(), name="validation"))


@torch.no_grad()
def generate(model: GPT, prompt: str, length: int, seed: int) -> str:
    source = torch.Generator().manual_seed(seed)
    tokens = torch.tensor([list(prompt.encode())])
    for _ in range(length):
        logits = model(tokens[:, -model.context :])[0, -1] / 0.7
        likely = logits.topk(40)
        choice = torch.multinomial(functional.softmax(likely.values, dim=0), 1, generator=source)
        tokens = torch.cat([tokens, likely.indices[choice].view(1, 1)], dim=1)
    return bytes(tokens[0].tolist()).decode(errors="replace")


def digest(model: GPT) -> torch.Tensor:
    """SHA-256 over all parameters, as 32 bytes."""
    state = hashlib.sha256()
    for parameter in model.parameters():
        state.update(parameter.detach().contiguous().numpy().tobytes())
    return torch.frombuffer(bytearray(state.digest()), dtype=torch.uint8)


def learning_rate(peak: float, progress: float) -> float:
    """Up over the first twentieth, then down to a tenth along a cosine."""
    if progress < 0.05:
        return peak * max(progress / 0.05, 0.01)
    return peak * (0.55 + 0.45 * math.cos(math.pi * (progress - 0.05) / 0.95))


class Progress:
    """What rank 0 shows while it trains: in place on a terminal, else a line every few seconds."""

    def __init__(self, tokens_per_step: int) -> None:
        self.tokens_per_step = tokens_per_step
        self.in_place = sys.stdout.isatty()
        self.begin = time.perf_counter()
        self.shown = -math.inf
        self.communicating = 0.0

    def show(self, step: int, loss: float, progress: float, last: bool) -> None:
        now = time.perf_counter()
        if hvd.rank() != 0 or (now - self.shown < (0.2 if self.in_place else 5.0) and not last):
            return
        self.shown = now
        elapsed = now - self.begin
        left = elapsed * (1 - progress) / progress if progress > 0 else 0.0
        speed = step * self.tokens_per_step / elapsed
        line = (
            f"step {step:5d}   loss {loss:.3f}   {speed:7.0f} tokens/s"
            f"   communicating {100 * self.communicating / elapsed:4.1f} %   ETA {left:4.0f} s"
        )
        end = "\n" if last or not self.in_place else ""
        print(f"\r\x1b[K{line}" if self.in_place else line, end=end, flush=True)


def schedule(options: argparse.Namespace, begin: float) -> Iterator[float]:
    """This rank's view of how much of the training is done, before each step."""
    step = 0
    while True:
        done = step / options.steps if options.steps else 0.0
        spent = (time.perf_counter() - begin) / options.seconds if options.seconds else 0.0
        yield max(done, spent)
        step += 1


def train(model: GPT, text: torch.Tensor, options: argparse.Namespace) -> None:
    plain = torch.optim.AdamW(model.parameters(), lr=options.lr, betas=(0.9, 0.95))
    optimizer = hvd.DistributedOptimizer(plain, named_parameters=model.named_parameters())
    hvd.broadcast_parameters(model.state_dict(), root_rank=0)
    hvd.broadcast_optimizer_state(optimizer, root_rank=0)

    source = torch.Generator().manual_seed(options.seed + 1000 * (hvd.rank() + 1))
    report = Progress(options.batch * options.context * hvd.size())
    loss = math.nan
    for step, done in enumerate(schedule(options, report.begin)):
        # The ranks' mean, so that all have the same learning rate and end with the same step.
        before = time.perf_counter()
        shared = hvd.allreduce(torch.tensor([done, loss], dtype=torch.float64), name="progress")
        report.communicating += time.perf_counter() - before
        progress, mean_loss = min(1.0, float(shared[0])), float(shared[1])
        if step:
            report.show(step, mean_loss, progress, last=progress >= 1)
        if progress >= 1:
            return
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(options.lr, progress)

        optimizer.zero_grad()
        batch_loss = model.loss(draw(text, options.batch, options.context + 1, source))
        batch_loss.backward()  # hooks start to average each gradient as soon as it is there
        before = time.perf_counter()
        optimizer.synchronize()
        report.communicating += time.perf_counter() - before
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        with optimizer.skip_synchronize():
            optimizer.step()
        loss = float(batch_loss.detach())


def compare_digests(model: GPT) -> bool:
    """Prints every rank's digest; true when all are the same."""
    digests = hvd.allgather(digest(model).view(1, -1), name="digest")
    same = bool((digests == digests[0]).all())
    if hvd.rank() == 0:
        for rank, row in enumerate(digests):
            print(f"parameters of rank {rank}: {bytes(row.tolist()).hex()}")
        print("all ranks hold the same parameters" if same else "the ranks' parameters DIFFER")
    return same


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    limit = parser.add_argument_group("how long (whichever comes first)")
    limit.add_argument(
        "--seconds", type=float, help="seconds of training (default 120 without --steps)"
    )
    limit.add_argument("--steps", type=int, help="steps of training")
    size = parser.add_argument_group("the model")
    size.add_argument("--layers", type=int, default=6, help="blocks (default 6)")
    size.add_argument("--width", type=int, default=192, help="width of a token (default 192)")
    size.add_argument("--heads", type=int, default=6, help="attention heads (default 6)")
    size.add_argument("--context", type=int, default=128, help="bytes seen at once (default 128)")
    how = parser.add_argument_group("training")
    how.add_argument("--batch", type=int, default=8, help="sequences per rank and step (default 8)")
    how.add_argument("--lr", type=float, default=2e-3, help="highest learning rate (default 0.002)")
    how.add_argument("--seed", type=int, default=1, help="seed of everything random (default 1)")
    how.add_argument("--validation", type=int, default=16, help="validation batches (default 16)")
    how.add_argument(
        "--sample", type=int, default=400, help="bytes of text to generate (default 400)"
    )
    how.add_argument(
        "--quick", action="store_true", help="a tiny model for a few steps: does it run?"
    )
    options = parser.parse_args(arguments)
    if options.quick:
        options.layers, options.width, options.heads, options.context = 2, 64, 2, 64
        options.steps, options.validation, options.sample = options.steps or 30, 4, 60
    if options.seconds is None and options.steps is None:
        options.seconds = 120.0
    for name in ("seconds", "steps", "layers", "width", "heads", "context", "batch", "validation"):
        value = getattr(options, name)
        if value is not None and value <= 0:
            parser.error(f"--{name} {value}: more than 0 is wanted")
    if options.width % options.heads:
        parser.error(f"--width {options.width} is not a multiple of --heads {options.heads}")
    return options


def main() -> int:
    options = parse(sys.argv[1:])
    hvd.init()
    leader = hvd.rank() == 0
    torch.manual_seed(options.seed)
    model = GPT(options.layers, options.width, options.heads, options.context)
    training, validation = library_files(options.seed)
    text, held_out = read_part(training), read_part(validation)
    if leader:
        millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
        threads = torch.get_num_threads()
        print(f"{hvd.size()} ranks, {threads} threads each; {millions:.1f} M parameters")
        print(f"{len(training)} files to train on, {len(validation)} held out", flush=True)

    before = validate(model, held_out, options.validation, options.batch)
    if leader:
        print(f"validation loss before: {before:.3f} nats per byte", flush=True)
    train(model, text, options)
    after = validate(model, held_out, options.validation, options.batch)
    if leader:
        print(f"validation loss after: {after:.3f} nats per byte")
        print(f"--- a sample\n{generate(model, 'def ', options.sample, options.seed)}\n---")
    same = compare_digests(model)
    hvd.shutdown()
    return 0 if same and after < before else 1


if __name__ == "__main__":
    sys.exit(main())
