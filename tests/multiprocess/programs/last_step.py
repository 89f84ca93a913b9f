"""One step of an optimizer. Rank 0 leaves right after it, while rank 1 has not begun its own."""

from __future__ import annotations

import sys
import time
from typing import Any

import torch
from common import report

import farandole.torch as hvd


def main() -> None:
    hvd.init()
    rank = hvd.rank()
    p = torch.nn.Parameter(torch.zeros(3))
    optimizer: Any = hvd.DistributedOptimizer(torch.optim.SGD([p], lr=1.0), [("p", p)])
    (p * rank).sum().backward()
    if rank == 1:
        time.sleep(1)  # as one that has more to do
    optimizer.step()
    assert p.grad is not None
    report(rank, when=time.monotonic(), gradient=p.grad[0].item())
    if sys.argv[1] == "shutdown":
        hvd.shutdown()


main()
