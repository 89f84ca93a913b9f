"""SyncBatchNorm of tensors on the device that is named, where each rank has one of its own or all
share one, against torch's on the CPU, which gets the batches of all ranks as one."""

from __future__ import annotations

import sys

import torch
from common import report
from norm_cases import CHANNELS, batches, close
from torch import nn

import farandole.torch as hvd


def train(device: torch.device, rank: int, size: int) -> None:
    """Two steps: output, gradients and running statistics, and where they are."""
    sizes = [one + 2 for one in range(size)]
    sizes[1] = 0  # has nothing, and takes part
    reference = nn.BatchNorm2d(CHANNELS, dtype=torch.float64)
    ours = hvd.SyncBatchNorm(CHANNELS, device=device, dtype=torch.float64)
    for seed in range(2):
        everyone = batches((4, 3), sizes, seed)
        whole = torch.cat(everyone).requires_grad_()
        mine = everyone[rank].to(device).requires_grad_()
        begin = sum(sizes[:rank])
        part = slice(begin, begin + sizes[rank])
        weights = torch.linspace(-1, 1, whole.numel(), dtype=torch.float64).view(whole.shape).sin()
        output, expected = ours(mine), reference(whole)
        torch.autograd.backward((output * weights[part].to(device)).sum())
        torch.autograd.backward((expected * weights).sum())
        assert whole.grad is not None
        assert mine.grad is not None
        assert {t.device.type for t in (output, mine.grad, *ours.buffers())} == {device.type}
        close(output.cpu(), expected[part], 1e-9)
        close(mine.grad.cpu(), whole.grad[part], 1e-9)
        for own, one in zip(ours.parameters(), reference.parameters(), strict=True):
            assert own.grad is not None
            close(hvd.allreduce(own.grad.cpu(), op=hvd.Sum), one.grad, 1e-9)
            own.grad = one.grad = None
    for kept, wanted in zip(ours.buffers(), reference.buffers(), strict=True):
        close(kept.cpu(), wanted, 1e-9)


def main() -> None:
    hvd.init()
    device = torch.device(sys.argv[1])
    if device.type == "cuda":
        device = torch.device("cuda", hvd.local_rank() % torch.cuda.device_count())
    train(device, hvd.rank(), hvd.size())
    report(hvd.rank(), device=str(device))


main()
