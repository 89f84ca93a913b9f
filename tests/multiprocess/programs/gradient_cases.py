"""As what collectives the gradients of collectives travel: their values would be right by costlier
ones, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from model_case import case

import farandole.torch as hvd
from farandole import _native, _session

Kinds = list[int]


def kinds_of(work: Callable[[], Any]) -> tuple[Kinds, Any]:
    """The kind of each operation that the work submits, and what it gives."""
    kinds: Kinds = []

    def one(kind: int, *rest: Any, **options: Any) -> Any:
        kinds.append(kind)
        return submit(kind, *rest, **options)

    def several(kind: int, names: Any, *rest: Any, **options: Any) -> Any:
        kinds.extend([kind] * len(names))
        return submit_all(kind, names, *rest, **options)

    submit, submit_all = _session.submit, _session.submit_all
    with mock.patch.multiple(_session, submit=one, submit_all=several):
        return kinds, work()


def check(work: Callable[[torch.Tensor], torch.Tensor], rows: int, there: int, back: Kinds) -> None:
    tensor = torch.ones(rows, 2, requires_grad=True)
    forward, result = kinds_of(lambda: work(tensor))
    assert forward == [there], forward
    backward, _ = kinds_of(lambda: torch.autograd.backward(result.sum()))
    assert backward == back, backward
    assert tensor.grad is not None


@case
def gradients_travel_as_the_transposed_collective() -> None:
    rank, size = hvd.rank(), hvd.size()
    gather, scatter = _native.ALLGATHER, _native.REDUCESCATTER
    # Ranks first tell their rows: each gets those of its own from the sum, not all of it.
    check(hvd.allgather, 3, gather, [gather, scatter])
    check(hvd.allgather, 1 + 2 * rank, gather, [gather, _native.ALLTOALL])
    check(lambda x: hvd.reducescatter(x, op=hvd.Sum), 2 * size, scatter, [gather])
    check(lambda x: hvd.allreduce(x, op=hvd.Sum), 2, _native.ALLREDUCE, [_native.ALLREDUCE])
    check(lambda x: hvd.alltoall(x), size, _native.ALLTOALL, [_native.ALLTOALL])


@case
def gradients_of_a_group_travel_as_one() -> None:
    pair = [torch.ones(2, 2, requires_grad=True) for _ in range(2)]
    _, results = kinds_of(lambda: hvd.grouped_allgather(pair))
    total = results[0].sum() + results[1].sum()
    backward, _ = kinds_of(lambda: torch.autograd.backward(total))
    assert backward == [_native.ALLGATHER, _native.REDUCESCATTER, _native.REDUCESCATTER], backward
