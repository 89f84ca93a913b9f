"""Reduce, gather and scatter as parts of a graph: their gradients are the transposed maps.

What goes to the root alone has no result elsewhere. Where a gradient is wanted, other ranks get an
empty tensor in its stead, through which they go backward, so that the root's gradient has takers.
What comes from the root alone has a gradient of zeros elsewhere, for the tensor given there.

Second derivatives need a graph of the gradients on every rank or on none, whatever the losses of
each are, and so the ranks agree on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from farandole import _native
from farandole.calls import Call
from farandole.errors import UnsupportedError
from farandole.framework import Member
from farandole.reduce_ops import Average, Max, Sum
from farandole.submission import Submitter
from farandole.torch.autograd import Linear, attach, check_linear, scaled, takes_part


def attach_members(
    submitter: Submitter, call: Call, members: Sequence[Member], in_place: bool
) -> list[torch.Tensor]:
    """The results of such an operation, as part of the graph of what they were made of."""
    results = [member.result for member in members]
    if call.kind == _native.SCATTER:
        places = list(range(len(members)))
        tensors = [_given(member) for member in members]
    else:
        places = [i for i, member in enumerate(members) if takes_part(member.tensor, in_place)]
        tensors = [members[i].tensor for i in places]
    if not places:
        return results
    made_of = [_apart(results[i], tensor) for i, tensor in zip(places, tensors, strict=True)]
    linear = _linear(submitter, call, [members[i] for i in places])
    with torch.enable_grad():
        made = attach(linear, tensors, made_of, False)
        for i, tensor, result in zip(places, tensors, made, strict=True):
            results[i] = tensor.copy_(result) if results[i] is tensor else result
    return results


def _apart(result: torch.Tensor | None, tensor: torch.Tensor) -> torch.Tensor:
    """The result as an output of a node, which is no input of it."""
    if result is None:
        return tensor.new_empty(0)
    return result.detach().clone() if result is tensor else result


def _given(member: Member) -> torch.Tensor:
    """What a scatter has got from this rank: of others than the root nothing, which has a gradient
    all the same."""
    if isinstance(member.tensor, torch.Tensor) and member.tensor.requires_grad:
        return member.tensor
    return torch.empty(0, dtype=member.result.dtype, device="cpu", requires_grad=True)


def _linear(submitter: Submitter, call: Call, members: Sequence[Member]) -> Linear:
    common = (submitter, [member.name for member in members], call.process_set)
    root = int(call.root)
    if call.kind == _native.REDUCE:
        factor = float(call.prescale) * float(call.postscale)
        if call.op == Average:
            factor /= members[0].ranks  # as the forward did
        return ToRoot(*common, factor, root, [], call.op)
    if call.kind == _native.GATHER:
        received = [member.received or [] for member in members]
        return GatherAtRoot(*common, 1.0, root, [], received)
    size = call.process_set.size()
    # As many to each is what no splits say, and what the root's result tells.
    sent = [member.sent or [len(member.result)] * size for member in members]
    return FromRootInParts(*common, 1.0, root, sent)


@dataclass(frozen=True)
class _Rooted(Linear):
    root: int

    def at_root(self) -> bool:
        return self.process_set.ranks[self.process_set.rank()] == self.root

    def is_heard(self) -> bool:
        """Whether what this rank puts in comes out anywhere."""
        return True

    def token(self, tensors: Sequence[torch.Tensor]) -> torch.Tensor | None:
        return torch.empty(0, dtype=torch.float32, device="cpu")

    def graph(
        self, gradients: Sequence[torch.Tensor], token: Callable[[], torch.Tensor]
    ) -> Sequence[torch.Tensor]:
        """With a way back to the operation whose gradients these are, by which every rank comes to
        it in the next backward, or no rank does."""
        able = torch.is_grad_enabled()
        wanted = able and self.is_heard() and any(g.requires_grad for g in gradients)
        flags = torch.tensor([wanted, not able], dtype=torch.uint8, device="cpu")
        (flags,) = self.exchange(Call(_native.ALLREDUCE, "", op=Max), ".graph", [flags])
        on_some, not_on_all = flags.tolist()
        if not on_some:
            return [gradient.detach() for gradient in gradients]
        if not_on_all:
            raise UnsupportedError(
                f'the gradient "{self.names[0]}" is to be part of a graph on some ranks and on '
                "others not; give create_graph=True on all, or on none"
            )
        way = token().sum()
        return [gradient + way for gradient in gradients]


@dataclass(frozen=True)
class _ToRoot(_Rooted):
    """shapes: of what others than the root get, zeros; empty tensors where none are given."""

    shapes: list[torch.Size]

    def send(self, call: Call, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        results = self.exchange(call, "", tensors)
        if self.at_root():
            return results
        each = zip(tensors, self.shapes or [torch.Size([0])] * len(tensors), strict=True)
        return [tensor.new_zeros(shape) for tensor, shape in each]


@dataclass(frozen=True)
class ToRoot(_ToRoot):
    """reduce. op: as the user called it."""

    op: int = Sum

    def compute(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        call = Call(_native.REDUCE, "", op=Sum, root=self.root, postscale=self.factor)
        return self.send(call, tensors)

    def transposed(self, inputs: list[torch.Size]) -> Linear:
        check_linear(self.op)
        names = self.gradient_names()
        return FromRoot(self.submitter, names, self.process_set, self.factor, self.root, inputs)


@dataclass(frozen=True)
class _FromRoot(_Rooted):
    def is_heard(self) -> bool:
        return self.at_root()


@dataclass(frozen=True)
class FromRoot(_FromRoot):
    """The root's tensors, on every rank. shapes: theirs."""

    shapes: list[torch.Size]

    def compute(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        each = zip(tensors, self.shapes, strict=True)
        sent = (
            scaled(tensors, self.factor)
            if self.at_root()
            else [tensor.new_zeros(shape) for tensor, shape in each]
        )
        return self.exchange(Call(_native.BROADCAST, "", root=self.root), "", sent)

    def transposed(self, inputs: list[torch.Size]) -> Linear:
        names = self.gradient_names()
        return ToRoot(self.submitter, names, self.process_set, self.factor, self.root, inputs)


@dataclass(frozen=True)
class GatherAtRoot(_ToRoot):
    """gather. rows: from each rank, of each tensor; known to the root."""

    rows: list[list[int]]

    def compute(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        return self.send(Call(_native.GATHER, "", root=self.root), tensors)

    def transposed(self, inputs: list[torch.Size]) -> Linear:
        names = self.gradient_names()
        common = (self.submitter, names, self.process_set, self.factor, self.root)
        return FromRootInParts(*common, self.rows)


@dataclass(frozen=True)
class FromRootInParts(_FromRoot):
    """scatter. rows: to each rank, of each tensor; known to the root."""

    rows: list[list[int]]

    def compute(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        splits = self.rows if self.at_root() else ()
        return self.exchange(Call(_native.SCATTER, "", root=self.root), "", tensors, splits)

    def transposed(self, inputs: list[torch.Size]) -> Linear:
        names = self.gradient_names()
        common = (self.submitter, names, self.process_set, self.factor, self.root)
        return GatherAtRoot(*common, inputs, self.rows)
