"""Collectives as parts of a graph, with Horovod's gradients.

To autograd a collective is a linear map from the tensors of all ranks to the results of all ranks,
and its gradient is the transposed map, which is a collective again, times a factor: Horovod
averages the gradients of what was gathered or broadcast, and multiplies those of a scattered Sum by
the number of ranks. Maps have a gradient of their own, so that there are second derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from farandole import _native
from farandole.calls import Call
from farandole.errors import UnsupportedError
from farandole.framework import Member
from farandole.process_sets import ProcessSet
from farandole.reduce_ops import Average, ReduceOp, Sum
from farandole.submission import Submitter
from farandole.uncompiled import uncompiled


def takes_part(tensor: Any, in_place: bool) -> bool:
    """Whether a gradient will be asked for. A leaf, and a view of one, is written without a graph,
    as Horovod does it: parameters are broadcast and averaged that way."""
    if not getattr(tensor, "requires_grad", False):
        return False
    if not in_place:
        return True
    base = tensor if tensor._base is None else tensor._base
    return not base.is_leaf


def attach_members(
    submitter: Submitter, call: Call, members: Sequence[Member], in_place: bool
) -> list[torch.Tensor]:
    """The results of a collective, as part of the graph of what they were made of."""
    results = [member.result for member in members]
    places = [i for i, member in enumerate(members) if takes_part(member.tensor, in_place)]
    # What is modified in place needs a node of its own where it is a view.
    for part in [[i] for i in places] if in_place else [places]:
        chosen = [members[i] for i in part]
        linear = _linear(submitter, call, chosen)
        tensors = [member.tensor for member in chosen]
        with torch.enable_grad():
            made = attach(linear, tensors, [results[i] for i in part], in_place)
        for i, result in zip(part, made, strict=True):
            results[i] = result
    return results


def apply(function: type[torch.autograd.Function], *arguments: Any) -> Any:
    """The function's result, as part of the graph."""
    return function.apply(*arguments)


