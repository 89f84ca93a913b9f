"""Gradients that are all ranks' average by the time that backward returns."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils import _pytree

from farandole import _native, _session
from farandole.errors import InvalidArgumentError
from farandole.handles import GroupHandle, Handle
from farandole.process_sets import ProcessSet, check_process_set
from farandole.reduce_ops import Average, Max
from farandole.torch import ops
from farandole.torch.compression import Compressor, Compressors
from farandole.torch.hooks import call_after_gradient
from farandole.torch.sparse import SparseReduction, start_sparse
from farandole.torch.under_way import gradient_of, part_of, take
from farandole.uncompiled import uncompiled

# What a rank says of a parameter at the end of backward; the largest one holds. Unknown: that some
# rank trains it, but nobody yet of what layout its gradients are.
_UNUSED, _UNKNOWN, _DENSE, _SPARSE = range(4)


class Reducer:
    """The exchange of one model's gradients: begun by hooks during backward, finished by a callback
    at its end.

    Whether a backward exchanges is what the last forward said (``expect``). A gradient that adds up
    over several backwards comes out right: the part that is all ranks' already is its own average.
    A rank that has frozen a parameter which others train sends zeros, and takes nothing.
    """

    owner = "DistributedDataParallel"

    def __init__(
        self,
        parameters: dict[str, torch.Tensor],
        compression: type[Compressor],
        find_unused: bool,
        process_set: ProcessSet,
    ) -> None:
        self._names = {p: name for name, p in parameters.items()}
        self._compressors = Compressors(compression)
        self._find_unused = find_unused
        self._process_set = process_set
        self._period: object = None
        self._prefix = ""
        self._hooked: set[torch.Tensor] = set()
        # Gradients that hold something which other ranks have not got.
        self._local: dict[torch.Tensor, int] = {}
        # Without find_unused: what all ranks have said of each parameter so far.
        self._agreed: list[int] | None = None
        self._expecting = False
        self._queued = False
        self._handles: dict[torch.Tensor, Handle] = {}

    def expect(self, exchanging: bool) -> None:
        """A forward begins, whose backward is to exchange or not."""
        self._expecting = exchanging
        self._queued = False
        self._handles = {}  # of a backward that an exception has ended
        for p in self._names:
            if p.requires_grad and p not in self._hooked:
                self._hook(p)
        if not exchanging:
            return
        set_id = check_process_set(self._process_set)
        if _session.period(set_id) != self._period:
            # Alike on every rank, and unlike that of another model.
            self._prefix = _session.named(_native.ALLREDUCE, None, set_id)
            self._period = _session.period(set_id)
            self._agreed = None

    @uncompiled
    def watch(self, output: Any) -> None:
        """Learns from a forward's output when a backward begins: checkpoints run backwards within
        the one whose end counts, and reach parameters first."""
        this = weakref.ref(self)

        @uncompiled
        def begin(_: torch.Tensor) -> None:
            reducer = this()
            if reducer is not None:
                reducer._queue()

        for leaf in _pytree.tree_leaves(output):
            if isinstance(leaf, torch.Tensor) and leaf.grad_fn is not None:
                leaf.register_hook(begin)

    def _hook(self, p: torch.Tensor) -> None:
        this = weakref.ref(self)

        @uncompiled
        def on_gradient(p: torch.Tensor) -> None:
            reducer = this()
            if reducer is not None:
                reducer._on_gradient(p)

        call_after_gradient(p, on_gradient)
        self._hooked.add(p)

    def _queue(self) -> None:
        if self._expecting and not self._queued:
            engine: Any = torch.autograd.Variable._execution_engine
            engine.queue_callback(self._finish)
            self._queued = True

    def _on_gradient(self, p: torch.Tensor) -> None:
        if p.grad is not None:  # a hook of the program's may have taken it
            self._local[p] = _SPARSE if p.grad.is_sparse else _DENSE
        if not self._expecting:
            return
        self._queue()
        if p in self._handles:
            raise InvalidArgumentError(
                f"backward has reached {self._names[p]} twice, which a reentrant checkpoint does "
                "to parameters that are used in several places; use "
                "torch.utils.checkpoint(..., use_reentrant=False)"
            )
        self._start(p, gradient_of(self, p))

    def has_under_way(self, p: torch.Tensor) -> bool:
        return p in self._handles

    def name_of(self, p: torch.Tensor) -> str:
        return self._names[p]

    def _start(self, p: torch.Tensor, gradient: torch.Tensor) -> None:
        """The gradient of p, or what this rank sends for it where it has none."""
        take(self, [p])
        name = f"{self._prefix}/{self._names[p]}"
        if gradient.is_sparse:
            compressor = self._compressors.of_sparse()
            how = SparseReduction(Average, compression=compressor, process_set=self._process_set)
            inner: Handle = start_sparse(gradient, name, how)
            takes = p.requires_grad
            self._handles[p] = GroupHandle([inner], lambda got: _install(p, got[0], takes))
            return
        compressor = self._compressors.of_dense(self._names[p])
        small, ctx = compressor.compress(gradient)
        inner = ops.allreduce_async_(small, None, name, Average, process_set=self._process_set)
        if small is gradient:
            self._handles[p] = inner
        else:
            self._handles[p] = GroupHandle([inner], _copying(gradient, compressor, ctx))

    @uncompiled
    def _finish(self) -> None:
        """Backward ends. One that reached no parameter (``torch.autograd.grad``) is none."""
        self._queued = False
        if not self._handles:
            return
        try:
            self._start_missing()
            GroupHandle(list(self._handles.values())).wait()
        finally:
            self._handles = {}
        self._local.clear()

    def _start_missing(self) -> None:
        """This rank's part of gradients that its own forward did not use, but another rank's did.
        Those that nobody used stay as they are."""
        for p, use in zip(self._names, self._uses(), strict=True):
            if use == _UNUSED or p in self._handles:
                continue
            self._start(p, part_of(p, p in self._local, use == _SPARSE))

    def _uses(self) -> list[int]:
        """What all ranks exchange, in the order of the parameters. Without find_unused the first
        backward of a period finds out what some rank trains, which holds for those that follow;
        they ask again only while there is a parameter that no rank has had a gradient of."""
        if self._find_unused:
            return self._of_all([self._local.get(p, _UNUSED) for p in self._names])
        mine = [self._known(p) for p in self._names]
        if self._agreed is not None:
            mine = [max(pair) for pair in zip(mine, self._agreed, strict=True)]
        if self._asks():
            self._agreed = mine = self._of_all(mine)
        return mine

    def _asks(self) -> bool:
        """The same on every rank, and so by what all have agreed on: this one may have a gradient
        by now that others wait to hear of. What nobody trained then all thaw alike."""
        if self._agreed is None or _UNKNOWN in self._agreed:
            return True
        new = (p for p, use in zip(self._names, self._agreed, strict=True) if use == _UNUSED)
        return any(p.requires_grad for p in new)

    def _known(self, p: torch.Tensor) -> int:
        """What this rank can say of p by itself."""
        if p in self._local or not p.requires_grad:
            return self._local.get(p, _UNUSED)
        if p.grad is None:
            return _UNKNOWN
        return _SPARSE if p.grad.is_sparse else _DENSE

    def _of_all(self, uses: list[int]) -> list[int]:
        """The largest that some rank says of each parameter."""
        mine = torch.tensor(uses, dtype=torch.uint8, device="cpu")
        name = f"{self._prefix}.used"
        everyone = ops.allreduce_async(mine, None, name, Max, process_set=self._process_set)
        largest: list[int] = everyone.wait().tolist()
        return largest


def _install(p: torch.Tensor, gradient: torch.Tensor, takes: bool) -> None:
    if takes:
        p.grad = gradient


def _copying(
    gradient: torch.Tensor, compressor: Any, ctx: Any
) -> Callable[[list[torch.Tensor]], None]:
    def finish(results: list[torch.Tensor]) -> None:
        with torch.no_grad():
            gradient.copy_(compressor.decompress(results[0], ctx))

    return finish
