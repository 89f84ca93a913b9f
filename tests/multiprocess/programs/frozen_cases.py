"""DistributedDataParallel where ranks train unlike parameters, or use unlike ones."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from model_case import case, operations
from parallel_cases import averaged, clear, loss_of, net, wrapped
from torch import nn

import farandole.torch as hvd


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.part, self.other = (nn.Linear(2, 1, bias=False) for _ in range(2))
        nn.init.zeros_(self.part.weight)
        nn.init.zeros_(self.other.weight)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.part(batch) + self.other(batch)
        return result


class Rows(nn.Module):
    """Rows that are used only where asked for, beside what always is."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Embedding(4, 2, sparse=True)
        self.part = nn.Linear(2, 2, bias=False)
        nn.init.zeros_(self.rows.weight)

    def forward(self, uses_rows: bool) -> torch.Tensor:
        result: torch.Tensor = self.part(torch.ones(1, 2))
        return result + self.rows(torch.tensor([1])) if uses_rows else result


def cleared(model: Any, how: str) -> Any:
    """An optimizer of the model, whose gradients it clears: to None, to zero, or so that those of
    frozen parameters, which it has not, are left."""
    parameters = [p for p in model.parameters() if how != "kept" or p.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=1.0)
    optimizer.zero_grad(set_to_none=how == "none")
    return optimizer


@case
def frozen_on_one_rank_alone() -> None:
    """From the first step on, or from the second: others go on, with zeros of that rank."""
    last = hvd.size() - 1
    odd = hvd.rank() == last
    everyone, others = (sum(range(1, n + 1)) / hvd.size() for n in (hvd.size(), last))
    batch = torch.full((1, 2), hvd.rank() + 1.0)
    options = itertools.product((True, False), range(2), ("none", "zeros", "kept"))
    for find_unused, steps_before, how in options:
        model = wrapped(Pair(), find_unused_parameters=find_unused)
        weight, other = model.module.part.weight, model.module.other.weight
        for step in range(5):
            if step == steps_before and odd:
                weight.requires_grad_(False)
            if step == 4:
                weight.requires_grad_(True)
            optimizer = cleared(model, how)
            before = None if weight.grad is None else weight.grad.clone()
            torch.autograd.backward(model(batch).sum())
            if not weight.requires_grad:
                assert (weight.grad is None) == (how == "none" or steps_before == 0)
                assert (before is None) == (weight.grad is None)
                if before is not None:
                    assert torch.equal(weight.grad, before)
                    assert bool(before.any()) == (how == "kept")
            optimizer.step()
        moved = 0.0 if odd else (4 - steps_before) * others
        wanted = torch.full((1, 2), -(moved + (steps_before + 1) * everyone))
        torch.testing.assert_close(weight.detach(), wanted)
        torch.testing.assert_close(other.detach(), torch.full((1, 2), -5 * everyone))


@case
def what_was_added_up_before_it_was_frozen_counts() -> None:
    last = hvd.size() - 1
    everyone, others = (sum(range(1, n + 1)) / hvd.size() for n in (hvd.size(), last))
    batch = torch.full((1, 2), hvd.rank() + 1.0)
    for find_unused in (True, False):
        model = wrapped(Pair(), find_unused_parameters=find_unused)
        weight = model.module.part.weight
        with model.no_sync():
            torch.autograd.backward(model(batch).sum())
        weight.requires_grad_(hvd.rank() != last)
        odd = hvd.rank() == last
        for wanted in (last + 1.0 if odd else everyone + others, 0.0 if odd else others):
            torch.autograd.backward(model(batch).sum())
            torch.testing.assert_close(weight.grad, torch.full((1, 2), wanted))
            model.zero_grad(set_to_none=False)


@case
def rows_frozen_on_one_rank_alone() -> None:
    last = hvd.size() - 1
    for find_unused, how in itertools.product((True, False), ("none", "zeros", "kept")):
        model = wrapped(Rows(), find_unused_parameters=find_unused)
        weight = model.module.rows.weight
        for step in range(3):
            weight.requires_grad_(step == 0 or hvd.rank() != last)
            optimizer = cleared(model, how)
            torch.autograd.backward(model(True).sum())
            optimizer.step()
        assert weight.grad is None or weight.grad.is_sparse
        moved = 1.0 + (0.0 if hvd.rank() == last else 2 * last / hvd.size())
        torch.testing.assert_close(weight.detach()[1], torch.full((2,), -moved))


@case
def rows_that_one_rank_uses_later() -> None:
    """Ranks ask each other of what layout a gradient is until one has had it, and no longer."""
    for frozen, frozen_on_last in itertools.product((False, True), repeat=2):
        model = wrapped(Rows(), find_unused_parameters=False)
        weight = model.module.rows.weight
        counts = []
        for step in range(5):
            weight.requires_grad_(not frozen or step > 0)
            if frozen_on_last and hvd.rank() == hvd.size() - 1 and step > 1:
                weight.requires_grad_(False)
            model.zero_grad()
            backward = model(hvd.rank() == 0 and step > 1).sum().backward
            counts.append(operations(backward))
            if weight.requires_grad:
                wanted = torch.zeros(4, 2)
                wanted[1] = 1 / hvd.size() if step > 1 else 0.0
                assert weight.grad.is_sparse == (step > 1), step
                assert torch.equal(weight.grad.to_dense(), wanted), step
            else:
                assert weight.grad is None
        assert counts[0] == counts[1] - frozen, counts
        assert counts[3:] == [counts[2] - 1] * 2, counts


@case
def rows_that_one_rank_uses_without_asking() -> None:
    """The first backward tells the others that they are sparse."""
    model = wrapped(net(0), find_unused_parameters=False)
    reference = net(0)
    uses = [rank == 0 for rank in range(hvd.size())]
    for _ in range(2):
        clear(model, reference)
        torch.autograd.backward(loss_of(model, hvd.rank(), uses[hvd.rank()]))
        averaged(reference, [[loss_of(reference, r, uses[r])] for r in range(hvd.size())])
        rows = model.module.rows.weight.grad
        assert rows.is_sparse
        torch.testing.assert_close(rows.to_dense(), reference.rows.weight.grad.to_dense())
