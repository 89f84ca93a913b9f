"""DistributedOptimizer(op=Adasum) against one process that does what all ranks do, each with its
own optimizer, and combines what they moved by the definition."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from common import report
from optimizer_common import raises
from torch import nn

import farandole.torch as hvd

CASES: list[Callable[[], None]] = []


def case(function: Callable[[], None]) -> Callable[[], None]:
    CASES.append(function)
    return function


def adasum(deltas: Sequence[torch.Tensor]) -> torch.Tensor:
    """The left half is the largest full tree that leaves something to the right one."""
    if len(deltas) == 1:
        return deltas[0].double()
    half = 1 << ((len(deltas) - 1).bit_length() - 1)
    a, b = adasum(deltas[:half]), adasum(deltas[half:])
    aa, bb, ab = (a * a).sum(), (b * b).sum(), (a * b).sum()
    if aa == 0 or bb == 0:
        return a + b
    return (1 - ab / (2 * aa)) * a + (1 - ab / (2 * bb)) * b


class Net(nn.Module):
    """Dense and sparse gradients, a part that rank 1 does not use, a frozen one, and a matrix that
    is not contiguous."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.words = nn.Embedding(9, 4, sparse=True)
        self.first = nn.Linear(4, 6)
        self.second = nn.Linear(6, 1)
        self.frozen = nn.Parameter(torch.ones(3), requires_grad=False)
        self.rare = nn.Parameter(torch.ones(6))
        self.turned = nn.Parameter(torch.randn(6, 6).t())

    def loss(self, rank: int, step: int) -> torch.Tensor:
        words = torch.tensor([rank, (3 * rank + step) % 9, step % 9])
        hidden = torch.tanh(self.first(self.words(words))) @ self.turned
        if rank != 1:
            hidden = hidden * self.rare
        loss: torch.Tensor = (self.second(hidden) - rank - 1).pow(2).mean()
        return loss


Make = Callable[[Net], torch.optim.Optimizer]


def sgd(model: Net) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def adam(model: Net) -> torch.optim.Optimizer:
    """The embedding's gradient is sparse, which Adam does not take."""
    dense = [p for name, p in model.named_parameters() if name != "words.weight"]
    return torch.optim.AdamW(dense, lr=0.02, weight_decay=0.1)


def adam_in_one(model: Net) -> torch.optim.Optimizer:
    """Takes a scaler's scale itself."""
    dense = [p for name, p in model.named_parameters() if name != "words.weight"]
    return torch.optim.AdamW(dense, lr=0.02, weight_decay=0.1, fused=True)


def lbfgs(model: Net) -> torch.optim.Optimizer:
    """LBFGS takes contiguous gradients alone."""
    dense = [*model.first.parameters(), *model.second.parameters(), model.rare]
    return torch.optim.LBFGS(dense, lr=0.01, max_iter=2)


class Alone:
    """All ranks in one process."""

    def __init__(self, make: Make, ranks: Sequence[int]) -> None:
        self.ranks = list(ranks)
        self.models = [Net() for _ in ranks]
        self.optimizers = [make(model) for model in self.models]

    def step(self, steps: Sequence[int], closure: bool = False) -> None:
        before = [p.detach().clone() for p in self.models[0].parameters()]
        for rank, model, optimizer in zip(self.ranks, self.models, self.optimizers, strict=True):
            optimizer.zero_grad()
            if closure:
                optimizer.step(evaluated(model, optimizer, rank, steps[0]))
                continue
            for step in steps:
                torch.autograd.backward(model.loss(rank, step))
            optimizer.step()
        with torch.no_grad():
            for i, start in enumerate(before):
                values = [list(model.parameters())[i] for model in self.models]
                moved = adasum([p - start for p in values]).to(start.dtype)
                for p in values:
                    p.copy_(start + moved)


def evaluated(model: Net, optimizer: Any, rank: int, step: int) -> Callable[[], float]:
    def closure() -> float:
        optimizer.zero_grad()
        loss = model.loss(rank, step)
        torch.autograd.backward(loss)
        return loss.item()

    return closure


def compare(model: Net, alone: Alone, what: object, tolerance: float = 1e-4) -> None:
    for (name, p), q in zip(model.named_parameters(), alone.models[0].parameters(), strict=True):
        text = f"rank {hvd.rank()}, {what}: {name} is {p}, not {q}"
        torch.testing.assert_close(p, q, rtol=tolerance, atol=tolerance, msg=text)


def wrapped(model: Net, make: Make, **options: Any) -> Any:
    optimizer = make(model)
    held = [p for group in optimizer.param_groups for p in group["params"]]
    named = [(name, p) for name, p in model.named_parameters() if any(p is q for q in held)]
    return hvd.DistributedOptimizer(optimizer, named, op=hvd.Adasum, **options)


