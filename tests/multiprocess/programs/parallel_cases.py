"""DistributedDataParallel against one process that has the batches of all ranks."""

from __future__ import annotations

import copy
import gc
import io
import weakref
from dataclasses import dataclass
from typing import Any

import torch
from model_case import case, failure, operations, same_everywhere
from optimizer_common import OneForEach
from torch import nn
from torch.utils.checkpoint import checkpoint

import farandole.torch as hvd


class Net(nn.Module):
    """Has a buffer, a weight in two places, and parts that are used only where asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.norm = nn.BatchNorm1d(4, affine=False)
        self.never = nn.Linear(4, 4)
        self.sometimes = nn.Linear(4, 4)
        self.rows = nn.Embedding(6, 4, sparse=True)

    def forward(self, batch: torch.Tensor, extra: bool = False) -> dict[str, list[torch.Tensor]]:
        hidden = self.second(torch.tanh(self.first(batch)))
        if extra:
            hidden = self.sometimes(hidden) + self.rows(torch.tensor([1, 1])).sum(0)
        return {"out": [hidden]}


def net(seed: int) -> Any:
    torch.manual_seed(seed)
    return Net().double()


def wrapped(module: nn.Module, **options: Any) -> Any:
    return hvd.DistributedDataParallel(module, **options)


def batch(seed: int) -> torch.Tensor:
    return torch.rand(3, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def loss_of(model: Any, seed: int, extra: bool = False) -> torch.Tensor:
    (output,) = model(batch(seed), extra=extra)["out"]
    loss: torch.Tensor = output.pow(2).mean()
    return loss


def averaged(model: Any, losses: list[list[torch.Tensor]]) -> None:
    """The one process's step: the mean over the ranks of each rank's sum of losses."""
    total = torch.stack([torch.stack(one).sum() for one in losses]).sum() / len(losses)
    torch.autograd.backward(total)


def compare(model: Any, reference: Any) -> None:
    for (name, own), (other, one) in zip(
        model.named_parameters(), reference.named_parameters(), strict=True
    ):
        assert name == other
        assert (own.grad is None) == (one.grad is None), name
        if own.grad is not None:
            assert own.grad.is_sparse == one.grad.is_sparse, name
            torch.testing.assert_close(own.grad.to_dense(), one.grad.to_dense())


def clear(*models: Any) -> None:
    for model in models:
        model.zero_grad(set_to_none=True)


@case
def gradients_are_those_of_one_process() -> None:
    reference = net(0)
    model = wrapped(net(hvd.rank()))
    same_everywhere([p.detach() for p in model.parameters()])
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.1)
    whole = torch.optim.AdamW(reference.parameters(), weight_decay=0.1)
    reference.rows, model.module.rows = reference.rows.requires_grad_(False), model.module.rows
    model.module.rows.requires_grad_(False)
    ranks = range(hvd.size())
    for step in range(4):
        # A part that only the last rank uses in some steps, and nobody in others.
        uses = [step % 2 == 1 and rank == hvd.size() - 1 for rank in ranks]
        loss = loss_of(model, 10 * step + hvd.rank(), uses[hvd.rank()])
        torch.autograd.backward(loss)
        averaged(reference, [[loss_of(reference, 10 * step + r, uses[r])] for r in ranks])
        compare(model, reference)
        optimizer.step(), whole.step()
        clear(model, reference)
    for own, one in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(own, one)
    assert torch.equal(model.module.never.weight, net(0).never.weight), "nobody used it"
    same_everywhere([p.detach() for p in model.parameters()])


@case
def sparse_gradients_that_one_rank_has() -> None:
    reference = net(0)
    model = wrapped(net(0))
    uses = [rank == 1 for rank in range(hvd.size())]
    torch.autograd.backward(loss_of(model, hvd.rank(), uses[hvd.rank()]))
    averaged(reference, [[loss_of(reference, r, uses[r])] for r in range(hvd.size())])
    compare(model, reference)


@case
def no_sync_adds_up_locally() -> None:
    reference = net(0)
    model = wrapped(net(0), broadcast_buffers=False)
    model.module.rows.requires_grad_(False)
    reference.rows.requires_grad_(False)

    def quietly() -> None:
        with model.no_sync():
            for seed in (1, 2):  # only rank 0 uses all of it, and only here
                extra = hvd.rank() == 0 and seed == 1
                torch.autograd.backward(loss_of(model, 10 * seed + hvd.rank(), extra))

    for _ in range(2):
        assert operations(quietly) == 0
        torch.autograd.backward(loss_of(model, 30 + hvd.rank()))
        averaged(
            reference,
            [
                [loss_of(reference, 10 * s + r, r == 0 and s == 1) for s in (1, 2, 3)]
                for r in range(hvd.size())
            ],
        )
        compare(model, reference)
        # Not cleared: what is all ranks' already stays itself when more is added.


@case
def buckets_and_messages() -> None:
    layers = [nn.Linear(4, 4) for _ in range(10)]
    model = wrapped(nn.Sequential(*layers), find_unused_parameters=False)

    def step() -> None:
        torch.autograd.backward(model(torch.ones(2, 4)).sum())

    assert operations(step) == 21, "the first one asks who trains what"
    assert operations(step) == 20, "one for each parameter, and no word about unused ones"
    model = wrapped(nn.Sequential(*layers, nn.BatchNorm1d(4)))
    assert operations(step) == 24, "used ones, buffers"
    model.eval()
    assert operations(step) == 23
    with torch.no_grad():
        assert operations(lambda: model(torch.ones(2, 4))) == 0
    # Several backwards of several forwards, a backward through the model that takes no step.
    model.train()
    losses = [model(torch.ones(2, 4)).sum() for _ in range(2)]
    for loss in losses:
        torch.autograd.backward(loss)
    inputs = torch.ones(2, 4, requires_grad=True)
    assert operations(lambda: torch.autograd.grad(model(inputs).sum(), inputs)) == 1, "buffers"


@case
def unused_parameters_without_asking() -> None:
    model = wrapped(net(0), find_unused_parameters=False)
    model.module.rows.requires_grad_(False)
    reference = net(0)
    uses = [rank == 0 for rank in range(hvd.size())]
    torch.autograd.backward(loss_of(model, hvd.rank(), uses[hvd.rank()]))
    averaged(reference, [[loss_of(reference, r, uses[r])] for r in range(hvd.size())])
    assert torch.equal(model.module.never.weight.grad, torch.zeros(4, 4, dtype=torch.double))
    reference.never.weight.grad = torch.zeros(4, 4, dtype=torch.double)
    reference.never.bias.grad = torch.zeros(4, dtype=torch.double)
    reference.rows.weight.grad = None
    compare(model, reference)


@case
def compression_freezing_and_scaling() -> None:
    model = wrapped(
        nn.Linear(2, 2).float(), compression=hvd.Compression.bf16, broadcast_buffers=False
    )
    model.module.bias.requires_grad_(False)
    torch.autograd.backward((model(torch.ones(1, 2)) * (hvd.rank() + 1.0)).sum())
    mean = (hvd.size() + 1) / 2
    torch.testing.assert_close(
        model.module.weight.grad, torch.full((2, 2), mean), rtol=1e-2, atol=0
    )
    assert model.module.bias.grad is None
    model.module.bias.requires_grad_(True)
    torch.autograd.backward((model(torch.ones(1, 2)) * (hvd.rank() + 1.0)).sum())
    torch.testing.assert_close(model.module.bias.grad, torch.full((2,), mean), rtol=1e-2, atol=0)


@case
def compressors_with_a_state() -> None:
    """Each dense parameter has one of its own; sparse gradients travel as they are, or narrow."""
    compression: Any = OneForEach()
    model = wrapped(nn.Linear(2, 1, bias=False), compression=compression)
    model.module.weight.data.zero_()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(4):
        optimizer.zero_grad()
        torch.autograd.backward(model(torch.full((1, 2), 0.25)).sum())
        optimizer.step()
    assert model.module.weight.tolist() == [[-1.0, -1.0]]
    assert list(compression.made) == ["weight"]
    sent = []
    for compression in (OneForEach(), hvd.Compression.none, hvd.Compression.bf16):
        rows = wrapped(nn.Embedding(6, 1, sparse=True), compression=compression)
        before = hvd.counters()["bytes"]
        torch.autograd.backward(rows(torch.tensor([hvd.rank(), 5])).sum() * 0.5)
        sent.append(hvd.counters()["bytes"] - before)
        wanted = torch.tensor([0.5 / hvd.size()] * hvd.size() + [0.5])
        places = [*range(hvd.size()), 5]
        assert rows.module.weight.grad.is_sparse
        assert torch.equal(rows.module.weight.grad.to_dense()[places, 0], wanted)
    assert sent == [sent[0], sent[0], sent[0] - 2 * 2], sent


class Checkpointed(nn.Module):
    """Its parameters' gradients come from backwards within the backward."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList([nn.Linear(3, 3) for _ in range(3)])

    def forward(self, batch: torch.Tensor, again: int = 1) -> torch.Tensor:
        for part in [*self.parts] * again:
            batch = checkpoint(part, batch, use_reentrant=True)
        return batch


