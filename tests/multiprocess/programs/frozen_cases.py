"""DistributedDataParallel where ranks train unlike parameters, or use unlike ones."""

from __future__ import annotations

import torch
from model_case import case
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


@case
def frozen_on_one_rank_alone() -> None:
    """From the first step on, or from the second: others go on, with zeros of that rank."""
    last = hvd.size() - 1
    odd = hvd.rank() == last
    everyone, others = (sum(range(1, n + 1)) / hvd.size() for n in (hvd.size(), last))
    batch = torch.full((1, 2), hvd.rank() + 1.0)
    for find_unused in (True, False):
        for steps_before in range(2):
            model = wrapped(Pair(), find_unused_parameters=find_unused)
            weight, other = model.module.part.weight, model.module.other.weight
            optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
            for step in range(5):
                optimizer.zero_grad()
                if step == steps_before and odd:
                    weight.requires_grad_(False)
                if step == 4:
                    weight.requires_grad_(True)
                torch.autograd.backward(model(batch).sum())
                optimizer.step()
                assert (weight.grad is None) == (not weight.requires_grad)
            moved = 0.0 if odd else (4 - steps_before) * others
            wanted = torch.full((1, 2), -(moved + (steps_before + 1) * everyone))
            torch.testing.assert_close(weight.detach(), wanted)
            torch.testing.assert_close(other.detach(), torch.full((1, 2), -5 * everyone))


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