@case
def optimizers_and_options() -> None:
    every: list[tuple[Make, dict[str, Any], float]] = [
        (sgd, {}, 1e-4),
        (adam, {}, 1e-4),
        (sgd, {"groups": 2}, 1e-4),
        (sgd, {"sparse_as_dense": True}, 1e-4),
        (sgd, {"compression": hvd.Compression.bf16}, 2e-2),
        (sgd, {"backward_passes_per_step": 2}, 1e-4),
    ]
    for make, options, tolerance in every:
        passes = options.get("backward_passes_per_step", 1)
        model, alone = Net(), Alone(make, range(hvd.size()))
        optimizer = wrapped(model, make, **options)
        for number in range(4):
            steps = [number * passes + i for i in range(passes)]
            for step in steps:
                torch.autograd.backward(model.loss(hvd.rank(), step))
            optimizer.step()
            optimizer.zero_grad()
            alone.step(steps)
            compare(model, alone, (make.__name__, options, number), tolerance)


@case
def closures() -> None:
    for make in (sgd, lbfgs):
        model, alone = Net(), Alone(make, range(hvd.size()))
        optimizer = wrapped(model, make)
        for number in range(3):
            loss = optimizer.step(evaluated(model, optimizer, hvd.rank(), number))
            assert loss > 0
            alone.step([number], closure=True)
            compare(model, alone, (make.__name__, number), 1e-3)


@case
def among_the_ranks_of_a_set() -> None:
    ranks = [rank for rank in range(hvd.size()) if rank != 1]
    some = hvd.add_process_set(ranks)
    if some.included():
        model, alone = Net(), Alone(sgd, ranks)
        optimizer = wrapped(model, sgd, process_set=some)
        for number in range(3):
            optimizer.zero_grad()
            torch.autograd.backward(model.loss(hvd.rank(), number))
            optimizer.step()
            alone.step([number])
            compare(model, alone, number)
    hvd.remove_process_set(some)


@case
def gradients_stay_its_own_and_may_be_clipped() -> None:
    model = Net()
    optimizer = wrapped(model, adam)
    torch.autograd.backward(model.loss(hvd.rank(), 0))
    own = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    optimizer.synchronize()
    for p, gradient in zip(model.parameters(), own, strict=True):
        if p.grad is None or gradient is None:
            assert p.grad is gradient
        else:
            assert torch.equal(p.grad.to_dense(), gradient.to_dense())
    dense = [p for p in model.parameters() if p.grad is not None and not p.grad.is_sparse]
    nn.utils.clip_grad_norm_(dense, 0.1)
    raises(optimizer.skip_synchronize, AssertionError, "not supported when using Adasum")
    optimizer.step()
    every = hvd.allgather(model.first.weight.detach().unsqueeze(0), name="clipped")
    assert (every == every[0]).all()


@case
def more_passes_than_said() -> None:
    model = Net()
    optimizer = wrapped(model, sgd)
    torch.autograd.backward(model.loss(0, 0))
    raises(
        lambda: torch.autograd.backward(model.loss(0, 0)),
        AssertionError,
        "more than backward_passes_per_step times",
    )
    optimizer.zero_grad()
    torch.autograd.backward(model.loss(0, 0))
    optimizer.step()


@case
def an_overflow_leaves_the_step_out_everywhere() -> None:
    """Whoever unscales first. Each rank's scaler goes by its own gradients."""
    for make, unscaled_before in ((sgd, False), (sgd, True), (adam_in_one, False)):
        model, alone = Net(), Alone(make, range(hvd.size()))
        optimizer = wrapped(model, make, sparse_as_dense=True)
        scaler = torch.amp.GradScaler("cpu", init_scale=512.0)
        for number in range(4):
            optimizer.zero_grad()
            before = [p.detach().clone() for p in model.parameters()]
            loss = model.loss(hvd.rank(), number)
            if number == 1 and hvd.rank() == 0:
                loss = loss * float("inf")
            torch.autograd.backward(scaler.scale(loss))
            if unscaled_before:
                scaler.unscale_(optimizer)
            scaler.step(optimizer)
            scaler.update()
            if number == 1:
                for p, old in zip(model.parameters(), before, strict=True):
                    assert torch.equal(p, old)
            else:
                alone.step([number])
                compare(model, alone, number)
        assert scaler.get_scale() == (512.0 if hvd.rank() else 256.0)


@case
def who_looks_at_an_optimizer_sends_nothing() -> None:
    """On one rank alone, where the others would not answer; and nothing is left of a step that was
    not taken."""
    model, alone = Net(), Alone(sgd, range(hvd.size()))
    optimizer = wrapped(model, sgd)
    if hvd.rank() == 0:
        before = hvd.counters()["submitted"]
        torch.autograd.backward(model.loss(0, 0) * float("inf"))
        assert optimizer._step_supports_amp_scaling
        assert hvd.counters()["submitted"] == before
    hvd.barrier()
    optimizer.zero_grad()
    torch.autograd.backward(model.loss(hvd.rank(), 0))
    optimizer.step()
    alone.step([0])
    compare(model, alone, "after a look")


