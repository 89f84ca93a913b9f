"""How what one optimizer's step has moved travels, and is combined by Adasum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from farandole import _native, _session
from farandole.errors import InvalidArgumentError
from farandole.handles import GroupHandle
from farandole.torch.exchange_options import ExchangeOptions
from farandole.torch.gradients import GradientExchange


class DeltaExchange(GradientExchange):
    """Gradients stay this rank's own, and add up until the step, which moves the parameters by what
    this rank alone would. ``combine`` puts in its place what Adasum makes of all ranks' moves.
    """

    _what = "delta"

    def __init__(
        self,
        names: dict[torch.Tensor, str],
        options: ExchangeOptions,
        passes_per_step: int,
        groups: Sequence[Sequence[torch.Tensor]] = (),
    ) -> None:
        _check_floats(names)
        super().__init__(names, options, passes_per_step, groups)

    def follow(self, names: dict[torch.Tensor, str]) -> None:
        _check_floats(names)
        super().follow(names)

    def combine(self, step: Callable[[], Any]) -> Any:
        """What ``step`` returns. Where the exchange fails the parameters are what they were; the
        optimizer's state is not."""
        self._enter()
        if self._alone:
            return step()
        self._hook(self.names)
        self._agree()
        moving = [p for p in self.names if self._is_exchanged(p)]
        self._exchanged.update(moving)
        values = [p.detach().clone() for p in moving]
        # What is frozen here counts as unmoved, whatever its old gradient makes of it.
        unmoved = {p for p in moving if not p.requires_grad and p not in self._started}
        try:
            result = step()
        finally:
            self.reset()
        with torch.no_grad():
            for i, p in enumerate(moving):
                delta = p.detach() - values[i]
                p.copy_(values[i])
                values[i] = torch.zeros_like(p) if p in unmoved else delta
            self._reduce(moving, values)
            for p, delta in zip(moving, values, strict=True):
                if p.requires_grad:
                    p.add_(delta)
        return result

    def _reduce(self, parameters: list[torch.Tensor], deltas: list[torch.Tensor]) -> None:
        if not parameters:
            return
        try:
            self._start_dense(list(zip(parameters, deltas, strict=True)))
            started = [one.handle for one in self._started.values() if one is not None]
            GroupHandle(started).wait()
        finally:
            self.reset()

    def _start(self, parameters: Sequence[torch.Tensor]) -> None:
        """Backward has all of these: nothing travels yet."""

    def _ask_early(self) -> None:
        """Nothing travels before the step."""

    def overflows(self, mine: Any) -> bool:
        """Whether some rank's gradients are not finite. Every rank asks, with what it has found."""
        self._enter()
        if self._alone:
            return bool(mine)
        self._agree()  # whose names are the first one's is what comes next
        if not self.names:
            return bool(mine)
        found = torch.tensor([bool(mine)], device="cpu")
        native = _session.submit(
            _native.ALLREDUCE,
            f"{self._asked()}.overflow",
            found,
            found,
            _native.MAX,
            process_set=self._set_id,
        )
        native.wait()
        return bool(found.item())

    def unscale(self, scale: torch.Tensor) -> None:
        """Divides this rank's gradients by it."""
        inverse = scale.double().reciprocal().float()
        with torch.no_grad():
            for p in self.names:
                if p.grad is not None:
                    _values(p.grad).mul_(inverse)


def _values(gradient: torch.Tensor) -> torch.Tensor:
    return gradient._values() if gradient.is_sparse else gradient


def _check_floats(names: dict[torch.Tensor, str]) -> None:
    for p, name in names.items():
        if not p.is_floating_point():
            raise InvalidArgumentError(
                f"op=Adasum is for parameters of real floating-point numbers; {name} has {p.dtype}"
            )
