"""What users do to an optimizer while it lives: parameters come, go, freeze and thaw; copies;
several at once; gradients touched at the wrong time."""

from __future__ import annotations

import copy
import functools
import itertools
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


def given(p: torch.Tensor) -> bool:
    """Whether the step gave it a gradient, of which something is left."""
    return p.grad is not None and bool(p.grad.to_dense().any())


@case
def frozen_on_one_rank_alone() -> None:
    """From the first step on, or from the second: others go on, with zeros of that rank."""
    last = hvd.size() - 1
    sums = sum(range(1, last + 1)) / hvd.size()
    kinds: list[Any] = [{}, {"groups": 1}, {"compression": hvd.Compression.fp16}]
    for options, set_to_none in itertools.product(kinds, (True, False)):
        for steps_before in range(2):
            tensors = parameters(3)
            optimizer = distributed(tensors, **options)
            for step in range(4):
                optimizer.zero_grad(set_to_none)
                if step == steps_before and hvd.rank() == last:
                    tensors[1].requires_grad_(False)
                backward(tensors)
                optimizer.step()
                assert given(tensors[1]) == tensors[1].requires_grad
            expect([tensors[0]], 4 * mean())
            moved = 0.0 if hvd.rank() == last else (4 - steps_before) * sums
            wanted = torch.full((2,), -2 * (moved + steps_before * mean()))
            torch.testing.assert_close(tensors[1].detach(), wanted)
            tensors[1].requires_grad_(True)
            before = tensors[1].detach().clone()
            optimizer.zero_grad()
            backward(tensors)
            optimizer.step()
            torch.testing.assert_close(tensors[1].detach(), before - 2 * mean())


@case
def rows_frozen_on_one_rank_alone() -> None:
    last = hvd.size() - 1
    for sparse_as_dense, set_to_none in itertools.product((False, True), repeat=2):
        for steps_before in range(2):
            rows = nn.Embedding(4, 2, sparse=True)
            with torch.no_grad():
                rows.weight.zero_()
            plain = torch.optim.SGD(rows.parameters(), lr=1.0)
            options: Any = {"sparse_as_dense": sparse_as_dense}
            optimizer = hvd.DistributedOptimizer(plain, rows.named_parameters(), **options)
            for step in range(3):
                optimizer.zero_grad(set_to_none)
                if step == steps_before and hvd.rank() == last:
                    rows.weight.requires_grad_(False)
                if rows.weight.requires_grad:
                    torch.autograd.backward(rows(torch.tensor([1])).sum())
                optimizer.step()
                assert given(rows.weight) == rows.weight.requires_grad
            moved = 0.0 if hvd.rank() == last else (3 - steps_before) * last / hvd.size()
            wanted = torch.zeros(4, 2)
            wanted[1] = -moved - steps_before
            torch.testing.assert_close(rows.weight.detach(), wanted)


@case
def frozen_on_one_rank_alone_with_adasum() -> None:
    if hvd.size() != 2:
        return  # of two, whose gradients are parallel, the sum is the mean
    last = hvd.size() - 1
    for steps_before, set_to_none in itertools.product(range(2), (True, False)):
        tensors = parameters(2)
        optimizer = distributed(tensors, op=hvd.Adasum)
        for step in range(3):
            optimizer.zero_grad(set_to_none)
            if step == steps_before and hvd.rank() == last:
                tensors[1].requires_grad_(False)
            backward(tensors)
            optimizer.step()
        expect([tensors[0]], 3 * 1.5)
        moved = 0.0 if hvd.rank() == last else 1.0 * (3 - steps_before)
        wanted = torch.full((2,), -2 * (moved + steps_before * 1.5))
        torch.testing.assert_close(tensors[1].detach(), wanted)


@case
def frozen_on_one_rank_alone_after_a_part_of_its_gradient() -> None:
    """What backward brought before counts; what an older step left in it does not."""
    last = hvd.size() - 1
    odd = hvd.rank() == last
    sums = sum(range(1, last + 1)) / hvd.size()
    for groups in (None, 1):
        tensors = parameters(2)
        optimizer = distributed(tensors, backward_passes_per_step=2, groups=groups)
        own = 2.0 * hvd.rank() + 2
        for wanted in (own if odd else mean() * 2 + 2 * sums, own if odd else 4 * sums):
            for _ in range(2):
                backward(tensors)
                tensors[1].requires_grad_(not odd)
            optimizer.synchronize()
            assert tensors[1].grad is not None
            torch.testing.assert_close(tensors[1].grad, torch.full((2,), wanted))
            for p in tensors:
                p.grad = p.grad if odd and p is tensors[1] else None


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
        torch.testing.assert_close(weight[step], torch.full((2,), -1.0 / hvd.size() * used))


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


