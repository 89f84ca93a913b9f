"""What the programs of process sets and joins share: a library of tensors, and checks."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

WAY = sys.argv[1]
if WAY == "torch":
    import torch

fdl: Any = importlib.import_module("farandole.torch" if WAY == "torch" else "farandole")

checks = 0


def tensor(values: Any, dtype: str = "float32") -> Any:
    if dtype == "bfloat16":
        return torch.tensor(values, dtype=torch.bfloat16)
    array = np.array(values, dtype=dtype)
    return torch.from_numpy(array) if WAY == "torch" else array


def check(got: Any, wanted: Any) -> None:
    global checks
    assert got == wanted, f"rank {fdl.rank()}: {got} instead of {wanted}"
    checks += 1


def refused(call: Callable[[], Any], kind: type[Exception], text: str) -> None:
    try:
        call()
    except kind as error:
        assert text in str(error), error
        check("\n" in str(error), False)
        return
    raise AssertionError(f"nobody refused what should be: {text}")


def passed() -> int:
    return checks


def typed(numbers: Any, dtype: str) -> Any:
    """An array of what the program goes through: NumPy or torch."""
    if WAY == "torch":
        return torch.tensor(numbers).to(getattr(torch, dtype))
    return numbers.astype(getattr(ml_dtypes, dtype, dtype))


def stretched(array: Any) -> Any:
    """The same values in memory that is not contiguous."""
    if WAY == "torch":
        wide = torch.zeros(*array.shape, 2, dtype=torch.float32).to(array.dtype)
        wide[..., 1].copy_(array)
        return wide[..., 1]
    other = np.zeros((*array.shape, 2), array.dtype)
    other[..., 1] = array
    return other[..., 1]
