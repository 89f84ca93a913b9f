"""DistributedOptimizer's arguments in all combinations, and torch's optimizers, against one process
that computes what all ranks together should."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from optimizer_common import case
from torch import nn

import farandole.torch as hvd

T = TypeVar("T")


def some(every: Iterable[T]) -> list[T]:
    """All of them on two ranks, on more every fifth, beginning with another one each."""
    chosen = list(every)
    return chosen if hvd.size() <= 2 else chosen[hvd.size() :: 5]


class Mixed(nn.Module):
    """Dense and sparse gradients, a parameter that only some ranks use, and one used twice."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.words = nn.Embedding(6, 4, sparse=True)
        self.rare = nn.Embedding(6, 4, sparse=True)
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.sometimes = nn.Parameter(torch.ones(4))

    def loss(self, rank: int, step: int) -> torch.Tensor:
        words = torch.tensor([rank, rank, (rank + step) % 6])
        hidden = self.first(self.words(words))
        if rank == 0:  # the others have no gradient of these
            hidden = hidden * self.sometimes + self.rare(words)
        loss: torch.Tensor = self.second(torch.tanh(hidden)).pow(2).mean()
        return loss


def combinations() -> Iterator[dict[str, Any]]:
    """`groups` is what to make groups of."""
    for groups, compression, predivide, passes, as_dense, op in itertools.product(
        (None, 2, "lists"),
        (hvd.Compression.none, hvd.Compression.bf16),
        (1.0, 4.0),
        (1, 2),
        (False, True),
        (hvd.Average, hvd.Sum),
    ):
        if predivide == 1.0 or op == hvd.Average:
            yield {
                "groups": groups,
                "compression": compression,
                "gradient_predivide_factor": predivide,
                "backward_passes_per_step": passes,
                "sparse_as_dense": as_dense,
                "op": op,
            }


def gradients_of_all(
    model: Mixed, passes: int, op: int, ranks: Sequence[int]
) -> dict[str, torch.Tensor]:
    """What one process finds that computes the losses of all these ranks."""
    alone = copy.deepcopy(model)
    for rank in ranks:
        for step in range(passes):
            torch.autograd.backward(alone.loss(rank, step))
    divisor = len(ranks) if op == hvd.Average else 1
    found = {}
    for name, p in alone.named_parameters():
        if p.grad is None:  # no rank has used it
            found[name] = torch.zeros_like(p)
        else:
            found[name] = p.grad.to_dense() / divisor
    return found


@case
def all_arguments_in_all_combinations() -> None:
    wanted: dict[Any, dict[str, torch.Tensor]] = {}
    for options in some(combinations()):
        model = Mixed()
        passes, op = options["backward_passes_per_step"], options["op"]
        if (passes, op) not in wanted:
            wanted[passes, op] = gradients_of_all(model, passes, op, range(hvd.size()))
        if options["groups"] == "lists":
            members = list(model.parameters())
            options = {**options, "groups": [members[::2], members[1:3:2]]}
        optimizer = hvd.DistributedOptimizer(
            torch.optim.SGD(model.parameters(), lr=0.1), model.named_parameters(), **options
        )
        for step in range(passes):
            torch.autograd.backward(model.loss(hvd.rank(), step))
        optimizer.synchronize()
        exact = options["compression"] is hvd.Compression.none
        tolerance = 1e-5 if exact else 2e-2
        for name, p in model.named_parameters():
            assert p.grad is not None
            sparse = name in ("words.weight", "rare.weight")  # on every rank, however they travel
            assert p.grad.is_sparse == sparse, (name, options)
            torch.testing.assert_close(
                p.grad.to_dense(),
                wanted[passes, op][name],
                rtol=tolerance,
                atol=tolerance,
                msg=f"{name} {options}: {p.grad}",
            )


