"""Allreduce through farandole.torch: farandolerun -np 2 python bench_farandole.py"""

from __future__ import annotations

import os

import torch
from harness import MODE, STEPS, shapes, sizes, timed

import farandole.torch as hvd


def sweep(tag: str, rank: int, ranks: int) -> None:
    for size, iterations in sizes():
        tensor = torch.full((size // 4,), float(rank + 1))
        hvd.allreduce_(tensor, op=hvd.Sum, name="check")
        assert tensor[0] == tensor[-1] == ranks * (ranks + 1) / 2
        tensor.zero_()
        name = f"sweep.{size}"

        def step(tensor: torch.Tensor = tensor, name: str = name) -> None:
            hvd.allreduce_(tensor, op=hvd.Sum, name=name)

        timed(tag, rank, ranks, size, iterations, step)


def workload(tag: str, rank: int, ranks: int) -> None:
    tensors = [torch.zeros(count) for count in shapes()]
    names = [f"grad.{index}" for index in range(len(tensors))]

    def one_by_one() -> None:
        handles = [
            hvd.allreduce_async_(tensor, op=hvd.Sum, name=name)
            for tensor, name in zip(tensors, names, strict=True)
        ]
        for handle in handles:
            hvd.synchronize(handle)

    size = 4 * sum(tensor.numel() for tensor in tensors)
    timed(f"{tag}:{MODE}:one-by-one", rank, ranks, size, STEPS, one_by_one)


def main() -> None:
    torch.set_num_threads(1)
    hvd.init()
    tag = os.environ.get("TAG", "farandole-py")
    (sweep if MODE == "sweep" else workload)(tag, hvd.rank(), hvd.size())
    hvd.shutdown()


main()
