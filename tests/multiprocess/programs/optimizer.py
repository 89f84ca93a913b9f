"""DistributedOptimizer's options and mistakes, each against gradients that a rank can compute by
itself: rank r has the gradient r + 1 times that of rank 0."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

import optimizer_combinations as optimizer_combinations
import optimizer_compressors as optimizer_compressors
import optimizer_lives as optimizer_lives
import shared_parameters as shared_parameters
import torch
from common import report
from optimizer_common import CASES, backward, case, distributed, expect, mean, parameters, raises
from torch import nn

import farandole.torch as hvd


@case
def average_and_sum() -> None:
    for op, factor in ((hvd.Average, mean()), (hvd.Sum, mean() * hvd.size())):
        tensors = parameters()
        optimizer = distributed(tensors, op=op)
        assert isinstance(optimizer, torch.optim.SGD)
        backward(tensors)
        optimizer.step()
        expect(tensors, factor)


@case
def compression() -> None:
    for compression in (hvd.Compression.fp16, hvd.Compression.bf16):
        tensors = parameters()
        optimizer = distributed(tensors, compression=compression)
        backward(tensors)
        optimizer.step()
        expect(tensors, mean(), 1e-2)
        assert tensors[0].grad is not None
        assert tensors[0].grad.dtype == torch.float32


@case
def predivide() -> None:
    tensors = parameters()
    optimizer = distributed(tensors, gradient_predivide_factor=4.0)
    backward(tensors)
    optimizer.step()
    expect(tensors, mean())


@case
def groups() -> None:
    tensors = parameters(6)
    for option in (2, 100, [[tensors[5], tensors[0]], [tensors[2]]]):
        for p in tensors:
            p.data.zero_()
        optimizer = distributed(tensors, groups=option)
        for _ in range(2):
            optimizer.zero_grad()
            backward(tensors)
            optimizer.step()
        expect(tensors, 2 * mean())


@case
def groups_with_unused_member() -> None:
    tensors = parameters(4)
    optimizer = distributed(tensors, groups=[tensors])
    backward(tensors[: 3 if hvd.rank() else 4])
    optimizer.step()
    expect(tensors[:3], mean())


@case
def several_backward_passes() -> None:
    tensors = parameters()
    optimizer = distributed(tensors, backward_passes_per_step=2)
    for _ in range(2):
        backward(tensors)
    optimizer.step()
    expect(tensors, 2 * mean())
    optimizer.zero_grad()
    optimizer.set_backward_passes_per_step(1)
    backward(tensors)
    optimizer.step()
    expect(tensors, 3 * mean())


@case
def several_scaled_backward_passes() -> None:
    """The scaler looks at gradients that are all ranks' sums over the passes."""
    tensors = parameters()
    optimizer = distributed(tensors, backward_passes_per_step=2)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for spoilt in (False, True):
        optimizer.zero_grad()
        for number in range(2):
            parts = [((hvd.rank() + 1) * p * (i + 1)).sum() for i, p in enumerate(tensors)]
            alone = spoilt and number == 0 and hvd.rank() == 0
            torch.autograd.backward(
                scaler.scale(torch.stack(parts).sum() * (float("inf") if alone else 1.0))
            )
        scaler.step(optimizer)
        scaler.update()
    expect(tensors, 2 * mean())
    assert scaler.get_scale() == 2.0


@case
def gradients_in_any_memory() -> None:
    """Not contiguous, complex, and one that the program has expanded itself."""
    weight = nn.Parameter(torch.ones(2, 3, 4, 4).to(memory_format=torch.channels_last))
    turned = nn.Parameter(torch.zeros(3, dtype=torch.complex64))
    expanded = nn.Parameter(torch.zeros(3))
    named = [("weight", weight), ("turned", turned), ("expanded", expanded)]
    optimizer = hvd.DistributedOptimizer(torch.optim.SGD([p for _, p in named], lr=1.0), named)
    values = torch.arange(96.0).view(2, 3, 4, 4)
    loss = (weight * values).sum() + (turned.real - turned.imag).sum()
    torch.autograd.backward(loss * (hvd.rank() + 1.0))
    assert weight.grad is not None
    assert not weight.grad.is_contiguous()
    expanded.grad = torch.tensor(hvd.rank() + 1.0).expand(3)
    optimizer.step()
    torch.testing.assert_close(weight.detach(), 1 - values * mean(), check_stride=False)
    torch.testing.assert_close(turned.detach(), torch.full((3,), complex(-mean(), mean())))
    torch.testing.assert_close(expanded.detach(), torch.full((3,), -mean()))