@case
def optimizers_that_take_sparse_gradients_alone() -> None:
    """Also where they travel as dense ones, and on ranks that have none themselves."""
    for as_dense, groups in ((False, None), (True, None), (True, 1)):
        model, alone = (nn.Embedding(8, 2, sparse=True) for _ in range(2))
        with torch.no_grad():
            model.weight.fill_(1.0), alone.weight.fill_(1.0)
        optimizer: Any = hvd.DistributedOptimizer(
            torch.optim.SparseAdam(list(model.parameters()), lr=0.1),
            model.named_parameters(),
            groups=groups,
            sparse_as_dense=as_dense,
        )
        whole = torch.optim.SparseAdam(list(alone.parameters()), lr=0.1)
        for users in ([0], range(hvd.size()), [hvd.size() - 1]):
            optimizer.zero_grad(), whole.zero_grad()
            if hvd.rank() in users:
                torch.autograd.backward(used(model, hvd.rank()))
            optimizer.step()
            assert model.weight.grad is not None and model.weight.grad.is_sparse
            torch.autograd.backward(torch.stack([used(alone, r) for r in users]).sum() / hvd.size())
            whole.step()
            torch.testing.assert_close(model.weight, alone.weight)


def used(rows: nn.Embedding, rank: int) -> torch.Tensor:
    loss: torch.Tensor = (rows(torch.tensor([rank, rank, 7])) * (rank + 1)).pow(2).sum()
    return loss


KINDS: list[tuple[Any, dict[str, Any]]] = [
    (torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "foreach": True}),
    (torch.optim.SGD, {"fused": True}),
    (torch.optim.Adam, {"foreach": True, "amsgrad": True}),
    (torch.optim.Adam, {"fused": True}),
    (torch.optim.AdamW, {"fused": True, "weight_decay": 0.1}),
    (torch.optim.Adagrad, {}),
    (torch.optim.RMSprop, {"foreach": True}),
    (torch.optim.NAdam, {}),
    (torch.optim.Adadelta, {}),
    (torch.optim.Rprop, {}),
]
BATCH = 12


class Run:
    """A training, distributed or alone."""

    def __init__(self, kind: Any, options: dict[str, Any], scaled: bool, ranks: range) -> None:
        torch.manual_seed(9)
        self.model: Any = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1))
        self.optimizer = kind(self.model.parameters(), lr=0.02, **options)
        self.ranks = ranks
        if len(ranks) < hvd.size():
            named = self.model.named_parameters()
            self.optimizer = hvd.DistributedOptimizer(self.optimizer, named, groups=2)
        self.scheduler = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, 0.5)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=scaled)

    def step(self, number: int, clip: bool, spoilt: bool) -> None:
        torch.manual_seed(number)
        inputs = torch.randn(BATCH, 4)
        share = BATCH // hvd.size()
        mine = slice(self.ranks.start * share, self.ranks.stop * share)
        self.optimizer.zero_grad(set_to_none=number % 2 == 0)
        loss = (self.model(inputs[mine]) - inputs[mine].sum(1, keepdim=True)).pow(2).mean()
        if spoilt and 0 in self.ranks:
            loss = loss * float("inf")
        torch.autograd.backward(self.scaler.scale(loss))
        if clip:
            distributed = len(self.ranks) < hvd.size()
            if distributed:
                self.optimizer.synchronize()
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), 0.1)
            if distributed:
                with self.optimizer.skip_synchronize():
                    self.scaler.step(self.optimizer)
            else:
                self.scaler.step(self.optimizer)
        else:
            self.scaler.step(self.optimizer)
        self.scaler.update()
        if not spoilt:
            self.scheduler.step()


@case
def optimizers_of_torch_with_scaler_clipping_and_schedulers() -> None:
    for i, (kind, options) in enumerate(some(KINDS)):
        for scaled, clip in ((False, True), (True, False), (True, True)):
            together = Run(kind, options, scaled, range(hvd.rank(), hvd.rank() + 1))
            alone = Run(kind, options, scaled, range(hvd.size()))
            for number in range(4):
                spoilt = scaled and number == 1  # the step is left out, on every rank
                for run in (together, alone):
                    run.step(number, clip, spoilt)
            what = f"{kind.__name__} {options} scaled={scaled} clip={clip}"
            assert together.scaler.get_scale() == alone.scaler.get_scale(), what
            assert together.scheduler.get_last_lr() == alone.scheduler.get_last_lr(), what
            for p, q in zip(together.model.parameters(), alone.model.parameters(), strict=True):
                torch.testing.assert_close(p, q, rtol=2e-4, atol=2e-5, msg=f"{what}: {p} {q}")
            every = hvd.allgather(together.model[0].weight.detach().unsqueeze(0), name=f"w{i}")
            assert (every == every[0]).all(), f"{what}: ranks differ"
