"""What users do to an optimizer while it lives: parameters come, go, freeze and thaw; copies;
several at once; gradients touched at the wrong time."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import torch
from optimizer_common import backward, case, distributed, expect, mean, parameters, raises
from torch import nn

import farandole.torch as hvd


@case
def parameters_added_later() -> None:
    for by_inner in (False, True):
        tensors = parameters(4)
        inner = torch.optim.SGD(tensors[:2], lr=1.0)
        named = [(f"p{i}", p) for i, p in enumerate(tensors[:3])]
        optimizer: Any = hvd.DistributedOptimizer(inner, named)
        backward(tensors)
        optimizer.step()
        expect(tensors[:2], mean())
        (inner if by_inner else optimizer).add_param_group({"params": tensors[2:], "lr": 1.0})
        for p in tensors:
            p.data.zero_()
        optimizer.zero_grad()
        for _ in range(2):
            backward(tensors)
            optimizer.step()
            optimizer.zero_grad()
        expect(tensors, 2 * mean())
        assert list(optimizer._parameter_names.values()) == ["p0", "p1", "p2", "noname.0"]
        del optimizer.param_groups[1]
        backward(tensors[:2])
        optimizer.step()
        expect(tensors[:2], 3 * mean())


@case
def frozen_and_thawed() -> None:
    for groups in (None, 1):
        tensors = parameters(3)
        tensors[2].requires_grad_(False)
        optimizer = distributed(tensors, groups=groups)

        def step(used: list[nn.Parameter], optimizer: Any = optimizer) -> None:
            optimizer.zero_grad()
            backward(used)
            optimizer.step()

        step(tensors[:2])
        expect(tensors[:2], mean())
        assert tensors[2].grad is None
        tensors[2].requires_grad_(True)
        tensors[0].requires_grad_(False)
        for _ in range(2):
            step(tensors)
        expect(tensors[:1], mean())
        torch.testing.assert_close(tensors[2].detach(), torch.full((3,), -6 * mean()))
        tensors[0].requires_grad_(True)
        step(tensors)
        expect(tensors[:1], 2 * mean())


@case
def two_models_with_the_same_names_at_once() -> None:
    first, second = parameters(), parameters()
    both = [distributed(first), distributed(second)]
    backward([*first])
    backward([*second])
    for optimizer in both if hvd.rank() == 0 else reversed(both):
        optimizer.synchronize()
    for optimizer in both:
        with optimizer.skip_synchronize():
            optimizer.step()
    expect(first, mean())
    expect(second, mean())


@case
def copies_go_on_by_themselves() -> None:
    tensors = parameters()
    named = [(f"p{i}", p) for i, p in enumerate(tensors)]
    inner = torch.optim.SGD(tensors, lr=1.0, momentum=0.5)
    optimizer: Any = hvd.DistributedOptimizer(inner, named, groups=2, backward_passes_per_step=2)
    for _ in range(2):
        backward(tensors)
    optimizer.step()
    both: Any = (optimizer, tensors)
    for copied, copies in (pickle.loads(pickle.dumps(both)), copy.deepcopy(both)):
        assert torch.optim.SGD in type(copied).__mro__
        assert type(copied).__name__ == "SGD"
        assert copied.backward_passes_per_step == 2
        assert list(copied._parameter_names.values()) == [name for name, _ in named]
        copied.zero_grad()
        for _ in range(2):
            backward(copies)
        copied.step()
        expect(copies, 2 * mean() * (1 + 1.5))  # with momentum
    expect(tensors, 2 * mean())


@case
def sparse_gradient_that_one_rank_has_first() -> None:
    """The others send nothing of it, as a sparse tensor; when nobody has one they ask again."""
    embedding = nn.Embedding(4, 2, sparse=True)
    nn.init.zeros_(embedding.weight)
    other = nn.Parameter(torch.zeros(1))
    named = [("words", embedding.weight), ("other", other)]
    optimizer = hvd.DistributedOptimizer(torch.optim.SGD([p for _, p in named], lr=1.0), named)
    for step in range(3):
        optimizer.zero_grad()
        loss = other.sum()
        if hvd.rank() == step - 1:
            loss = loss + embedding(torch.tensor([step])).sum()
        torch.autograd.backward(loss)
        optimizer.step()
        weight = embedding.weight.detach()
        used = 0 < step <= hvd.size()
        assert weight[step].tolist() == [-1 / hvd.size() * used] * 2, weight


class Remembers:
    """Sends whole numbers, and what it cut off the next time."""

    def __init__(self) -> None:
        self.rest: torch.Tensor | float = 0.0

    def compress(self, tensor: torch.Tensor) -> tuple[torch.Tensor, None]:
        wanted = tensor + self.rest
        self.rest = wanted - wanted.floor()
        return wanted.floor(), None

    def decompress(self, tensor: torch.Tensor, _: None) -> torch.Tensor:
        return tensor


class OneForEach:
    """A compressor with a state for each parameter."""

    def __init__(self) -> None:
        self.made: dict[str, Remembers] = {}

    def for_parameter(self, name: str) -> Remembers:
        assert name not in self.made
        return self.made.setdefault(name, Remembers())

    def compress(self, tensor: torch.Tensor) -> Any:
        raise AssertionError("each parameter has one of its own")

    decompress = compress


@case
def compressors_with_a_state() -> None:
    compression: Any = OneForEach()
    tensors = parameters(2)
    optimizer = distributed(tensors, compression=compression, groups=1)
    for _ in range(4):
        optimizer.zero_grad()
        parts = [((hvd.rank() + 1) * 0.25 * p).sum() for p in tensors]
        torch.autograd.backward(torch.stack(parts).sum())
        optimizer.step()
    for p in tensors:  # four times a quarter, exactly
        torch.testing.assert_close(p.detach(), torch.full_like(p, -mean()))
    assert list(compression.made) == ["p0", "p1"]


@case
def gradients_changed_while_they_are_exchanged() -> None:
    tensors = parameters()
    optimizer = distributed(tensors)
    backward(tensors)
    nn.utils.clip_grad_norm_(tensors, 1e-3)
    raises(optimizer.step, AssertionError, "was changed while it was exchanged; call")
    optimizer.zero_grad()
    backward(tensors)
    optimizer.step()
    expect(tensors, mean())


@case
def a_step_after_synchronize_exchanges_nothing() -> None:
    tensors = parameters()
    optimizer = distributed(tensors)
    backward(tensors)
    optimizer.synchronize()
    before = hvd.counters()["submitted"]
    with optimizer.skip_synchronize():
        optimizer.step()
    optimizer.zero_grad()
    assert hvd.counters()["submitted"] == before
    state = copy.deepcopy(optimizer.state_dict())
    optimizer.load_state_dict(state)
    backward(tensors)
    optimizer.step()
    expect(tensors, 2 * mean())
