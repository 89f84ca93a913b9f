"""Gradients on their way: each in one exchange at a time, and as it was sent until it is back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch

from farandole import _native, _session
from farandole.errors import InvalidArgumentError
from farandole.handles import GroupHandle, Handle


class Exchanger(Protocol):
    """Exchanges gradients of parameters, which others may have, too.

    owner: the class that users know it by.
    """

    owner: str

    def has_under_way(self, p: torch.Tensor) -> bool:
        """Whether it has sent the gradient of p, and not waited for it."""

    def name_of(self, p: torch.Tensor) -> str:
        """By which users know p."""


def take(exchanger: Exchanger, parameters: Sequence[torch.Tensor]) -> None:
    """It is to send their gradients, which are all ranks' in place: where two did so at once, each
    would send what the other has half written. Refuses all where another has one under way."""
    exchangers = _session.exchangers()
    for p in parameters:
        # The parameter of an id may be gone: who has none under way holds none.
        other = exchangers.get(id(p))
        if other is not None and other is not exchanger and other.has_under_way(p):
            raise InvalidArgumentError(
                f"the gradient of {exchanger.name_of(p)} is on its way for another "
                f"{other.owner} already, and this {exchanger.owner} would send it half changed; "
                "wrap the optimizer or the model, not both, give a parameter to one wrapper, and "
                "let go of those that are used no more"
            )
    for p in parameters:
        if exchangers.get(id(p)) is not exchanger:
            exchangers[id(p)] = exchanger


def gradient_of(
    exchanger: Exchanger, p: torch.Tensor, wrong: type[Exception] = InvalidArgumentError
) -> torch.Tensor:
    """What backward has just added to. Raises ``wrong`` where it cannot be exchanged."""
    if p.grad is None:
        raise wrong(
            f"the gradient of {exchanger.name_of(p)} is gone (None) before it could be exchanged: "
            "a hook of the program's clears it during backward; let it be until the step"
        )
    if p.grad.requires_grad:
        raise wrong(
            f"the gradient of {exchanger.name_of(p)} is part of a graph (create_graph=True), which "
            "cannot be exchanged"
        )
    return p.grad


def forget(exchanger: Exchanger, p: torch.Tensor) -> None:
    """It exchanges no gradients of p any more."""
    if _session.is_initialized() and _session.exchangers().get(id(p)) is exchanger:
        del _session.exchangers()[id(p)]


def part_of(p: torch.Tensor, has_own: bool, sparse: bool) -> torch.Tensor:
    """What a rank sends as its gradient of p: the very one, which zeros become where there is none,
    or, where it has frozen p, a memory of its own, since what came back would move p.

    has_own: whether backward has reached p, while it was trained, since the last exchange. Of what
        is frozen that counts still. Whatever else ``p.grad`` holds then does not: zeros
        (``set_to_none=False``), or an average of before, which the other ranks have cleared, while
        this one may have no optimizer left that would.
    """
    if p.grad is not None and (has_own or p.requires_grad):
        return p.grad if p.requires_grad else p.grad.detach().clone()
    zero = torch.zeros_like(p, requires_grad=False)
    zero = zero.to_sparse(1) if sparse else zero
    if p.requires_grad:
        p.grad = zero
    return zero


class Started(NamedTuple):
    """A gradient on its way.

    version: of the gradient when it was sent; None where nobody can have changed it.
    """

    handle: Handle
    gradient: torch.Tensor
    version: int | None

    def changed(self, p: torch.Tensor) -> bool:
        """Whether the program has touched the gradient of p meanwhile."""
        if self.version is None:
            return False
        if p.grad is not self.gradient:
            return True
        # Parts of one tensor have one version: what backward adds to another part counts there.
        return not _is_part(self.gradient) and self.gradient._version != self.version


def _is_part(gradient: torch.Tensor) -> bool:
    """Whether it is some of a larger memory, as that of ``torch.cat`` of parameters, and what lies
    in a buffer of the program's."""
    if gradient.layout is not torch.strided:
        return False
    return gradient.numel() * gradient.element_size() < gradient.untyped_storage().nbytes()


def decompressing(
    gradient: torch.Tensor, memory: torch.Tensor, compressor: Any, ctx: Any
) -> Callable[[_native.Handle], None]:
    """A handle's finish: the sum in ``memory`` becomes the gradient, which it often is already."""

    def finish(_: _native.Handle) -> None:
        reduced = compressor.decompress(memory, ctx)
        if reduced.data_ptr() != gradient.data_ptr():
            with torch.no_grad():
                gradient.copy_(reduced)

    return finish


def sparse_again(p: torch.Tensor, dense: torch.Tensor, handle: Handle) -> Started:
    """The gradient of p, which is sparse, under way as a dense copy of it: it becomes what comes
    back, in its own layout."""
    gradient = p.grad
    assert gradient is not None
    dimensions = gradient.sparse_dim()

    def install(_: list[Any]) -> None:
        p.grad = dense.to_sparse(dimensions)

    return Started(GroupHandle([handle], install), gradient, gradient._version)