@case
def fewer_backward_passes_than_announced() -> None:
    tensors = parameters()
    optimizer = distributed(tensors, backward_passes_per_step=3)
    backward(tensors)
    optimizer.step()
    expect(tensors, mean())


@case
def unused_parameters() -> None:
    """A parameter that only rank 0 used counts as zero on the others."""
    tensors = parameters(2)
    optimizer = distributed(tensors)
    backward(tensors if hvd.rank() == 0 else tensors[:1])
    optimizer.step()
    expect(tensors[:1], mean())
    torch.testing.assert_close(tensors[1].detach(), torch.full((2,), -2.0 / hvd.size()))


@case
def closure() -> None:
    tensors = parameters()
    optimizer = distributed(tensors)

    def compute() -> float:
        optimizer.zero_grad()
        backward(tensors)
        return 1.0

    assert optimizer.step(compute) == 1.0
    expect(tensors, mean())


@case
def lbfgs() -> None:
    p = nn.Parameter(torch.full((3,), 5.0))
    inner = torch.optim.LBFGS([p], max_iter=5)
    optimizer: Any = hvd.DistributedOptimizer(inner, [("p", p)])

    def compute() -> torch.Tensor:
        optimizer.zero_grad()
        loss = ((p - hvd.rank()) ** 2).sum()
        torch.autograd.backward(loss)
        return hvd.allreduce(loss.detach())

    optimizer.step(compute)
    torch.testing.assert_close(p.detach(), torch.full((3,), (hvd.size() - 1) / 2))


@case
def synchronize_then_clip() -> None:
    tensors = parameters()
    optimizer = distributed(tensors)
    backward(tensors)
    optimizer.synchronize()
    for p in tensors:
        assert p.grad is not None
        p.grad /= 2
    with optimizer.skip_synchronize():
        optimizer.step()
    expect(tensors, mean() / 2)
    optimizer.zero_grad()
    backward(tensors)
    optimizer.synchronize()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        optimizer.step()
    assert any("skip_synchronize" in str(w.message) for w in caught)


@case
def mistakes() -> None:
    tensors = parameters()
    optimizer = distributed(tensors)
    backward(tensors)
    raises(lambda: backward(tensors), AssertionError, "backward_passes_per_step")
    raises(optimizer.zero_grad, AssertionError, "race condition")
    raises(optimizer.step, AssertionError, "p3 was changed while it was exchanged")
    optimizer.zero_grad(set_to_none=True)
    assert tensors[0].grad is None


def embeds(rows: int, columns: int, **arguments: Any) -> tuple[nn.Embedding, Any]:
    """Zeros whose gradients are sparse, and an optimizer of them that is made with these."""
    embedding = nn.Embedding(rows, columns, sparse=True)
    nn.init.zeros_(embedding.weight)
    sgd = torch.optim.SGD(embedding.parameters(), lr=1.0)
    return embedding, hvd.DistributedOptimizer(sgd, embedding.named_parameters(), **arguments)


@case
def sparse() -> None:
    for as_dense in (False, True):
        embedding, optimizer = embeds(10, 3, sparse_as_dense=as_dense)
        embedding(torch.tensor([hvd.rank(), hvd.rank(), 9])).sum().backward()
        optimizer.step()
        expected = torch.zeros(10, 3)
        for rank in range(hvd.size()):
            expected[rank] -= 2 / hvd.size()
        expected[9] = -1
        torch.testing.assert_close(embedding.weight.detach(), expected)


@case
def sparse_gradients_of_one_number() -> None:
    """Whose values have a stride of 0, as the gradient of a sum has."""
    for as_dense in (False, True):
        embedding, optimizer = embeds(8, 1, op=hvd.Sum, sparse_as_dense=as_dense)
        embedding(torch.tensor([hvd.rank()])).sum().backward()
        optimizer.step()
        expected = torch.zeros(8, 1)
        expected[: hvd.size()] = -1
        torch.testing.assert_close(embedding.weight.detach(), expected)


@case
def unnamed_parameters_of_several_groups() -> None:
    tensors = parameters()
    groups: Any = [{"params": tensors[:2]}, {"params": tensors[2:], "lr": 1.0}]
    optimizer = hvd.DistributedOptimizer(torch.optim.SGD(groups, lr=1.0))
    backward(tensors)
    optimizer.step()
    expect(tensors, mean())


