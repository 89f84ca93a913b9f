"""What stands around a model, in process sets: each trains a model of its own, at the same time,
against one process that has the batches of all ranks of the set. Who is outside trains alone."""

from __future__ import annotations

import copy
from typing import Any

import torch
from optimizer_combinations import Mixed, gradients_of_all
from sets_common import check
from torch import nn

import farandole.torch as hvd


def train_in_sets(sets: list[hvd.ProcessSet]) -> None:
    """Every rank is in one of them."""
    for one in sets:
        before = hvd.counters()["submitted"]
        optimizers(one)
        moves(one)
        wrapped_model(one)
        batch_norm(one)
        check(hvd.counters()["submitted"] > before, one.size() > 1 and one.included())
    state(next(one for one in sets if one.included()))


def together(process_set: hvd.ProcessSet) -> list[int]:
    """Whose batches this rank's model learns from."""
    return process_set.ranks if process_set.included() else [hvd.rank()]


def same_in(process_set: hvd.ProcessSet, tensors: list[torch.Tensor]) -> None:
    if not process_set.included() or process_set.size() == 1:
        return
    values = [tensor.tolist() for tensor in tensors]
    everyone = hvd.allgather_object(values, process_set=process_set)
    check(everyone, [values] * process_set.size())


def optimizers(mine: hvd.ProcessSet) -> None:
    combinations: list[dict[str, Any]] = [
        {},
        {"groups": 2, "backward_passes_per_step": 2},
        {"groups": 1, "gradient_predivide_factor": 2.0, "sparse_as_dense": True},
        {"op": hvd.Sum, "compression": hvd.Compression.bf16},
    ]
    for options in combinations:
        model = Mixed()
        passes, op = options.get("backward_passes_per_step", 1), options.get("op", hvd.Average)
        wanted = gradients_of_all(model, passes, op, together(mine))
        inner = torch.optim.SGD(model.parameters(), lr=0.1)
        optimizer: Any = hvd.DistributedOptimizer(
            inner, model.named_parameters(), process_set=mine, **options
        )
        assert optimizer.process_set is mine and optimizer.op == op
        for step in range(passes):
            torch.autograd.backward(model.loss(hvd.rank(), step))
        optimizer.synchronize()
        tolerance = 2e-2 if "compression" in options else 1e-5
        for name, p in model.named_parameters():
            # A rank that is alone leaves what it did not use as it is.
            gradient = torch.zeros_like(p) if p.grad is None else p.grad.to_dense()
            torch.testing.assert_close(gradient, wanted[name], rtol=tolerance, atol=tolerance)
        with optimizer.skip_synchronize():
            optimizer.step()
        same_in(mine, list(model.parameters()))


def moves(mine: hvd.ProcessSet) -> None:
    """With Adasum, which makes one of equal ones. A rank outside has another and keeps it."""
    p = nn.Parameter(torch.zeros(3))
    optimizer = hvd.DistributedOptimizer(
        torch.optim.SGD([p], lr=1.0), [("p", p)], op=hvd.Adasum, process_set=mine
    )
    move = 1.0 if mine.included() else hvd.rank() + 2.0
    torch.autograd.backward(p.sum() * move)
    optimizer.step()
    torch.testing.assert_close(p.detach(), torch.full((3,), -move))


def wrapped_model(mine: hvd.ProcessSet) -> None:
    torch.manual_seed(hvd.rank())
    model = hvd.DistributedDataParallel(nn.Linear(3, 2), process_set=mine)
    same_in(mine, list(model.parameters()))
    alone = copy.deepcopy(model.module)
    torch.autograd.backward(model(torch.full((1, 3), hvd.rank() + 1.0)).sum())
    losses = [alone(torch.full((1, 3), rank + 1.0)).sum() for rank in together(mine)]
    torch.autograd.backward(torch.stack(losses).mean())
    for own, one in zip(model.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(own.grad, one.grad)


def batch_norm(mine: hvd.ProcessSet) -> None:
    ranks = together(mine)
    batches = [torch.rand(rank + 2, 3, generator=generator(rank)) for rank in ranks]
    norm, alone = hvd.SyncBatchNorm(3, process_set=mine), nn.BatchNorm1d(3)
    place = ranks.index(hvd.rank())
    own = batches[place].requires_grad_()
    whole = torch.cat([batch.detach() for batch in batches]).requires_grad_()
    torch.autograd.backward(norm(own).pow(3).sum())
    torch.autograd.backward(alone(whole).pow(3).sum())
    assert whole.grad is not None
    part = whole.grad.split([len(batch) for batch in batches])[place]
    torch.testing.assert_close(own.grad, part, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(norm.running_var, alone.running_var)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def state(mine: hvd.ProcessSet) -> None:
    """The root is a rank of the job."""
    root = mine.ranks[-1]
    model = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1 * (hvd.rank() + 1))
    if hvd.rank() == root:
        torch.autograd.backward(model(torch.ones(1, 2)).sum())
        optimizer.step()
    hvd.broadcast_parameters(model.state_dict(), root, process_set=mine)
    hvd.broadcast_optimizer_state(optimizer, root, process_set=mine)
    check(optimizer.param_groups[0]["lr"], 0.1 * (root + 1))
    same_in(
        mine, [*model.parameters(), *(optimizer.state[p]["exp_avg"] for p in model.parameters())]
    )
    ones = torch.eye(2).to_sparse() * (hvd.rank() + 1)
    total = hvd.sparse_allreduce_async(ones, "eye", hvd.Sum, mine)().to_dense()
    check(total.tolist(), (torch.eye(2) * sum(rank + 1 for rank in mine.ranks)).tolist())
    sampler = hvd.DistributedSampler(range(mine.size()), shuffle=False, process_set=mine)
    check(list(sampler), [mine.rank()])
