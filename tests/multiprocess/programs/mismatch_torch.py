"""Ranks that disagree in calls of torch's: every rank gets the same error, and the next operation
under that name works. The last rank is the odd one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from common import report
from torch import nn

import farandole.torch as hvd

Calls = dict[str, Callable[[str], Any]]


def of_reductions(odd: bool) -> Calls:
    pair, double = torch.ones(2), torch.ones(2, dtype=torch.float64)
    other, op = double if odd else pair, hvd.Max if odd else hvd.Sum
    rows = torch.ones(4, 3 if odd else 2)
    factor = 2.0 if odd else 1.0
    smaller = hvd.Compression.fp16 if odd else hvd.Compression.none
    return {
        "allreduce dtype": lambda n: hvd.allreduce(other, name=n),
        "allreduce shape": lambda n: hvd.allreduce_(rows, name=n),
        "allreduce average": lambda n: hvd.allreduce(pair, name=n, average=not odd),
        "allreduce postscale": lambda n: hvd.allreduce(pair, name=n, postscale_factor=factor),
        "allreduce prescale": lambda n: wait(
            hvd.allreduce_async(pair, name=n, prescale_factor=factor)
        ),
        "allreduce compression": lambda n: hvd.allreduce(pair, name=n, compression=smaller),
        "allreduce group dtype": lambda n: hvd.grouped_allreduce([pair, other], name=n),
        "allreduce group order": lambda n: hvd.grouped_allreduce(
            [double, pair] if odd else [pair, double], name=n
        ),
        "allreduce group in place": lambda n: wait(
            hvd.grouped_allreduce_async_([pair.clone(), rows.clone()], name=n)
        ),
        "allreduce of a graph": lambda n: hvd.allreduce(other.clone().requires_grad_(), name=n),
        "reducescatter dtype": lambda n: hvd.reducescatter(other, name=n),
        "reducescatter shape": lambda n: hvd.reducescatter(rows, name=n),
        "reducescatter rows": lambda n: hvd.reducescatter(torch.ones(3 if odd else 4), name=n),
        "reducescatter operation": lambda n: hvd.reducescatter(pair, name=n, op=op),
        "reducescatter prescale": lambda n: hvd.reducescatter(pair, name=n, prescale_factor=factor),
        "reducescatter postscale": lambda n: wait(
            hvd.reducescatter_async(pair, name=n, postscale_factor=factor)
        ),
        "reducescatter group": lambda n: hvd.grouped_reducescatter([pair, rows], name=n),
        "reduce dtype": lambda n: hvd.reduce(other, 0, name=n),
        "reduce operation": lambda n: hvd.reduce(pair, 0, name=n, op=op),
        "reduce root": lambda n: hvd.reduce(pair, int(odd), name=n),
        "reduce group": lambda n: hvd.grouped_reduce([pair, other], 0, name=n),
    }


def of_moves(odd: bool) -> Calls:
    size = hvd.size()
    pair, double = torch.ones(2), torch.ones(2, dtype=torch.float64)
    other = double if odd else pair
    columns = torch.ones(size, 3 if odd else 2)
    column = torch.ones(2, 1) if odd else pair
    small = torch.ones(2).to(torch.float8_e5m2 if odd else torch.float8_e4m3fn)
    return {
        "allgather dtype": lambda n: hvd.allgather(other, n),
        "allgather columns": lambda n: hvd.allgather(columns, n),
        "allgather dimensions": lambda n: hvd.allgather(column, n),
        "allgather small": lambda n: hvd.allgather(small, n),
        "allgather group": lambda n: hvd.grouped_allgather([pair, columns], n),
        "alltoall dtype": lambda n: hvd.alltoall(torch.ones(size).to(other.dtype), name=n),
        "alltoall columns": lambda n: hvd.alltoall(columns, name=n),
        "alltoall with splits": lambda n: hvd.alltoall(columns, [1] * size, name=n),
        "alltoall group": lambda n: hvd.grouped_alltoall([torch.ones(size), columns], name=n),
        "broadcast dtype": lambda n: hvd.broadcast(other, 0, n),
        "broadcast dimensions": lambda n: hvd.broadcast(column, 0, n),
        "broadcast root": lambda n: hvd.broadcast_(pair, int(odd), n),
        "broadcast group": lambda n: hvd.grouped_broadcast([pair, columns], 0, n),
        "gather dtype": lambda n: hvd.gather(other, 0, n),
        "gather columns": lambda n: wait(hvd.gather_async(columns, 0, n)),
        "gather root": lambda n: hvd.gather(pair, int(odd), n),
        "scatter root": lambda n: hvd.scatter(torch.ones(size), int(odd), name=n),
        "kind of move": lambda n: hvd.gather(pair, 0, n) if odd else hvd.allgather(pair, n),
        "kind of reduction": lambda n: (
            hvd.reduce(pair, 0, name=n) if odd else hvd.allreduce(pair, name=n)
        ),
    }


def of_sparse_ones(odd: bool) -> Calls:
    eye = torch.eye(2)
    op = hvd.Average if odd else hvd.Sum

    def summed(n: str, tensor: torch.Tensor, op: int = hvd.Sum) -> Any:
        return wait(hvd.sparse_allreduce_async(tensor, n, op))

    return {
        "sparse dtype": lambda n: summed(n, (eye.double() if odd else eye).to_sparse()),
        "sparse operation": lambda n: summed(n, eye.to_sparse(), op),
        "sparse dimensions": lambda n: summed(n, eye.to_sparse(1 if odd else 2)),
        "sparse shape": lambda n: summed(n, torch.eye(3 if odd else 2).to_sparse()),
    }


def of_helpers(odd: bool) -> Calls:
    """Those without a name of their own stand for themselves."""
    layer = nn.Linear(2, 3 if odd else 2)
    ranks = [0] if odd else [1]
    metrics = {"a": 1.0, "b": 2.0} if odd else {"a": 1.0}
    return {
        "sets": lambda _: hvd.add_process_set(ranks),
        "metrics": lambda n: hvd.average_metrics(metrics, name=n),
        "root of an object": lambda n: hvd.broadcast_object(1, int(odd), name=n),
        "parameters": lambda _: hvd.broadcast_parameters(layer.state_dict(), 0),
        "names of parameters": lambda _: hvd.broadcast_parameters(
            {"odd" if odd else "even": torch.ones(2)}, 0
        ),
        "class of the optimizer": lambda _: hvd.broadcast_optimizer_state(
            (torch.optim.Adam if odd else torch.optim.SGD)(layer.parameters(), lr=1.0), 0
        ),
        "wrapped model": lambda _: hvd.DistributedDataParallel(layer),
        "model wrapped as it is": lambda _: hvd.DistributedDataParallel(layer, init_sync=False),
        "wrapped buffers": lambda _: hvd.DistributedDataParallel(
            nn.BatchNorm1d(3 if odd else 2, affine=False)
        ),
        "first state of a wrapped model": lambda _: trained(init_sync=odd),
        "buffers of a wrapped model": lambda _: trained(broadcast_buffers=odd),
        "unused parameters of a wrapped model": lambda _: trained(find_unused_parameters=odd),
        "compression of a wrapped model": lambda _: trained(
            compression=hvd.Compression.bf16 if odd else hvd.Compression.none
        ),
        "optimizer": lambda _: step(layer),
        "adasum of an optimizer": lambda _: step(
            nn.Linear(2, 2), op=hvd.Adasum if odd else hvd.Average
        ),
        "features": lambda _: hvd.SyncBatchNorm(3 if odd else 2)(torch.ones(2, 3 if odd else 2)),
    }


def wait(handle: Any) -> Any:
    return hvd.synchronize(handle)


def trained(**flags: Any) -> None:
    model = hvd.DistributedDataParallel(nn.BatchNorm1d(2), **flags)
    torch.autograd.backward(model(torch.ones(2, 2)).sum())


def step(layer: nn.Linear, op: int = hvd.Average) -> None:
    inner = torch.optim.SGD(layer.parameters(), lr=1.0)
    optimizer = hvd.DistributedOptimizer(inner, layer.named_parameters(), op=op)
    torch.autograd.backward(layer(torch.ones(1, 2)).sum())
    optimizer.step()


def message_of(call: Callable[[str], Any], name: str) -> str:
    try:
        call(name)
    except hvd.MismatchError as error:
        assert "\n" not in str(error), error
        return str(error)
    raise AssertionError(f"{name}: nobody noticed")


def what_may_differ(odd: bool, size: int) -> None:
    """Beside all that may not: whether splits are given, and whether memory is contiguous, an
    output the caller's, a gradient wanted."""
    rows = torch.ones(size)
    made = hvd.alltoall(rows, [1] * size if odd else None, name="splits")
    assert torch.equal(made[0] if odd else made, rows)
    tensor = torch.ones(2, 3).t() if odd else torch.ones(3, 2)
    out = torch.zeros(2, 3).t() if odd else None
    assert hvd.allreduce(tensor, op=hvd.Sum, name="layout", out=out).sum() == 6 * size
    wanted = hvd.allreduce(torch.ones(2, requires_grad=odd), op=hvd.Sum, name="graph")
    assert wanted.requires_grad == odd and wanted.sum() == 2 * size


