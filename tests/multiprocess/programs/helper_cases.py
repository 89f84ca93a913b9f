"""Figures, samples and learning rates of several ranks."""

from __future__ import annotations

import torch
from model_case import case, failure, operations, same_everywhere
from torch.utils.data import DataLoader

import farandole.torch as hvd


@case
def figures_are_averaged_in_one_message() -> None:
    rank, size = hvd.rank(), hvd.size()
    mine = {"loss": float(rank), "accuracy": torch.tensor(rank * 10.0)}
    if rank == 1:
        mine = dict(reversed(mine.items()))
    mean = (size - 1) / 2
    assert operations(lambda: hvd.average_metrics(mine)) == 1
    assert hvd.average_metrics(mine) == {"loss": mean, "accuracy": 10 * mean}
    # By numbers of samples; a rank without any has no figure worth the name.
    odd = {"loss": float("nan") if rank == 0 else float(rank)}
    weights = sum(range(size))
    expected = sum(r * r for r in range(size)) / weights
    assert hvd.average_metrics(odd, weight=rank) == {"loss": expected}
    same_everywhere(hvd.average_metrics({"third": 1 / (rank + 3)}, 0.1 * (rank + 1)))
    other = {"a": 1.0, **({"b": 1.0} if rank == size - 1 else {})}
    text = failure(lambda: hvd.average_metrics(other), hvd.MismatchError)
    assert text == (
        f"metrics: rank {size - 1} has 'b', rank 0 has not; give the same names on every rank"
    )
    failure(lambda: hvd.average_metrics({"a": 1.0}, weight=0), hvd.InvalidArgumentError)


@case
def samples_are_divided() -> None:
    sampler = hvd.DistributedSampler(range(11), seed=1)
    sampler.set_epoch(1)
    loader: DataLoader[int] = DataLoader(range(11), batch_size=2, sampler=sampler)  # type: ignore
    mine = [sample for batch in loader for sample in batch.tolist()]
    everyone = hvd.allgather_object(mine)
    assert len({len(one) for one in everyone}) == 1
    assert {sample for one in everyone for sample in one} == set(range(11))


@case
def rates_follow_the_number_of_ranks() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.5)
    hvd.scale_learning_rate(optimizer)
    assert optimizer.param_groups[0]["lr"] == 0.5 * hvd.size()
    warm = hvd.WarmupLR(optimizer, 2)
    seen = []
    for _ in range(3):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        warm.step()
    middle = (0.5 + 0.5 * hvd.size()) / 2
    torch.testing.assert_close(seen, [0.5, middle, 0.5 * hvd.size()])


@case
def rates_of_who_trains_alone_stay() -> None:
    others = hvd.add_process_set(list(range(1, hvd.size())))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.5)
    hvd.scale_learning_rate(optimizer, process_set=others)
    together = others.size() if others.included() else 1
    assert optimizer.param_groups[0]["lr"] == 0.5 * together
    hvd.WarmupLR(optimizer, 2, process_set=others)
    torch.testing.assert_close(optimizer.param_groups[0]["lr"], 0.5)
    hvd.remove_process_set(others)
