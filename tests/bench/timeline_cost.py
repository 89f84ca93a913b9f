"""What recording a timeline costs: steps with and without one take turns in one job, and their
medians are compared pair by pair (`make timeline-cost`).

    farandolerun -np 2 python tests/bench/timeline_cost.py [--pairs 30]

gpt: a training step of examples/torch/train_gpt.py's model. tiny: 1000 allreduces of 1 KiB, bare.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

import farandole.torch as hvd

sys.path.append(str(Path(__file__).resolve().parents[2] / "examples/torch"))

TENSORS = 1000


def gpt_step() -> Callable[[], None]:
    from train_gpt import GPT

    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = GPT(layers=4, width=128, heads=4, context=64)
    optimizer = hvd.DistributedOptimizer(
        torch.optim.AdamW(model.parameters()), named_parameters=model.named_parameters()
    )
    hvd.broadcast_parameters(model.state_dict(), root_rank=0)
    tokens = torch.randint(256, (8, 65))

    def step() -> None:
        optimizer.zero_grad()
        model.loss(tokens).backward()
        optimizer.step()

    return step


def tiny_step() -> Callable[[], None]:
    tensors = [torch.ones(256) for _ in range(TENSORS)]

    def step() -> None:
        handles = [
            hvd.allreduce_async_(tensor, name=f"tiny/{number}", op=hvd.Max)
            for number, tensor in enumerate(tensors)
        ]
        for handle in handles:
            hvd.synchronize(handle)

    return step


def median_of(step: Callable[[], None], count: int) -> float:
    hvd.barrier()
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def measure(name: str, step: Callable[[], None], pairs: int, count: int, folder: str) -> None:
    """One pair has both, in an order that alternates; all ranks record."""
    for _ in range(5):
        step()
    without, ratios = [], []
    for pair in range(pairs):
        taken = {}
        for recorded in (False, True) if pair % 2 else (True, False):
            if recorded:
                hvd.start_timeline(f"{folder}/{name}.{{rank}}.json", mark_cycles=True)
            taken[recorded] = median_of(step, count)
            if recorded:
                hvd.stop_timeline()
        without.append(taken[False])
        ratios.append(taken[True] / taken[False])
    if hvd.rank() != 0:
        return
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(
        f"{name}: {statistics.median(without) * 1e3:.2f} ms a step; recording costs "
        f"{(middle - 1) * 100:+.1f} % (quartiles {(low - 1) * 100:+.1f} and "
        f"{(high - 1) * 100:+.1f}), {pairs} pairs of {count} steps, {hvd.size()} ranks",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=30)
    pairs = parser.parse_args().pairs
    hvd.init()
    with tempfile.TemporaryDirectory() as folder:
        measure("gpt", gpt_step(), pairs, 10, folder)
        measure("tiny", tiny_step(), pairs, 10, folder)
    hvd.shutdown()


main()