@case
def reentrant_checkpoints() -> None:
    torch.manual_seed(1)
    model = wrapped(Checkpointed())
    reference = copy.deepcopy(model.module)
    inputs = [torch.full((1, 3), float(r), requires_grad=True) for r in range(hvd.size())]
    torch.autograd.backward(model(inputs[hvd.rank()]).sum())
    averaged(reference, [[reference(one).sum()] for one in inputs])
    compare(model, reference)
    text = failure(
        lambda: torch.autograd.backward(model(inputs[0], again=2).sum()), hvd.InvalidArgumentError
    )
    assert "use_reentrant=False" in text, text
    hvd.barrier()


@case
def state_dicts_have_the_models_names() -> None:
    model = wrapped(net(0))
    plain = model.module.state_dict()
    assert list(model.state_dict()) == list(plain)
    assert model.state_dict()._metadata == plain._metadata
    other = wrapped(net(0), init_sync=False)
    of_torch = {f"module.{name}": value + 1 for name, value in plain.items()}
    for state, shift in ((plain, 0), (of_torch, 1), (model.state_dict(), 0)):
        other.load_state_dict(state)
        assert torch.equal(other.module.first.weight, model.module.first.weight + shift)
    missing = other.load_state_dict({}, strict=False).missing_keys
    assert missing == net(0).load_state_dict({}, strict=False).missing_keys
    outer, target = nn.Sequential(model), nn.Sequential(net(1))
    assert list(outer.state_dict()) == list(target.state_dict())
    target.load_state_dict(outer.state_dict())
    outer.load_state_dict(target.state_dict())
    # A model that has a part of that name itself.
    own = wrapped(nn.ModuleDict({"module": nn.Linear(2, 2)}))
    assert list(own.state_dict()) == ["module.weight", "module.bias"]
    own.load_state_dict(own.state_dict())
    own.load_state_dict({f"module.{name}": value for name, value in own.state_dict().items()})