def names_in_flight_twice(odd: bool, size: int) -> None:
    """Refused on the rank that uses one again alone, and the first operation goes on."""
    ones = torch.ones(2)

    def begin() -> list[Any]:
        return [
            hvd.allreduce_async(ones, name="twice", op=hvd.Sum),
            hvd.grouped_allreduce_async([ones, ones], name="group twice", op=hvd.Sum),
        ]

    handles = begin() if odd else []
    again: list[Callable[[], Any]] = [
        lambda: hvd.allreduce(ones, name="twice"),
        lambda: hvd.allreduce_(ones.clone(), name="twice"),
        lambda: hvd.allgather(ones, name="twice"),
        lambda: hvd.grouped_allreduce([ones, ones], name="group twice"),
        lambda: hvd.grouped_allgather([ones, ones], name="group twice"),
    ]
    for call in again if odd else []:
        try:
            call()
        except hvd.InvalidArgumentError as error:
            assert "of that name is in flight already" in str(error), error
        else:
            raise AssertionError("a name was in flight twice")
    hvd.barrier()
    one, several = (wait(handle) for handle in handles or begin())
    assert [t.tolist() for t in (one, *several)] == [[size, size]] * 3


def batch_that_one_rank_has_wrong(odd: bool) -> None:
    """Its step counts there as on the other ranks, whose layer finds no one: the next one is every
    rank's."""
    norm, unmatched = hvd.SyncBatchNorm(2), None
    if odd:
        try:
            norm(torch.ones(4))
        except hvd.InvalidArgumentError as error:
            assert "two dimensions or more" in str(error), error
        else:
            raise AssertionError("nobody noticed")
    else:  # what the layer takes the name of, and waits for
        unmatched = hvd.allgather_async(torch.ones(1))
    assert norm(torch.randn(4, 2)).shape == (4, 2)
    assert unmatched is None or not hvd.poll(unmatched)
    hvd.barrier()  # nobody leaves before all have looked


def main() -> None:
    hvd.init()
    torch.set_num_threads(1)
    rank, size = hvd.rank(), hvd.size()
    odd = rank == size - 1
    calls = of_reductions(odd) | of_moves(odd) | of_sparse_ones(odd) | of_helpers(odd)
    messages = {}
    for name, call in calls.items():
        print("disagreement:", name, flush=True)
        messages[name] = message_of(call, name)
        # The same name, rightly used, works at once.
        assert hvd.allreduce(torch.ones(2), name=name, op=hvd.Sum).tolist() == [size, size]
    what_may_differ(odd, size)
    names_in_flight_twice(odd, size)
    batch_that_one_rank_has_wrong(odd)
    report(rank, messages=messages)


main()
