"""The same allreduce through torch.distributed over Gloo, with RANK, WORLD_SIZE and STORE set.

A workload is bucketed as DistributedDataParallel does it: a first bucket of 1 MiB, then of 25 MiB,
with gradients copied in and out, and with gradients that are views of the buckets.
"""

from __future__ import annotations

import os

import torch
import torch.distributed as dist
from harness import MODE, STEPS, shapes, sizes, timed


def sweep(tag: str, rank: int, ranks: int) -> None:
    for size, iterations in sizes():
        tensor = torch.full((size // 4,), float(rank + 1))
        dist.all_reduce(tensor)
        assert tensor[0] == tensor[-1] == ranks * (ranks + 1) / 2
        tensor.zero_()

        def step(tensor: torch.Tensor = tensor) -> None:
            dist.all_reduce(tensor)

        timed(tag, rank, ranks, size, iterations, step)


def buckets(tensors: list[torch.Tensor]) -> list[list[torch.Tensor]]:
    filled: list[list[torch.Tensor]] = [[]]
    room = 1 << 20
    for tensor in tensors:
        filled[-1].append(tensor)
        room -= 4 * tensor.numel()
        if room <= 0:
            filled.append([])
            room = 25 << 20
    return [bucket for bucket in filled if bucket]


def workload(tag: str, rank: int, ranks: int) -> None:
    tensors = [torch.zeros(count) for count in shapes()]
    groups = buckets(tensors)
    flat = [torch.zeros(sum(t.numel() for t in group)) for group in groups]
    views = [
        torch.split(whole, [t.numel() for t in group])
        for whole, group in zip(flat, groups, strict=True)
    ]

    def step(copies: bool) -> None:
        work = []
        for whole, group, parts in zip(flat, groups, views, strict=True):
            if copies:
                for part, tensor in zip(parts, group, strict=True):
                    part.copy_(tensor)
            work.append(dist.all_reduce(whole, async_op=True))
        for pending, group, parts in zip(work, groups, views, strict=True):
            pending.wait()
            if copies:
                for part, tensor in zip(parts, group, strict=True):
                    tensor.copy_(part)

    size = 4 * sum(tensor.numel() for tensor in tensors)
    timed(f"{tag}:{MODE}:buckets", rank, ranks, size, STEPS, lambda: step(True))
    timed(f"{tag}:{MODE}:bucket-views", rank, ranks, size, STEPS, lambda: step(False))


def main() -> None:
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    method = f"file://{os.environ['STORE']}"
    dist.init_process_group("gloo", init_method=method, rank=rank, world_size=ranks)
    (sweep if MODE == "sweep" else workload)(os.environ.get("TAG", "torch-gloo"), rank, ranks)
    dist.barrier()
    dist.destroy_process_group()


main()
