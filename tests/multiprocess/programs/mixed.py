"""A job whose rank 0 uses torch, and the others NumPy: what the root of a scatter says is
understood by all."""

from __future__ import annotations

import importlib
import os
from typing import Any

import ml_dtypes
import numpy as np
from common import report

WITH_TORCH = os.environ["FARANDOLE_RANK"] == "0"
if WITH_TORCH:
    import torch
hvd: Any = importlib.import_module("farandole.torch" if WITH_TORCH else "farandole")


def given(dtype: str, size: int, graph: bool) -> Any:
    if not WITH_TORCH:
        return None
    numbers = torch.arange(3 * size).view(size, 3) % 5
    return numbers.to(getattr(torch, dtype)).requires_grad_(graph)


def main() -> None:
    hvd.init()
    rank, size = hvd.rank(), hvd.size()
    whole = np.arange(3 * size).reshape(size, 3) % 5
    for dtype, graph in (
        ("float32", False),
        ("float32", True),
        ("bfloat16", True),
        ("float8_e4m3fn", False),
        ("int16", False),
    ):
        for with_out in (False, True):
            kind = getattr(ml_dtypes, dtype, dtype)
            out = None if WITH_TORCH or not with_out else np.zeros((1, 3), kind)
            part: Any = hvd.scatter(given(dtype, size, graph), 0, out=out)
            assert part is out or out is None
            if WITH_TORCH:
                assert part.requires_grad == graph
                part = part.detach().float().numpy()
            else:
                assert part.dtype == kind, (part.dtype, dtype)
            assert (part.astype(float) == whole[rank : rank + 1]).all()
    rows = np.full((rank + 1, 2), rank, np.float32)
    gathered: Any = hvd.gather(torch.tensor(rows) if WITH_TORCH else rows, 0)
    reduced: Any = hvd.reduce(torch.ones(4) if WITH_TORCH else np.ones(4, np.float32), size - 1)
    assert (gathered is None) == (rank != 0)
    assert (reduced is None) == (rank != size - 1)
    report(rank, size=size)
    hvd.shutdown()


main()
