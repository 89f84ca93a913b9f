"""How the gradients of one optimizer travel: started by hooks during backward, finished before the
step."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from farandole import _native, _session
from farandole.arguments import check_count
from farandole.errors import FarandoleError
from farandole.handles import GroupHandle, Handle
from farandole.torch.compression import Compression, Compressor
from farandole.torch.sparse import sparse_allreduce_async
from farandole.torch.tensors import plain


@dataclass(frozen=True)
class ExchangeOptions:
    """What all gradients of an optimizer have in common."""

    op: int
    prescale: float = 1.0
    postscale: float = 1.0
    compression: type[Compressor] = Compression.none
    sparse_as_dense: bool = False


@dataclass
class _Group:
    """Parameters whose gradients start together, when the last one is there."""

    members: list[torch.Tensor]
    missing: int = field(init=False)

    def __post_init__(self) -> None:
        self.missing = len(self.members)


class GradientExchange:
    """Alone (one rank) it does nothing.

    A gradient is ready when backward has reached its parameter ``passes_per_step`` times. Those
    that never were, because the rank's forward did not use them, count as zero: other ranks may
    have used them.
    """

    def __init__(
        self,
        names: dict[torch.Tensor, str],
        options: ExchangeOptions,
        passes_per_step: int,
        groups: Sequence[Sequence[torch.Tensor]] = (),
    ) -> None:
        self.names = names
        self._options = options
        self._parameters = [p for p in names if p.requires_grad]
        self._handles: dict[torch.Tensor, Handle | None] = {}
        self._sparse: set[torch.Tensor] = set()
        self._groups = [_Group([p for p in group if p.requires_grad]) for group in groups]
        self._group_of = {p: group for group in self._groups for p in group.members}
        self._alone = _session.size() == 1
        self.set_passes_per_step(passes_per_step)
        if not self._alone:
            self._register_hooks()

    def set_passes_per_step(self, passes: int) -> None:
        self.passes_per_step = check_count("backward_passes_per_step", passes)
        self.reset()

    def reset(self) -> None:
        """Forgets what backward has brought so far; what has been started goes on by itself."""
        self._handles.clear()
        self._left = dict.fromkeys(self._parameters, self.passes_per_step)
        for group in self._groups:
            group.missing = len(group.members)

    def in_flight(self) -> bool:
        """Whether backward has run since the last step."""
        return bool(self._handles)

    def finish(self) -> None:
        """Starts what has not been, waits for all. Afterwards nothing is in flight, also where it
        raises."""
        if self._alone:
            return
        for p in self._parameters:
            unused = p.grad is None and not p.requires_grad
            if self._handles.get(p) is None and not unused:
                self._start([p])
        try:
            GroupHandle([handle for handle in self._handles.values() if handle]).wait()
        except FarandoleError:
            self.reset()
            raise
        self.reset()

    def _register_hooks(self) -> None:
        # Hooks live as long as their parameters, but must not keep a discarded optimizer at work.
        this = weakref.ref(self)

        def on_gradient(p: torch.Tensor) -> None:
            exchange = this()
            if exchange is not None:
                exchange._on_gradient(p)

        self._accumulators = [_call_after_gradient(p, on_gradient) for p in self._parameters]

    def _on_gradient(self, p: torch.Tensor) -> None:
        if self._left[p] <= 0:
            raise AssertionError(
                "Gradients were computed more than backward_passes_per_step times before call to "
                "step(). Increase backward_passes_per_step to accumulate gradients locally."
            )
        if p.grad is None or p.grad.requires_grad:
            raise AssertionError(
                f"the gradient of {self.names[p]} is part of a graph (create_graph=True), which "
                "cannot be exchanged"
            )
        self._left[p] -= 1
        self._handles[p] = None
        if self._left[p] > 0:
            return
        group = self._group_of.get(p)
        if group is None:
            self._start([p])
            return
        group.missing -= 1
        if group.missing == 0:
            self._start(group.members)

    def _start(self, parameters: Sequence[torch.Tensor]) -> None:
        dense = []
        for p in parameters:
            gradient = self._gradient_of(p)
            if gradient.is_sparse:
                self._start_sparse(p, gradient)
            else:
                dense.append((p, gradient))
        if dense:
            self._start_dense(dense)

    def _gradient_of(self, p: torch.Tensor) -> torch.Tensor:
        if p.grad is None:
            zero = torch.zeros_like(p, requires_grad=False)
            p.grad = zero.to_sparse(1) if p in self._sparse else zero
        if p.grad.is_sparse and self._options.sparse_as_dense:
            p.grad = p.grad.to_dense()
        return p.grad

    def _name(self, p: torch.Tensor) -> str:
        return f"gradient/{self.names[p]}"

    def _start_sparse(self, p: torch.Tensor, gradient: torch.Tensor) -> None:
        self._sparse.add(p)
        inner = sparse_allreduce_async(gradient, self._name(p), self._options.op)

        def install(results: list[Any]) -> None:
            p.grad = results[0]

        self._handles[p] = GroupHandle([inner], install)

    def _start_dense(self, gradients: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> None:
        options = self._options
        memories, finishes = [], []
        for _, gradient in gradients:
            small, ctx = options.compression.compress(gradient)
            memories.append(plain(small))
            finishes.append(_decompressing(gradient, memories[-1], options.compression, ctx))
        session = _session.current()
        scales = (options.prescale, options.postscale)
        if len(memories) == 1:
            (memory,) = memories
            name = self._name(gradients[0][0])
            natives = [
                session.submit(_native.ALLREDUCE, name, memory, memory, options.op, 0, *scales)
            ]
        else:
            names = [self._name(p) for p, _ in gradients]
            natives = session.allreduce_all(names, memories, memories, options.op, *scales)
        for (p, _), native, finish in zip(gradients, natives, finishes, strict=True):
            self._handles[p] = Handle(native, finish)


def _decompressing(
    gradient: torch.Tensor, memory: torch.Tensor, compression: type[Compressor], ctx: Any
) -> Callable[[_native.Handle], None]:
    """A handle's finish: the sum in ``memory`` becomes the gradient, which it often is already."""

    def finish(_: _native.Handle) -> None:
        reduced = compression.decompress(memory, ctx)
        if reduced.data_ptr() != gradient.data_ptr():
            with torch.no_grad():
                gradient.copy_(reduced)

    return finish


def _call_after_gradient(p: torch.Tensor, hook: Callable[[torch.Tensor], None]) -> Any:
    """Calls ``hook(p)`` whenever backward has added to ``p.grad``. Keep what it returns."""
    if hasattr(p, "register_post_accumulate_grad_hook"):
        return p.register_post_accumulate_grad_hook(hook)
    # torch before 2.1: the node of the graph that adds to p.grad.
    accumulator = p.expand_as(p).grad_fn.next_functions[0][0]  # type: ignore[union-attr]
    accumulator.register_hook(lambda *_: hook(p))  # type: ignore[union-attr]
    return accumulator