@case
def ranks_with_unlike_parameters() -> None:
    """The same error on every rank, at the first exchange and after parameters have come."""
    odd = hvd.rank() == 1
    for as_dense in (False, True):
        tensors = [nn.Parameter(torch.zeros(2)) for _ in range(1 + odd)]
        optimizer: Any = hvd.DistributedOptimizer(
            torch.optim.SGD(tensors, lr=1.0), sparse_as_dense=as_dense
        )
        backward(tensors)
        text = (
            "DistributedOptimizer: ranks disagree: rank 1 has noname.1: float32 [2], which rank 0 "
            "has not; give every rank the same model (names, shapes and dtypes), and its "
            "DistributedOptimizer the same op and sparse_as_dense"
        )
        for _ in range(2):  # nobody has gone on
            raises(optimizer.step, hvd.MismatchError, text)
    p = nn.Parameter(torch.zeros(2, dtype=torch.float64 if odd else torch.float32))
    optimizer = distributed([p])
    text = "rank 0 has p0: float32 [2], rank 1 has p0: float64 [2]"
    raises(optimizer.synchronize, hvd.MismatchError, text)
    optimizer = distributed(parameters(1), sparse_as_dense=odd)
    text = "rank 0 has sparse_as_dense=False, rank 1 has sparse_as_dense=True"
    raises(optimizer.synchronize, hvd.MismatchError, text)
    optimizer = distributed(parameters(1 + odd), op=hvd.Adasum)
    raises(optimizer.step, hvd.MismatchError, "rank 1 has p1: float32 [2], which rank 0 has not")
    tensors = parameters(1)
    optimizer = distributed(tensors)
    backward(tensors)
    optimizer.step()
    added = nn.Parameter(torch.zeros(3 + odd))
    optimizer.zero_grad()
    optimizer.add_param_group({"params": [added]})
    text = "rank 0 has noname.0: float32 [3], rank 1 has noname.0: float32 [4]"
    raises(optimizer.synchronize, hvd.MismatchError, text)
    hvd.barrier()


@case
def names_in_any_order() -> None:
    """Layouts go by names, as gradients do."""
    embedding = nn.Embedding(4, 2, sparse=True)
    nn.init.zeros_(embedding.weight)
    other = nn.Parameter(torch.zeros(1))
    named = [("words", embedding.weight), ("other", other)]
    if hvd.rank() == 1:
        named.reverse()
    optimizer = hvd.DistributedOptimizer(torch.optim.SGD([p for _, p in named], lr=1.0), named)
    loss = other.sum() if hvd.rank() else embedding(torch.tensor([1])).sum()
    torch.autograd.backward(loss)
    optimizer.step()
    torch.testing.assert_close(embedding.weight[1].detach(), torch.full((2,), -1 / hvd.size()))
    torch.testing.assert_close(other.item(), -(hvd.size() - 1) / hvd.size(), rtol=1e-6, atol=0)


@case
def ranks_with_unlike_parameters_and_a_scaler() -> None:
    """With Adasum they tell each other of overflows first; a rank may have no parameter at all."""
    for mine, text in (
        (("b",) if hvd.rank() == 0 else ("a", "b"), "rank 0 has b: float32 [2], rank 1 has a: "),
        (() if hvd.rank() == 0 else ("a",), "rank 1 has a: float32 [2], which rank 0 has not"),
    ):
        named = [(name, nn.Parameter(torch.ones(2))) for name in mine]
        inner = torch.optim.SGD([{"params": [p for _, p in named]}], lr=0.5)
        optimizer: Any = hvd.DistributedOptimizer(inner, named, op=hvd.Adasum)
        scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
        loss = scaler.scale(sum((p.sum() for _, p in named), torch.zeros((), requires_grad=True)))
        torch.autograd.backward(loss)
        raises(functools.partial(scaler.step, optimizer), hvd.MismatchError, text)
        assert all(torch.equal(p.detach(), torch.ones(2)) for _, p in named)


def step_at_once(*several: tuple[Any, list[nn.Parameter]]) -> None:
    """Gradients of all are on their way before any is waited for."""
    for optimizer, tensors in several:
        optimizer.zero_grad()
        for p in tensors:
            p.data.zero_()
        backward(tensors)
    for optimizer, tensors in several:
        optimizer.step()
        expect(tensors, mean())


@case
def copies_on_one_rank_do_not_count() -> None:
    tensors = parameters()
    optimizer = distributed(tensors)
    both: Any = (optimizer, tensors)
    copies = [copy.deepcopy(both), pickle.loads(pickle.dumps(both))] if hvd.rank() == 0 else []
    later = parameters()
    step_at_once((optimizer, tensors), (distributed(later), later))
    assert all(torch.equal(p, torch.zeros_like(p)) for _, tensors in copies for p in tensors)


@case
def optimizers_that_could_not_be_made_do_not_count() -> None:
    if hvd.rank() == 1:
        for wrong in ({"backward_passes_per_step": 0}, {"groups": [3]}, {"op": 99}):
            try:
                distributed(parameters(), **wrong)
            except (hvd.InvalidArgumentError, TypeError, ValueError):
                continue
            raise RuntimeError(f"{wrong} is right")
    tensors = parameters()
    step_at_once((distributed(tensors), tensors))


@case
def optimizers_that_outlive_their_session() -> None:
    """Beside those that are made in the next one, of the same names and of others."""
    tensors = parameters()
    optimizer = distributed(tensors)
    step_at_once((optimizer, tensors))
    hvd.shutdown()
    hvd.init()
    same, other = parameters(), parameters(2)
    inner = torch.optim.SGD(other, lr=1.0)
    named = [(f"other{i}", p) for i, p in enumerate(other)]
    unlike = (hvd.DistributedOptimizer(inner, named), other)
    step_at_once(unlike, (optimizer, tensors), (distributed(same), same))
    step_at_once((optimizer, tensors))