@case
def copies_pickles_and_the_end_of_wrappers() -> None:
    model = wrapped(net(0))
    stored = io.BytesIO()
    torch.save(model, stored)
    stored.seek(0)
    for one in (copy.deepcopy(model), torch.load(stored, weights_only=False)):
        torch.autograd.backward(loss_of(one, hvd.rank()))
        same_everywhere(one.module.first.weight.grad)
    plain, reducer = model.module, weakref.ref(model._reducer)
    del model, one
    gc.collect()
    assert reducer() is None
    assert operations(lambda: torch.autograd.backward(loss_of(plain, 1))) == 0


@dataclass
class Output:
    """What torch does not look into."""

    hidden: torch.Tensor


class Answers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.part = nn.Linear(2, 2)

    def forward(self, batch: torch.Tensor) -> Output:
        return Output(self.part(batch))


@case
def outputs_of_any_type_and_mixed_precision() -> None:
    model = wrapped(Answers())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    for _ in range(2):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(torch.full((1, 2), hvd.rank() + 1.0)).hidden.sum()
        torch.autograd.backward(scaler.scale(loss))
        same_everywhere([p.grad for p in model.parameters()])
        scaler.unscale_(optimizer)
        mean = (hvd.size() + 1) / 2
        torch.testing.assert_close(model.module.part.weight.grad, torch.full((2, 2), mean))
        scaler.step(optimizer)
        scaler.update()


@case
def two_models_in_one_backward() -> None:
    first, second = (wrapped(nn.Linear(2, 2)) for _ in range(2))
    torch.autograd.backward(second(first(torch.ones(1, 2) * hvd.rank())).sum())
    for model in (first, second):
        same_everywhere([p.grad for p in model.parameters()])


@case
def mistakes_in_a_backward() -> None:
    model = wrapped(nn.Linear(2, 2))

    def with_graph() -> None:
        torch.autograd.backward(model(torch.ones(1, 2)).pow(2).sum(), create_graph=True)

    text = failure(with_graph, hvd.InvalidArgumentError)
    assert "create_graph" in text, text
    clear(model)

    def stopped(_: torch.Tensor) -> None:
        raise ValueError("stopped")

    inner = torch.ones(1, 2, requires_grad=True)
    inner.register_hook(stopped)
    failure(lambda: torch.autograd.backward(model(inner * 1).sum()), ValueError)
    hvd.barrier()
    clear(model)
    torch.autograd.backward(model(torch.ones(1, 2)).sum())
    same_everywhere([p.grad for p in model.parameters()])
    odd = nn.Linear(3 if hvd.rank() == 1 else 2, 2)
    text = failure(lambda: wrapped(odd), hvd.MismatchError)
    assert "weight: float32 [2, 2], rank 1 has weight: float32 [2, 3]" in text, text
