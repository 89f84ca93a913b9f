"""What stands around a model: its state on all ranks, its batch normalisation, its gradients
without an optimizer's help, its data and figures, and on two ranks its compilation."""

from __future__ import annotations

import sys

import compiled_cases
import frozen_cases  # noqa: F401
import gradient_cases  # noqa: F401
import helper_cases  # noqa: F401
import hook_cases  # noqa: F401
import norm_cases  # noqa: F401
import parallel_cases  # noqa: F401
import state_cases  # noqa: F401
import torch
from common import report
from model_case import CASES

import farandole.torch as hvd


def run() -> int:
    """How many cases have passed."""
    hvd.init()
    torch.set_num_threads(1)
    chosen = [f for f in CASES if len(sys.argv) < 2 or sys.argv[1] in f.__name__]
    if hvd.size() > 2:  # compiling takes long, and knows nothing of other ranks
        chosen = [f for f in chosen if f.__module__ != compiled_cases.__name__]
    for function in chosen:
        print("case", function.__name__, flush=True)
        function()
    return len(chosen)


if __name__ == "__main__":
    passed = run()
    report(hvd.rank(), cases=passed)
