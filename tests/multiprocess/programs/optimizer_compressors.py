"""Compressors of one's own, and sparse gradients that ranks send unlike."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from optimizer_common import (
    OneForEach,
    backward,
    case,
    distributed,
    expect,
    mean,
    parameters,
    raises,
)
from torch import nn

import farandole.torch as hvd


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


def embedding() -> Any:
    made = nn.Embedding(6, 2, sparse=True)
    nn.init.zeros_(made.weight)
    return made


def step_of_rows(optimizer: Any, words: Any, rows: list[int], factor: float = 0.5) -> None:
    optimizer.zero_grad()
    torch.autograd.backward(words(torch.tensor(rows)).sum() * factor)
    optimizer.step()


@case
def a_state_and_sparse_gradients() -> None:
    """Whatever one step's rows leave behind goes to no other row, however many there are."""
    words, other = embedding(), nn.Parameter(torch.zeros(2))
    compression: Any = OneForEach()
    named = [("words", words.weight), ("other", other)]
    inner = torch.optim.SGD([p for _, p in named], lr=1.0)
    optimizer = hvd.DistributedOptimizer(inner, named, compression=compression)
    for rows in ([0], [1], [2, 3], [4, 5, 0]):
        step_of_rows(optimizer, words, rows)
    assert words.weight[:, 1].tolist() == [-1.0, *[-0.5] * 5]
    assert list(compression.made) == ["other"]


@case
def a_state_and_sparse_gradients_as_dense_ones() -> None:
    """A whole gradient has the same rows each time: four quarters come through as one."""
    words = embedding()
    compression: Any = OneForEach()
    optimizer = hvd.DistributedOptimizer(
        torch.optim.SGD(words.parameters(), lr=1.0),
        words.named_parameters(),
        compression=compression,
        sparse_as_dense=True,
    )
    for rows in ([0], [0, 1], [0], [0, 1]):
        step_of_rows(optimizer, words, rows, 0.25)
    assert words.weight[:, 1].tolist() == [-1.0, 0, 0, 0, 0, 0], words.weight


@case
def no_compressor_for_a_parameter() -> None:
    class Nothing:
        def for_parameter(self, name: str) -> None:
            return None

    compression: Any = Nothing()
    tensors = parameters(1)
    optimizer = distributed(tensors, compression=compression)
    raises(
        lambda: backward(tensors),
        hvd.InvalidArgumentError,
        "for_parameter('p0') of the compression returned None, which has no method compress",
    )
    del optimizer
    compression = nn.Identity()
    raises(
        lambda: distributed(tensors, compression=compression),
        hvd.InvalidArgumentError,
        "compression=Identity() has no method compress",
    )
    hvd.barrier()


@case
def compression_that_changes_the_number_of_values() -> None:
    class First:
        def compress(self, tensor: torch.Tensor) -> tuple[torch.Tensor, None]:
            return tensor[:1], None

        decompress = compress

    compression: Any = First()
    words = embedding()
    optimizer = hvd.DistributedOptimizer(
        torch.optim.SGD(words.parameters(), lr=1.0),
        words.named_parameters(),
        compression=compression,
    )
    raises(
        lambda: step_of_rows(optimizer, words, [0, 1, 2]),
        hvd.InvalidArgumentError,
        "has made [1, 2] of values [3, 2] of a sparse tensor",
    )
    hvd.barrier()


@case
def sparse_gradients_that_ranks_scale_unlike() -> None:
    """As of dense ones the same error on every rank, and the job goes on."""
    odd = hvd.rank() == 1
    unlike: list[tuple[dict[str, Any], str]] = [
        ({"op": hvd.Sum if odd else hvd.Average}, "operation of the sparse tensor: rank 0 has Av"),
        ({"gradient_predivide_factor": 4.0 if odd else 1.0}, "rank 0 has 1.0, rank 1 has 0.25"),
    ]
    for options, text in unlike:
        words = embedding()
        optimizer = hvd.DistributedOptimizer(
            torch.optim.SGD(words.parameters(), lr=1.0), words.named_parameters(), **options
        )
        raises(partial(step_of_rows, optimizer, words, [1]), hvd.MismatchError, text)
        assert words.weight[:, 1].tolist() == [0.0] * 6
    tensors = parameters()
    optimizer = distributed(tensors)
    backward(tensors)
    optimizer.step()
    expect(tensors, mean())
