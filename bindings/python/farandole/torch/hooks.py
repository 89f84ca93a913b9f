"""Calls after backward has added to a gradient, in every version of torch."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from farandole.uncompiled import uncompiled


def call_after_gradient(p: torch.Tensor, hook: Callable[[torch.Tensor], None]) -> Any:
    """Calls ``hook(p)`` whenever backward has added to ``p.grad``. Keep what it returns."""
    if hasattr(p, "register_post_accumulate_grad_hook"):
        # Where a hook of the program's returns something, torch gives that to those behind it,
        # before it says that hooks must not.
        own = weakref.ref(p)

        @uncompiled
        def call(_: Any) -> None:
            parameter = own()
            if parameter is not None:
                hook(parameter)

        return p.register_post_accumulate_grad_hook(call)
    # torch before 2.1: the node of the graph that adds to p.grad.
    accumulator: Any = p.expand_as(p).grad_fn.next_functions[0][0]  # type: ignore[union-attr]
    return _Accumulator(accumulator, accumulator.register_hook(lambda *_: hook(p)))


class _Accumulator(NamedTuple):
    """Lives no longer than somebody holds it, and its hook with it."""

    node: Any
    handle: Any

    def remove(self) -> None:
        self.handle.remove()
