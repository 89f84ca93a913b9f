"""How the gradients of one optimizer travel: started by hooks during backward, finished before the
step."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch

from farandole import _native, _session
from farandole.agreement import SAME_MODEL, Question
from farandole.answers import answer_later
from farandole.arguments import check_count
from farandole.handles import Deadline, GroupHandle, Handle
from farandole.process_sets import check_process_set, is_alone
from farandole.reduce_ops import Adasum
from farandole.torch.compression import Compressors
from farandole.torch.exchange_options import ExchangeOptions
from farandole.torch.hooks import call_after_gradient
from farandole.torch.sparse import SparseReduction, start_sparse
from farandole.torch.tensors import kind_of, plain, to_dense
from farandole.torch.under_way import (
    Started,
    decompressing,
    forget,
    gradient_of,
    part_of,
    sparse_again,
    take,
)
from farandole.uncompiled import uncompiled

# What a rank knows of a gradient's layout; of several ranks' answers the largest holds.
_UNKNOWN, _DENSE, _SPARSE = range(3)


@dataclass
class _Group:
    """Parameters whose gradients start together, when the last one is there."""

    members: list[torch.Tensor]
    missing: int = field(init=False, default=0)


class GradientExchange:
    """Alone (one rank, or one outside of the process set) it does nothing.

    A gradient is ready when backward has reached its parameter ``passes_per_step`` times. Those
    that never were, because the rank's forward did not use them, count as zero: other ranks may
    have used them. Whether a parameter requires a gradient may change at any time: those that were
    exchanged once always are, and who has frozen one sends zeros and takes nothing.

    finished: whether the gradients are those of all ranks, and backward has not run since.
    """

    owner = "DistributedOptimizer"
    _what = "gradient"  # before the names of parameters

    def __init__(
        self,
        names: dict[torch.Tensor, str],
        options: ExchangeOptions,
        passes_per_step: int,
        groups: Sequence[Sequence[torch.Tensor]] = (),
    ) -> None:
        self._set_id = check_process_set(options.process_set)
        self._prefix, self._number = self._what, 0
        self._counted_in: object = None
        self.names = names
        self._options = options
        self._started: dict[torch.Tensor, Started | None] = {}
        self._left: dict[torch.Tensor, int] = {}
        self._sparse: set[torch.Tensor] = set()
        self._groups = [_Group(list(group)) for group in groups]
        self._group_of = {p: group for group in self._groups for p in group.members}
        self._compressors = Compressors(options.compression)
        self._hooks: dict[torch.Tensor, Any] = {}
        self._period: tuple[Any, int] | None = None  # in which others were last asked
        self._rounds = self._changes = 0
        self._begin_agreeing()
        self.set_passes_per_step(passes_per_step)
        self._begin_session()
        self._hook(names)

    def count(self) -> None:
        """Takes this one's turn among the session's optimizers, on every rank in the same order:
        when it has been made, since which one backward reaches first may differ. Copies, and those
        of an earlier session, when they first ask: a rank may have one that is never used.
        """
        # Of several whose parameters have the same names the later ones get a number.
        turn = _session.turn(self.names.values(), self._set_id)
        self._prefix = f"{self._what}.{turn}" if turn > 1 else self._what
        # What does not depend on the parameters, nor on the op, which ranks may have unlike.
        self._number = _session.turn(["optimizers of all kinds"], self._set_id)
        self._counted_in, _ = _session.period(self._set_id)

    def set_passes_per_step(self, passes: int) -> None:
        self.passes_per_step = check_count("backward_passes_per_step", passes)
        self.reset()

    def reset(self) -> None:
        """Forgets what backward has brought so far; what has been started goes on by itself."""
        self.finished = False
        self._started.clear()
        self._left.clear()
        for group in self._groups:
            group.missing = sum(p.requires_grad for p in group.members)

    def _begin_session(self) -> None:
        """What was started in an earlier one is over. Raises where there is no session."""
        self._alone = is_alone(self._options.process_set)
        self._life = _session.life()
        self.reset()

    def _enter(self) -> None:
        """Notices another session than the last one."""
        if _session.is_initialized() and _session.life() is not self._life:
            self._begin_session()

    @uncompiled
    def in_flight(self) -> bool:
        """Whether backward has run since the last step, in this session."""
        self._enter()
        return bool(self._started)

    def follow(self, names: dict[torch.Tensor, str]) -> None:
        """The optimizer has other parameters than before."""
        self._enter()
        if not self._alone and _session.is_initialized():
            self._ask_early()  # on every rank alike, though nobody waits for it
        self._changes += 1
        self.names = names
        for p in [p for p in self._hooks if p not in names]:
            self._hooks.pop(p).remove()
            self._started.pop(p, None)
            forget(self, p)
        self._begin_agreeing()
        self._hook(names)

    def _begin_agreeing(self) -> None:
        """Nothing is known of what other ranks have.

        _agreed: whether all were found to have the same parameters.
        _asks_layouts: whether some gradient's layout may still be unknown on some rank.
        _exchanged: parameters of which all ranks exchange gradients, frozen here or not.
        """
        self._agreed = False
        self._exchanged: set[torch.Tensor] = set()
        self._question: Question | None = None
        self._asks_layouts = True
        self._answers: _native.Handle | None = None

    def _ask(self) -> None:
        """Asks other ranks, unless they have been asked, whether they have the same parameters."""
        period = _session.period(self._set_id)
        if period != self._period:
            self._period, self._rounds, self._changes = period, 0, 0
            self._begin_agreeing()
        if period[0] is not self._counted_in:
            self.count()
        if self._agreed or self._question is not None:
            return
        o = self._options
        # Other ops the gradients themselves tell; Adasum's ranks do not send any.
        facts = ["op=Adasum" if o.op == Adasum else "an op other than Adasum"]
        facts += [f"sparse_as_dense={o.sparse_as_dense}"]
        facts += [f"{self.names[p]}: {kind_of(p)}" for p in self._in_order()]
        name = f"optimizers.{self._number}.{period[1]}.{self._changes}"
        remedy = f"{SAME_MODEL}, and its {self.owner} the same op and sparse_as_dense"
        self._question = Question(self.owner, remedy, facts, o.process_set, name)
        # Who has frozen a parameter that others have not needs to know.
        trained = [self._is_exchanged(p) for p in self._in_order()]
        mine = torch.tensor(trained, dtype=torch.uint8, device="cpu")
        how = (torch.empty_like(mine), _native.MAX)
        self._rounds += 1  # nobody may have waited for the last one
        name, kind = f"{name}.trained.{self._rounds}", _native.ALLREDUCE
        self._trained = _session.submit(kind, name, mine, *how, process_set=self._set_id)

    def _ask_early(self) -> None:
        """Before anybody waits: ranks may wait for several optimizers in unlike orders."""
        self._ask()

    def _agree(self) -> None:
        """Raises on every rank alike where they have unlike parameters. What backward has started
        of those that other ranks have not stays in flight."""
        self._ask()
        question, self._question = self._question, None
        if question is not None:
            question.wait(Deadline())
            self._trained.wait()
            each = zip(self._in_order(), self._trained.tobytes(), strict=True)
            self._exchanged.update(p for p, by_some in each if by_some)
            self._agreed = True

    def _in_order(self) -> list[torch.Tensor]:
        """The parameters in an order that is the same on every rank."""
        return sorted(self.names, key=self.names.__getitem__)

    @uncompiled
    def finish(self) -> None:
        """Starts what has not been, waits for all. Afterwards nothing is in flight, also where it
        raises, unless ranks have unlike parameters."""
        self._enter()
        if self._alone:
            self.finished = True
            return
        try:
            changed = self._finish()
        finally:
            self.reset()
        if changed:
            raise AssertionError(
                f"the gradient of {changed[0]} was changed while it was exchanged; call "
                "optimizer.synchronize() before gradients are clipped or unscaled, and step within "
                "optimizer.skip_synchronize()"
            )
        self.finished = True

    def _finish(self) -> list[str]:
        """Names of parameters whose gradients were changed on their way."""
        self._hook(self.names)
        self._agree()
        if self._asks_layouts:
            self._agree_on_layouts()
        for p in self.names:
            if self._started.get(p) is None and self._is_exchanged(p):
                self._start([p])
        started = {p: one for p, one in self._started.items() if one is not None}
        changed = [self.names[p] for p, one in started.items() if one.changed(p)]
        GroupHandle([one.handle for one in started.values()]).wait()
        return changed

    def _is_exchanged(self, p: torch.Tensor) -> bool:
        return p.requires_grad or p in self._started or p in self._exchanged

    def _agree_on_layouts(self) -> None:
        """A rank without a gradient sends zeros, and has to know from the others whether as a
        sparse tensor. Usually one round answers for all parameters; only who has to know waits."""
        if self._answers is not None:
            self._take_layouts(self._answers)
        if not self._asks_layouts or not self.names:
            return
        layouts = [self._layout(p) for p in self._in_order()]
        mine = torch.tensor(layouts, dtype=torch.uint8, device="cpu")
        self._rounds += 1  # nobody may have waited for the last one
        name = f"{self._asked()}.layouts.{_session.period(self._set_id)[1]}.{self._rounds}"
        native = _session.submit(
            _native.ALLREDUCE,
            name,
            mine,
            torch.empty_like(mine),
            _native.MAX,
            process_set=check_process_set(self._options.process_set),
        )
        self._answers = native
        answer_later((self._set_id, self._asked()), native)
        if _UNKNOWN in mine.tolist():
            self._take_layouts(native)

    def _asked(self) -> str:
        return self._name(self._in_order()[0])

    def _layout(self, p: torch.Tensor) -> int:
        if p.grad is not None:
            return _SPARSE if p.grad.is_sparse else _DENSE
        if p in self._sparse:
            return _SPARSE
        return _UNKNOWN if self._is_exchanged(p) else _DENSE

    def _take_layouts(self, native: _native.Handle) -> None:
        self._answers = None
        native.wait()
        answer_later((self._set_id, self._asked()), None)
        agreed = list(native.tobytes())
        self._sparse.update(
            p for p, layout in zip(self._in_order(), agreed, strict=True) if layout == _SPARSE
        )
        self._asks_layouts = _UNKNOWN in agreed

    def _hook(self, parameters: Iterable[torch.Tensor]) -> None:
        if self._alone:
            return
        # Hooks live as long as their parameters, but must not keep a discarded optimizer at work.
        this = weakref.ref(self)

        @uncompiled
        def on_gradient(p: torch.Tensor) -> None:
            exchange = this()
            if exchange is not None:
                exchange._on_gradient(p)

        for p in parameters:
            if p.requires_grad and p not in self._hooks:
                self._hooks[p] = call_after_gradient(p, on_gradient)

    def _on_gradient(self, p: torch.Tensor) -> None:
        self._enter()
        if self._alone:
            return
        left = self._left.get(p, self.passes_per_step)
        if left <= 0:
            raise AssertionError(
                "Gradients were computed more than backward_passes_per_step times before call to "
                "step(). Increase backward_passes_per_step to accumulate gradients locally."
            )
        gradient_of(self, p, AssertionError)
        if not self._started:
            self._ask_early()
        self.finished = False
        self._left[p] = left - 1
        self._started[p] = None
        if left > 1:
            return
        group = self._group_of.get(p)
        if group is None:
            self._start([p])
            return
        group.missing -= 1
        if group.missing == 0:
            self._start([p for p in group.members if self._left.get(p) == 0])

    def has_under_way(self, p: torch.Tensor) -> bool:
        return self._started.get(p) is not None

    def name_of(self, p: torch.Tensor) -> str:
        return self.names[p]

    def _start(self, parameters: Sequence[torch.Tensor]) -> None:
        take(self, parameters)
        self._exchanged.update(parameters)
        dense, as_dense = [], {}
        for p in parameters:
            gradient = self._gradient_of(p)
            if not gradient.is_sparse:
                dense.append((p, gradient))
                continue
            self._sparse.add(p)
            if self._options.sparse_as_dense:
                as_dense[p] = to_dense(gradient)
                dense.append((p, as_dense[p]))
            else:
                self._start_sparse(p, gradient)
        if dense:
            self._start_dense(dense)
        for p, copy in as_dense.items():
            if p.requires_grad:
                self._started[p] = sparse_again(p, copy, cast(Started, self._started[p]).handle)

    def _gradient_of(self, p: torch.Tensor) -> torch.Tensor:
        sparse = p in self._sparse or (p.grad is not None and p.grad.is_sparse)
        gradient = part_of(p, p in self._started, sparse)
        if not gradient.is_sparse and 0 in gradient.stride():  # expanded by the program itself
            gradient = gradient.contiguous()
            p.grad = gradient if p.requires_grad else p.grad
        return gradient

    def _name(self, p: torch.Tensor) -> str:
        return f"{self._prefix}/{self.names[p]}"

    def _start_sparse(self, p: torch.Tensor, gradient: torch.Tensor) -> None:
        o = self._options
        compressor = self._compressors.of_sparse()
        how = SparseReduction(o.op, o.prescale, o.postscale, compressor, o.process_set)
        inner = start_sparse(gradient, self._name(p), how)
        takes = p.requires_grad

        def install(results: list[Any]) -> None:
            if takes:
                p.grad = results[0]

        self._started[p] = Started(GroupHandle([inner], install), gradient, None)

    def _start_dense(self, gradients: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> None:
        memories, finishes = [], []
        for p, gradient in gradients:
            compressor = self._compressors.of_dense(self.names[p])
            small, ctx = compressor.compress(gradient)
            memories.append(plain(small))
            finishes.append(decompressing(gradient, memories[-1], compressor, ctx))
        natives = self._submit([self._name(p) for p, _ in gradients], memories)
        for (p, gradient), native, finish in zip(gradients, natives, finishes, strict=True):
            version = gradient._version if p.grad is gradient else None
            self._started[p] = Started(Handle(native, finish), gradient, version)

    def _submit(self, names: list[str], memories: list[torch.Tensor]) -> list[_native.Handle]:
        o = self._options
        scales = (o.prescale, o.postscale)
        set_id = check_process_set(o.process_set)
        if len(memories) > 1:
            how = (o.op, 0, *scales)
            kind = _native.ALLREDUCE
            return _session.submit_all(kind, names, memories, memories, *how, process_set=set_id)
        (memory,) = memories
        only = (names[0], memory, memory, o.op, 0, *scales)
        return [_session.submit(_native.ALLREDUCE, *only, process_set=set_id)]