@dataclass(frozen=True)
class Linear:
    """A linear map, of several tensors at once.

    names: of the operations on them.
    factor: the gradient is the transposed map times this; so is the map itself, where it is a
        gradient.
    """

    submitter: Submitter
    names: list[str]
    process_set: ProcessSet
    factor: float

    def compute(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        """The map, times the factor."""
        raise NotImplementedError

    def transposed(self, inputs: list[torch.Size]) -> Linear:
        raise NotImplementedError

    def token(self, tensors: Sequence[torch.Tensor]) -> torch.Tensor | None:
        """An empty tensor of another output, for ``graph``; None where that needs none."""
        return None

    def graph(
        self, gradients: Sequence[torch.Tensor], token: Callable[[], torch.Tensor]
    ) -> Sequence[torch.Tensor]:
        """The gradients that this map was computed of, such that those that require a gradient say
        whether the results will."""
        return gradients

    def gradient_names(self) -> list[str]:
        return [f"{name}.gradient" for name in self.names]

    def exchange(
        self,
        call: Call,
        suffix: str,
        tensors: Sequence[torch.Tensor],
        splits: Sequence[list[int]] = (),
    ) -> list[torch.Tensor]:
        """A collective of these tensors."""
        names = [f"{name}{suffix}" for name in self.names[: len(tensors)]]
        call = call._replace(process_set=self.process_set)
        return self.submitter.exchange(call, names, tensors, splits)


@dataclass(frozen=True)
class Reduction(Linear):
    """allreduce: it is its own transposition, scale factors included."""

    call: Call

    def compute(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        return self.exchange(self.call, "", tensors)

    def transposed(self, inputs: list[torch.Size]) -> Linear:
        check_linear(self.call.op)
        return replace(self, names=self.gradient_names())


@dataclass(frozen=True)
class _InRows(Linear):
    """Between rows of each rank and all of them, one behind the other.

    cut: whether the ranks have as many as reducescatter gives them, or each as many as it has.
    """

    cut: bool

    def rows_of_all(self, rows: list[int], wholes: list[int]) -> tuple[list[int], list[list[int]]]:
        """Who is left, ranks that have joined aside, and how many rows each rank has of tensors of
        which this one has ``rows``, and all together ``wholes``."""
        mine = torch.tensor([[self.process_set.rank(), *rows]], device="cpu")
        (told,) = self.exchange(Call(_native.ALLGATHER, ""), ".rows", [mine])
        left, size = told[:, 0].tolist(), self.process_set.size()
        if self.cut:
            return left, [_cut(whole, size) for whole in wholes]
        counts = torch.zeros(size, len(rows), dtype=torch.int64, device="cpu")
        counts[left] = told[:, 1:]
        parts: list[list[int]] = counts.t().tolist()
        return left, [_completed(*one, left) for one in zip(parts, wholes, strict=True)]


@dataclass(frozen=True)
class Gather(_InRows):
    """allgather. As a gradient, with zeros for the rows of ranks that have joined since.

    wholes: as a gradient, the rows of each result; else empty.
    """

    wholes: list[int]

    def compute(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        results = self.exchange(Call(_native.ALLGATHER, ""), "", scaled(tensors, self.factor))
        # Both alike on all ranks that are left, none of which joins before it has its gradient.
        if not self.wholes or [len(result) for result in results] == self.wholes:
            return results
        left, parts = self.rows_of_all([len(tensor) for tensor in tensors], self.wholes)
        return [_spread(*one, left) for one in zip(results, parts, strict=True)]

    def transposed(self, inputs: list[torch.Size]) -> Linear:
        names, rows = self.gradient_names(), [shape[0] for shape in inputs]
        return Scatter(self.submitter, names, self.process_set, self.factor, self.cut, rows)


@dataclass(frozen=True)
class Scatter(_InRows):
    """Sums over the ranks, of which each one gets its rows.

    rows: how many this rank gets of each tensor.
    op: how they were reduced, where this is what the user called.
    """

    rows: list[int]
    op: int = Sum

    def compute(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        reduce = Call(_native.REDUCESCATTER, "", op=Sum, postscale=self.factor)
        if self.cut:
            return self.exchange(reduce, "", tensors)
        left, parts = self.rows_of_all(self.rows, [len(tensor) for tensor in tensors])
        results = list(tensors)
        even = [i for i, rows in enumerate(parts) if rows == _cut(sum(rows), len(rows))]
        uneven = [i for i in range(len(parts)) if i not in even]
        for i, part in zip(even, self._some(even, reduce, tensors, ()), strict=True):
            results[i] = part
        # Nobody takes the rows of ranks that have joined.
        splits = [[n * (r in left) for r, n in enumerate(parts[i])] for i in uneven]
        for i in uneven:
            results[i] = _without_others(tensors[i], parts[i], left)
        swap = Call(_native.ALLTOALL, "")
        for i, blocks in zip(uneven, self._some(uneven, swap, results, splits), strict=True):
            stacked = blocks.view(len(left), self.rows[i], *blocks.shape[1:])
            results[i] = stacked.sum(0) * self.factor
        return results

    def _some(
        self, places: list[int], call: Call, tensors: list[torch.Tensor], splits: Any
    ) -> list[torch.Tensor]:
        chosen = replace(self, names=[self.names[i] for i in places])
        return chosen.exchange(call, "", [tensors[i] for i in places], splits)

    def transposed(self, inputs: list[torch.Size]) -> Linear:
        check_linear(self.op)
        names, wholes = self.gradient_names(), [shape[0] for shape in inputs]
        return Gather(self.submitter, names, self.process_set, self.factor, self.cut, wholes)


@dataclass(frozen=True)
class Broadcast(Linear):
    """broadcast."""

    root: int

    def compute(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        call = Call(_native.BROADCAST, "", root=self.root)
        return self.exchange(call, "", scaled(tensors, self.factor))

    def transposed(self, inputs: list[torch.Size]) -> Linear:
        names = self.gradient_names()
        return Reduce(self.submitter, names, self.process_set, self.factor, self.root)


@dataclass(frozen=True)
class Reduce(Linear):
    """Sums for the root, zeros elsewhere: half of what an allreduce moves."""

    root: int

    def compute(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        reduce = Call(_native.REDUCE, "", op=Sum, root=self.root, postscale=self.factor)
        sums = self.exchange(reduce, "", tensors)
        if self.process_set.ranks[self.process_set.rank()] == self.root:
            return sums
        return [torch.zeros_like(tensor) for tensor in tensors]

    def transposed(self, inputs: list[torch.Size]) -> Linear:
        names = self.gradient_names()
        return Broadcast(self.submitter, names, self.process_set, self.factor, self.root)


@dataclass(frozen=True)
class Swap(Linear):
    """alltoall.

    sent, received: rows to and from each rank.
    """

    sent: list[list[int]]
    received: list[list[int]]

    def compute(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        return self.exchange(Call(_native.ALLTOALL, ""), "", tensors, self.sent)

    def transposed(self, inputs: list[torch.Size]) -> Linear:
        names = self.gradient_names()
        return replace(self, names=names, sent=self.received, received=self.sent)


def _linear(submitter: Submitter, call: Call, members: Sequence[Member]) -> Linear:
    """What a collective of these tensors is to autograd."""
    group = call.process_set
    size = group.size()
    common = (submitter, [member.name for member in members], group)
    if call.kind == _native.ALLREDUCE:
        return Reduction(*common, 1.0, call)
    if call.kind == _native.ALLGATHER:
        return Gather(*common, 1.0 / members[0].ranks, False, [])
    if call.kind == _native.BROADCAST:
        return Broadcast(*common, 1.0 / members[0].ranks, int(call.root))
    if call.kind == _native.REDUCESCATTER:
        # Of an Average the forward has divided by as many.
        factor = call.prescale * call.postscale * (members[0].ranks if call.op == Sum else 1)
        rows = [len(member.result) for member in members]
        return Scatter(*common, factor, True, rows, call.op)
    sent = [member.sent or [len(member.tensor) // size] * size for member in members]
    return Swap(*common, 1.0, sent, [member.received or [] for member in members])


def check_linear(op: int) -> None:
    if op not in (Sum, Average):
        raise UnsupportedError(f"the gradient of op={ReduceOp(op)!r} is not supported")


def scaled(tensors: list[torch.Tensor], factor: float) -> list[torch.Tensor]:
    return tensors if factor == 1.0 else [tensor * factor for tensor in tensors]


def _cut(rows: int, ranks: int) -> list[int]:
    """How reducescatter divides that many rows."""
    each, more = divmod(rows, ranks)
    return [each + (rank < more) for rank in range(ranks)]


def _completed(parts: list[int], whole: int, left: list[int]) -> list[int]:
    """The rows of each rank, of so many in all: those that nobody told are the others'."""
    others = [rank for rank in range(len(parts)) if rank not in left]
    missing = whole - sum(parts)
    if missing == 0:
        return parts
    if others[-1] - others[0] >= len(others):
        raise UnsupportedError(
            f"the gradient of an allgather has {missing} rows of ranks that have joined since and "
            f"are apart (numbers {others} of the process set), and nobody knows how many of each; "
            "go backward on every rank before any of them joins"
        )
    parts[others[0]] = missing  # and the next ones none: where the rows of others are is the same
    return parts


def _spread(gathered: torch.Tensor, parts: list[int], left: list[int]) -> torch.Tensor:
    """What was gathered of those that are left, each in its place, and zeros for the others."""
    whole = gathered.new_zeros(sum(parts), *gathered.shape[1:])
    places = whole.split(parts)
    for rank, part in zip(left, gathered.split([parts[rank] for rank in left]), strict=True):
        places[rank].copy_(part)
    return whole


def _without_others(tensor: torch.Tensor, parts: list[int], left: list[int]) -> torch.Tensor:
    """The tensor without the rows of those that are not left."""
    blocks = tensor.split(parts)
    return tensor if len(left) == len(parts) else torch.cat([blocks[rank] for rank in left])


def _single(gradient: torch.Tensor) -> torch.Tensor:
    """The gradient without its graph."""
    try:
        return gradient.detach()
    except RuntimeError as error:
        raise UnsupportedError(
            "several gradients at once (is_grads_batched=True, vectorize=True) cannot be "
            "communicated; ask for one after the other"
        ) from error


class _Node(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        linear: Linear,
        results: list[torch.Tensor] | None,
        *tensors: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        """results: None where they are the tensors themselves."""
        ctx.linear = linear
        ctx.inputs = [tensor.shape for tensor in tensors]
        if results is None:
            ctx.mark_dirty(*tensors)
            return tensors
        token = linear.token(tensors)
        if token is None:
            return tuple(results)
        ctx.save_for_backward(token)
        return (*results, token)

    @staticmethod
    @uncompiled
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        linear = ctx.linear.transposed(ctx.inputs)
        own = gradients[: len(ctx.inputs)]
        with torch.no_grad():
            results = linear.compute([_single(gradient) for gradient in own])
        own = linear.graph(own, lambda: ctx.saved_tensors[0])
        return None, None, *attach(linear, own, results, False)


def attach(
    linear: Linear,
    tensors: Sequence[torch.Tensor],
    results: list[torch.Tensor],
    in_place: bool,
) -> list[torch.Tensor]:
    if not torch.is_grad_enabled() or not any(tensor.requires_grad for tensor in tensors):
        return results
    made = apply(_Node, linear, None if in_place else results, *tensors)
    return list(made[: len(tensors)])
