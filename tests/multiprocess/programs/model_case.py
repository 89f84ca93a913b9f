"""What the cases of models.py share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import farandole.torch as hvd

CASES: list[Callable[[], None]] = []


def case(function: Callable[[], None]) -> Callable[[], None]:
    """A check that every rank makes at once."""
    CASES.append(function)
    return function


def bits(value: Any) -> Any:
    """All that there is to a value, types and bits of tensors included."""
    if isinstance(value, torch.Tensor):
        flat = value.detach().resolve_conj().contiguous().reshape(-1).view(torch.uint8)
        return str(value.dtype), tuple(value.shape), flat.cpu().numpy().tobytes()
    if isinstance(value, dict):
        return type(value).__name__, {key: bits(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [bits(item) for item in value]
    return type(value).__name__, repr(value)


def same_everywhere(value: Any) -> None:
    """Every rank has these very bits."""
    everyone = hvd.allgather_object(bits(value))
    assert all(one == everyone[0] for one in everyone), everyone


def operations(work: Callable[[], Any]) -> int:
    """How many collectives the work submits."""
    before = hvd.counters()["submitted"]
    work()
    return hvd.counters()["submitted"] - before


def failure(work: Callable[[], Any], kind: type[Exception]) -> str:
    """What it raises, the same on every rank."""
    try:
        work()
    except kind as error:
        texts = hvd.allgather_object(str(error))
        assert len(set(texts)) == 1, texts
        return str(texts[0])
    raise RuntimeError(f"no {kind.__name__}")
