"""Messages as parts of a graph: the gradient of what one rank receives goes back to the sender.

The sender has no result. Where a gradient is wanted, it gets an empty tensor in its stead, through
which it goes backward, so that the gradient has a taker. What is received was made of nothing here:
its gradient comes to an empty tensor that nobody sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from farandole import _native
from farandole.calls import Call
from farandole.errors import UnsupportedError
from farandole.framework import Member
from farandole.submission import Submitter
from farandole.torch.autograd import Linear, attach


def attach_members(
    submitter: Submitter, call: Call, members: Sequence[Member]
) -> list[torch.Tensor]:
    """What messages give, as part of the graph that they belong to."""
    with torch.enable_grad():  # as it was when they were submitted
        return _attached(submitter, call, members)


def _attached(submitter: Submitter, call: Call, members: Sequence[Member]) -> list[torch.Tensor]:
    names = [member.name for member in members]
    linear = (submitter, names, call.process_set, 1.0, int(call.root), call.peer)
    if call.sends:
        tensors = [member.tensor for member in members]
        return attach(Sent(*linear), tensors, [tensor.new_empty(0) for tensor in tensors], False)
    results = [member.result.detach() for member in members]  # what is received in is none of it
    origins = [
        torch.empty(0, dtype=result.dtype, device="cpu", requires_grad=True) for result in results
    ]
    return attach(Received(*linear), origins, results, False)


@dataclass(frozen=True)
class _Message(Linear):
    """source, dest: the ranks from which and to which it goes."""

    source: int
    dest: int

    def call(self, sends: bool) -> Call:
        call = Call(_native.MESSAGE, "", process_set=self.process_set)
        return call._replace(root=self.source, peer=self.dest, sends=sends)

    def check_first(self) -> None:
        if torch.is_grad_enabled():
            raise UnsupportedError(
                "send and recv have no second derivative; go backward without create_graph"
            )


@dataclass(frozen=True)
class Sent(_Message):
    """send, and the gradient of what was received."""

    def compute(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        # Nobody waits for it: ranks that send gradients to each other would wait for ever.
        self.submitter.give(self.call(sends=True), self.names, tensors)
        return [tensor.new_empty(0) for tensor in tensors]

    def transposed(self, inputs: list[torch.Size]) -> Linear:
        self.check_first()
        back = (self.process_set, self.factor, self.dest, self.source)
        return Received(self.submitter, self.gradient_names(), *back)


@dataclass(frozen=True)
class Received(_Message):
    """recv, and the gradient of what was sent."""

    def compute(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        return self.submitter.exchange(self.call(sends=False), self.names, [None] * len(tensors))

    def transposed(self, inputs: list[torch.Size]) -> Linear:
        self.check_first()
        back = (self.process_set, self.factor, self.dest, self.source)
        return Sent(self.submitter, self.gradient_names(), *back)