@case
def what_a_scaler_told_ends_with_the_step() -> None:
    parameter = nn.Parameter(torch.ones(3 + hvd.rank()))
    optimizer = hvd.DistributedOptimizer(torch.optim.SGD([parameter], lr=0.5), op=hvd.Adasum)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    torch.autograd.backward(scaler.scale(parameter.sum()))
    text = "[3], rank 1 has noname.0: float32 [4]; give every rank the same model"
    raises(lambda: scaler.step(optimizer), hvd.MismatchError, text)
    assert not hasattr(optimizer, "found_inf") and not hasattr(optimizer, "grad_scale")


@case
def two_optimizers_scaled_at_once() -> None:
    """In two threads, whose turns the ranks take as they come."""
    names = ("one", "two")
    start = [nn.Parameter(torch.full((4,), 1.0)) for _ in names]
    optimizers = [
        hvd.DistributedOptimizer(torch.optim.SGD([p], lr=0.5), [(name, p)], op=hvd.Adasum)
        for name, p in zip(names, start, strict=True)
    ]

    def train(which: int) -> None:
        scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=1000)
        for number in range(20):
            optimizers[which].zero_grad()
            overflows = which == 1 and number % 2 == 1 and hvd.rank() == 0
            loss = start[which].sum() * (float("inf") if overflows else 1.0)
            torch.autograd.backward(scaler.scale(loss))
            scaler.step(optimizers[which])
            scaler.update()

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(train, range(2)))
    # Moves are the same on all ranks, and their Adasum is each of them.
    torch.testing.assert_close(start[0].detach(), torch.full((4,), 1.0 - 20 * 0.5))
    torch.testing.assert_close(start[1].detach(), torch.full((4,), 1.0 - 10 * 0.5))


@case
def stored_copied_and_scheduled() -> None:
    model, alone = Net(), Alone(sgd, range(hvd.size()))
    optimizer = wrapped(model, sgd)
    schedulers = [
        torch.optim.lr_scheduler.ExponentialLR(o, 0.5) for o in (optimizer, *alone.optimizers)
    ]

    def step(number: int) -> None:
        optimizer.zero_grad()
        torch.autograd.backward(model.loss(hvd.rank(), number))
        optimizer.step()
        alone.step([number])
        for scheduler in schedulers:
            scheduler.step()
        compare(model, alone, number)

    step(0)
    step(1)
    stored = copy.deepcopy(optimizer.state_dict())
    optimizer.load_state_dict(stored)
    step(2)
    model, optimizer = pickle.loads(pickle.dumps((model, optimizer)))
    schedulers = []
    assert type(optimizer).__mro__[2].__name__ == "_DistributedOptimizer"
    step(3)


@case
def parameters_added_later() -> None:
    model = Net()
    optimizer = hvd.DistributedOptimizer(
        torch.optim.SGD(model.first.parameters(), lr=0.1), op=hvd.Adasum
    )
    optimizer.add_param_group({"params": list(model.second.parameters()), "lr": 0.1})
    torch.autograd.backward(model.loss(hvd.rank(), 0))
    optimizer.step()
    every = hvd.allgather(model.second.weight.detach().unsqueeze(0), name="added")
    assert (every == every[0]).all()
    assert not torch.equal(model.second.weight, Net().second.weight)
    kind = torch.complex64
    raises(
        lambda: hvd.DistributedOptimizer(
            torch.optim.SGD([nn.Parameter(torch.ones(2, dtype=kind))]), op=hvd.Adasum
        ),
        hvd.InvalidArgumentError,
        "op=Adasum is for parameters of real floating-point numbers",
    )


@case
def what_fails_leaves_the_parameters() -> None:
    parameter = nn.Parameter(torch.ones(3))
    narrow = hvd.Compression.bf16 if hvd.rank() == 1 else hvd.Compression.none
    optimizer = hvd.DistributedOptimizer(
        torch.optim.SGD([parameter], lr=0.5), compression=narrow, op=hvd.Adasum
    )
    torch.autograd.backward(parameter.sum())
    raises(optimizer.step, hvd.MismatchError, "dtype")
    assert torch.equal(parameter.detach(), torch.ones(3))


@case
def ranks_that_have_joined() -> None:
    """In step s ranks s and above take part."""

    def plain(model: Net) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=0.1)

    model = Net()
    optimizer = wrapped(model, plain)
    for number in range(hvd.rank() + 1):
        model.load_state_dict(Net().state_dict())
        optimizer.zero_grad()
        torch.autograd.backward(model.loss(hvd.rank(), number))
        optimizer.step()
        alone = Alone(plain, range(number, hvd.size()))
        alone.step([number])
        compare(model, alone, number)
    assert hvd.join() == hvd.size() - 1


def main() -> None:
    hvd.init()
    torch.set_num_threads(1)
    for function in CASES:
        print("case", function.__name__, flush=True)
        function()
    report(hvd.rank(), cases=len(CASES))
    hvd.shutdown()


main()
