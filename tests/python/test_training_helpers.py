"""Samplers and learning rates beside torch's own, and averages of figures, on one rank."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.utils.data as data  # noqa: E402
from torch.optim import lr_scheduler  # noqa: E402

import farandole.torch as hvd  # noqa: E402

pytestmark = pytest.mark.usefixtures("session")


def samples(count: int) -> Any:
    """A data set that is its own numbers."""
    return range(count)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_the_order_is_torchs(shuffle: bool, drop_last: bool) -> None:
    for count, parts in itertools.product((1, 2, 7, 12), (1, 2, 3, 5)):
        for rank in range(parts):
            options: Any = {"shuffle": shuffle, "seed": 3, "drop_last": drop_last}
            if drop_last and count < parts:
                assert list(hvd.DistributedSampler(range(count), parts, rank, **options)) == []
                continue
            ours = hvd.DistributedSampler(range(count), parts, rank, **options)
            theirs: Any = data.DistributedSampler(samples(count), parts, rank, **options)
            for epoch in (0, 4):
                for one in (ours, theirs):
                    one.set_epoch(epoch)
                assert list(ours) == list(theirs), (count, parts, rank)
                assert len(ours) == len(theirs)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize(("before", "after"), [(3, 3), (3, 2), (2, 4)])
def test_resuming_in_the_middle_of_an_epoch(before: int, after: int, drop_last: bool) -> None:
    """By as many ranks, or by others, nothing is left out but what does not divide evenly."""
    samplers = [
        hvd.DistributedSampler(range(23), before, rank, seed=5, drop_last=drop_last)
        for rank in range(before)
    ]
    seen: list[int] = []
    whole: list[list[int]] = []
    for sampler in samplers:
        sampler.set_epoch(2)
        # The loader reads ahead; the program has had two batches of three.
        loader = data.DataLoader(samples(23), batch_size=3, sampler=sampler, num_workers=0)
        batches = [batch.tolist() for batch in loader]
        whole.append([sample for batch in batches for sample in batch])
        for number, batch in enumerate(batches[:2]):
            sampler.record_batch(number, 3)
            seen += batch
    states = [sampler.state_dict() for sampler in samplers]
    assert all(state == {"epoch": 2, "processed": 6 * before} for state in states)
    resumed = [
        hvd.DistributedSampler(range(23), after, rank, seed=5, drop_last=drop_last)
        for rank in range(after)
    ]
    for sampler in resumed:
        sampler.load_state_dict(states[0])
        sampler.set_epoch(2)  # as every loop says that it begins
    lengths = {len(sampler) for sampler in resumed}
    rest = [list(sampler) for sampler in resumed]
    assert lengths == {len(part) for part in rest}
    if before == after:
        assert rest == [part[6:] for part in whole]
    missing = set(range(23)) - set(seen) - set(itertools.chain(*rest))
    assert len(missing) <= (after - 1 if drop_last else 0)
    assert not drop_last or not set(seen) & set(itertools.chain(*rest))
    # The next epoch, and an iteration that nobody announced, are whole again.
    assert [len(list(sampler)) for sampler in resumed] == [len(resumed[0])] * after
    resumed[0].set_epoch(3)
    assert resumed[0].state_dict() == {"epoch": 3, "processed": 0}


def test_an_epoch_that_was_recorded_to_its_end() -> None:
    sampler = hvd.DistributedSampler(range(5), 2, 0)
    assert len(list(sampler)) == 3
    sampler.record_batch(10, 2)
    state = sampler.state_dict()
    assert state == {"epoch": 0, "processed": 6}
    sampler.load_state_dict(state)
    assert list(sampler) == []
    assert len(list(sampler)) == 3


def test_of_this_rank_without_being_told() -> None:
    sampler = hvd.DistributedSampler(range(4), shuffle=False)
    assert (sampler.num_replicas, sampler.rank, list(sampler)) == (1, 0, [0, 1, 2, 3])


def optimizer(**options: Any) -> Any:
    weights = [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]
    return torch.optim.SGD([{"params": weights[0]}, {"params": weights[1], "lr": 2.0}], **options)


def rates(one: Any) -> list[float]:
    return [float(group["lr"]) for group in one.param_groups]


def test_scaling() -> None:
    one = optimizer(lr=1.0)
    hvd.scale_learning_rate(one, 4)
    assert rates(one) == [4.0, 8.0]
    one.add_param_group({"params": torch.nn.Parameter(torch.ones(1))})
    assert rates(one) == [4.0, 8.0, 4.0]
    hvd.scale_learning_rate(one)  # by the number of ranks, which is one
    assert rates(one) == [4.0, 8.0, 4.0]
    lr_scheduler.StepLR(one, 1)
    with pytest.raises(hvd.InvalidArgumentError, match="scale it first"):
        hvd.scale_learning_rate(one, 2)


def test_scaling_of_tensors() -> None:
    shared = torch.tensor(1.0)
    weights = [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]
    one: Any = torch.optim.Adam([{"params": [w]} for w in weights], lr=shared)
    kept = [group["lr"] for group in one.param_groups]
    hvd.scale_learning_rate(one, 3.0)
    assert rates(one) == [3.0, 3.0]
    assert all(group["lr"] is lr for group, lr in zip(one.param_groups, kept, strict=True))
    one.add_param_group({"params": torch.nn.Parameter(torch.ones(1))})
    assert rates(one) == [3.0, 3.0, 3.0]


def test_warm_up() -> None:
    one = optimizer(lr=1.0)
    warm = hvd.WarmupLR(one, 4, start_factor=0.25)
    after = lr_scheduler.StepLR(one, 5, gamma=0.5)
    both = lr_scheduler.ChainedScheduler([warm, after])
    seen = []
    for _ in range(7):
        seen.append(rates(one)[0])
        one.step()
        both.step()
    expected = [0.25, 0.4375, 0.625, 0.8125, 1.0, 0.5, 0.5]
    assert seen == pytest.approx(expected)
    assert rates(one)[1] == pytest.approx(2 * rates(one)[0])
    other = hvd.WarmupLR(optimizer(lr=1.0), 4, start_factor=0.25)
    other.load_state_dict(warm.state_dict())
    assert other.last_epoch == warm.last_epoch
    alone = optimizer(lr=1.0)
    hvd.WarmupLR(alone, 4)
    assert rates(alone) == [1.0, 2.0], "one rank has nothing to warm up for"


def test_averages_of_one_rank() -> None:
    got = hvd.average_metrics({"a": torch.tensor([2.0]), "b": 3, "c": True}, weight=7)
    assert got == {"a": 2.0, "b": 3.0, "c": 1.0}
    assert all(type(value) is float for value in got.values())
    assert hvd.average_metrics({}) == {}
