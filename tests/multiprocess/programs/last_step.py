"""One step of an optimizer. Rank 0 leaves right after it, while rank 1 has not begun its own: that
rank waits at the pipe of the second argument until it hears of it.
"""

from __future__ import annotations

import atexit
import sys
import time
from pathlib import Path
from typing import Any

import torch
from common import report

import farandole.torch as hvd

ENOUGH_TO_LEAVE = 0.3  # seconds, for a rank that has no patience


def main(ending: str, leaving: Path) -> None:
    hvd.init()
    rank = hvd.rank()
    p = torch.nn.Parameter(torch.zeros(3))
    optimizer: Any = hvd.DistributedOptimizer(torch.optim.SGD([p], lr=1.0), [("p", p)])
    (p * rank).sum().backward()
    if rank == 1:
        leaving.read_text()
        time.sleep(ENOUGH_TO_LEAVE)
    optimizer.step()
    assert p.grad is not None
    report(rank, gradient=p.grad[0].item())
    tell = leaving.write_text if rank == 0 else str
    if ending == "exit":
        atexit.register(tell, "now")  # comes before the session's own end
    else:
        tell("now")
        hvd.shutdown()


main(sys.argv[1], Path(sys.argv[2]))
