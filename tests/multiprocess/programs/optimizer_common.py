"""Parameters whose gradient on rank r is r + 1 times that of rank 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

import farandole.torch as hvd

CASES: list[Callable[[], None]] = []


def case(function: Callable[[], None]) -> Callable[[], None]:
    CASES.append(function)
    return function


def mean() -> float:
    """Of r + 1 over the ranks."""
    return (hvd.size() + 1) / 2


def parameters(count: int = 4) -> list[nn.Parameter]:
    return [nn.Parameter(torch.zeros(i + 1)) for i in range(count)]


def backward(tensors: list[nn.Parameter]) -> None:
    parts = [((hvd.rank() + 1) * p * (i + 1)).sum() for i, p in enumerate(tensors)]
    torch.autograd.backward(torch.stack(parts).sum())


def distributed(tensors: list[nn.Parameter], **options: Any) -> Any:
    named = [(f"p{i}", p) for i, p in enumerate(tensors)]
    return hvd.DistributedOptimizer(torch.optim.SGD(tensors, lr=1.0), named, **options)


def expect(tensors: list[nn.Parameter], factor: float, tolerance: float = 1e-6) -> None:
    for i, p in enumerate(tensors):
        torch.testing.assert_close(
            p.detach(), torch.full_like(p, -factor * (i + 1)), rtol=tolerance, atol=tolerance
        )


def raises(call: Callable[[], Any], kind: type[Exception], text: str) -> None:
    try:
        call()
    except kind as error:
        assert text in str(error), error
    else:
        raise RuntimeError(f"no {kind.__name__} about {text}")


class Remembers:
    """Sends whole numbers, and what it cut off the next time."""

    def __init__(self) -> None:
        self.rest: torch.Tensor | float = 0.0

    def compress(self, tensor: torch.Tensor) -> tuple[torch.Tensor, None]:
        wanted = tensor + self.rest
        self.rest = wanted - wanted.floor()
        return wanted.floor(), None

    def decompress(self, tensor: torch.Tensor, _: None) -> torch.Tensor:
        return tensor


class OneForEach:
    """Makes a compressor with a state for each parameter, and is none itself."""

    def __init__(self) -> None:
        self.made: dict[str, Remembers] = {}

    def for_parameter(self, name: str) -> Remembers:
        assert name not in self.made
        return self.made.setdefault(name, Remembers())