@case
def discarded_optimizer_does_nothing() -> None:
    tensors = parameters()
    optimizer = distributed(tensors)
    del optimizer
    optimizer = distributed(tensors)
    backward(tensors)
    optimizer.step()
    expect(tensors, mean())


@case
def state_of_optimizers() -> None:
    for kind in (torch.optim.AdamW, torch.optim.SGD, torch.optim.Adagrad, torch.optim.LBFGS):
        p = nn.Parameter(torch.full((3,), 2.0))
        options: dict[str, Any] = {"momentum": 0.9} if kind is torch.optim.SGD else {}
        inner = kind([p], lr=0.1 * (hvd.rank() + 1), **options)
        if hvd.rank() == 0:
            step: Any = inner.step
            step(lambda q=p, o=inner: _half_square(q, o))
        optimizer = hvd.DistributedOptimizer(inner, [("p", p)])
        before = p.detach().clone()
        hvd.broadcast_optimizer_state(optimizer, root_rank=0)
        assert torch.equal(p.detach(), before), "no step was taken"
        described = repr(optimizer.state_dict())
        assert hvd.allgather_object(described) == [described] * hvd.size()
        assert optimizer.param_groups[0]["lr"] == 0.1
        hvd.broadcast_parameters([("p", p)], root_rank=0)


def _half_square(p: nn.Parameter, optimizer: torch.optim.Optimizer) -> torch.Tensor:
    optimizer.zero_grad()
    loss: torch.Tensor = (p**2).sum() / 2
    torch.autograd.backward(loss)
    return loss


@case
def scheduler_and_hooks() -> None:
    tensors = parameters()
    inner = torch.optim.SGD(tensors, lr=1.0)
    early = torch.optim.lr_scheduler.StepLR(inner, 1, gamma=0.5)
    calls: list[str] = []
    inner.register_step_pre_hook(lambda *_: calls.append("pre"))
    optimizer = hvd.DistributedOptimizer(inner, [(f"p{i}", p) for i, p in enumerate(tensors)])
    optimizer.load_state_dict(optimizer.state_dict())
    backward(tensors)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the scheduler looks for steps of the inner one
        optimizer.step()
        early.step()
    unstepped = torch.optim.SGD(parameters(), lr=1.0)
    hasty = torch.optim.lr_scheduler.StepLR(unstepped, 1)
    kept = hvd.DistributedOptimizer(unstepped)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        hasty.step()
    assert ["before `optimizer.step()`" in str(one.message) for one in caught] == [True], caught
    del kept
    assert calls == ["pre"], calls
    expect(tensors, mean())
    assert optimizer.param_groups[0]["lr"] == 0.5
    late = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    optimizer.zero_grad()
    backward(tensors)
    optimizer.step()
    late.step()
    expect(tensors, mean() * 1.5)


class Whereabouts(torch.utils.data.Dataset[tuple[int, bool]]):
    """Tells which process reads an item, and whether that one believes to be a rank."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> tuple[int, bool]:
        return os.getpid(), hvd.is_initialized()


@case
def forked_workers_of_a_loader() -> None:
    tensors = parameters()
    optimizer = distributed(tensors)
    loader = torch.utils.data.DataLoader(
        Whereabouts(), num_workers=2, multiprocessing_context="fork"
    )
    steps = 0
    for process, initialized in loader:
        assert process.item() != os.getpid()
        assert not initialized.item()
        optimizer.zero_grad()
        backward(tensors)
        optimizer.step()
        steps += 1
    expect(tensors, steps * mean())


@case
def mismatch_leaves_the_optimizer_usable() -> None:
    tensors = parameters()
    optimizer = distributed(tensors)
    other = distributed([nn.Parameter(torch.zeros(7 + hvd.rank()))])
    backward(other.param_groups[0]["params"])
    raises(other.step, hvd.MismatchError, "p0")
    backward(tensors)
    optimizer.step()
    expect(tensors, mean())


def run() -> int:
    """How many cases have passed."""
    hvd.init()
    torch.set_num_threads(1)
    chosen = [f for f in CASES if len(sys.argv) < 2 or sys.argv[1] in f.__name__]
    for function in chosen:
        print("case", function.__name__, flush=True)
        function()
    return len(chosen)


if __name__ == "__main__":
    passed = run()
    report(hvd.rank(), cases=passed)
