"""What stands around a model: its state on all ranks, its batch normalisation, its gradients
without an optimizer's help, its data and figures, its compilation."""

from __future__ import annotations

import sys

import compiled_cases  # noqa: F401
import helper_cases  # noqa: F401
import norm_cases  # noqa: F401
import parallel_cases  # noqa: F401
import state_cases  # noqa: F401
import torch
from common import report
from model_case import CASES

import farandole.torch as hvd


def main() -> None:
    hvd.init()
    torch.set_num_threads(1)
    for function in CASES:
        if len(sys.argv) < 2 or sys.argv[1] in function.__name__:
            print("case", function.__name__, flush=True)
            function()
    report(hvd.rank(), cases=len(CASES))


main()
