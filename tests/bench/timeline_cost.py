"""What recording a timeline costs: steps with and without one take turns in one job, and their
medians are compared pair by pair (`make timeline-cost`): of the time that passes, and of the
processor's time that rank 0 uses, all its threads together, which a busy machine disturbs less.

    farandolerun -np 2 python tests/bench/timeline_cost.py [--pairs 30]

gpt: a training step of examples/torch/train_gpt.py's model. Fails where recording slows it by
LIMIT or more, in the median. tiny: 1000 allreduces of 1 KiB, bare, for which nothing is promised.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

import farandole.torch as hvd

sys.path.append(str(Path(__file__).resolve().parents[2] / "examples/torch"))

TENSORS = 1000
LIMIT = 3.0  # percent


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


class Cost(NamedTuple):
    """Of a step, in seconds."""

    wall: float
    processor: float
    writer: float  # of the processor's time: of the thread that writes the timeline


def writer_time() -> float:
    """Seconds for which the thread that writes the timeline has run, where there is one."""
    for task in Path("/proc/self/task").iterdir():
        if (task / "comm").read_text() == "fdl-timeline\n":
            return int((task / "schedstat").read_text().split()[0]) * 1e-9
    return 0.0


def cost_of(step: Callable[[], None], count: int) -> Cost:
    hvd.barrier()
    times = []
    used, written = time.process_time(), writer_time()
    for _ in range(count):
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    used, written = time.process_time() - used, writer_time() - written
    return Cost(statistics.median(times), used / count, written / count)


def refusal(name: str, pairs: list[tuple[float, float]]) -> str:
    """What is wrong with so much slower a second of each pair; "" for nothing."""
    cost = (statistics.median(after / before for before, after in pairs) - 1) * 100
    return (
        f"{name}: recording a timeline costs {cost:+.1f} % of a step's time, the median of "
        f"{len(pairs)} pairs; less than {LIMIT:g} % is promised"
        if cost >= LIMIT
        else ""
    )


def changes(pairs: list[tuple[float, float]]) -> str:
    """Of the second beside the first."""
    low, middle, high = statistics.quantiles((after / before for before, after in pairs), n=4)
    quartiles = f"{(low - 1) * 100:+.1f} to {(high - 1) * 100:+.1f}"
    return f"{(middle - 1) * 100:+.1f} % ({quartiles})"


def measure(
    name: str, step: Callable[[], None], pairs: int, count: int, folder: str
) -> list[tuple[float, float]]:
    """The seconds of a step without and with a recording, by pairs, which are told, too. One pair
    has both, in an order that alternates; all ranks record."""
    for _ in range(5):
        step()
    found: list[tuple[Cost, Cost]] = []
    for pair in range(pairs):
        taken = {}
        for recorded in (False, True) if pair % 2 else (True, False):
            if recorded:
                hvd.start_timeline(f"{folder}/{name}.{{rank}}.json", mark_cycles=True)
            taken[recorded] = cost_of(step, count)
            if recorded:
                hvd.stop_timeline()
        found.append((taken[False], taken[True]))
    times = [(before.wall, after.wall) for before, after in found]
    if hvd.rank() != 0:
        return times
    writer = statistics.median(recorded.writer for _, recorded in found) * 1e6
    print(
        f"{name}: {statistics.median(before.wall for before, _ in found) * 1e3:.1f} ms a step; "
        f"recording costs {changes(times)} of it, and "
        f"{changes([(a.processor, b.processor) for a, b in found])} of the processor's time; "
        f"the thread that writes takes {writer:.0f} us a step; {pairs} pairs of {count} steps, "
        f"{hvd.size()} ranks",
        flush=True,
    )
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=30)
    pairs = parser.parse_args().pairs
    hvd.init()
    with tempfile.TemporaryDirectory() as folder:
        training = measure("gpt", gpt_step(), pairs, 10, folder)
        measure("tiny", tiny_step(), pairs, 10, folder)
    judge = hvd.rank() == 0  # whose step both ranks wait for
    hvd.shutdown()
    if judge and (wrong := refusal("gpt", training)):
        sys.exit(wrong)


if __name__ == "__main__":
    main()
