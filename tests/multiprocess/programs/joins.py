"""Ranks that join, through NumPy or torch: joins.py numpy|torch

Rank r has r + 1 steps; in step s ranks s and above take part, and get what they would among
themselves.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from common import report
from sets_common import WAY, check, fdl, passed, refused, tensor, typed

WHOLE = ("uint8", "int8", "uint16", "int16", "int32", "int64")
REAL = ("float16", "float32", "float64")
COMPLEX = ("complex64", "complex128")
DTYPES = (*WHOLE, *REAL, *COMPLEX, "bool", *(("bfloat16",) if WAY == "torch" else ()))
OPS = {
    "Sum": fdl.Sum,
    "Average": fdl.Average,
    "Min": fdl.Min,
    "Max": fdl.Max,
    "Product": fdl.Product,
}


def has_meaning(op: str, dtype: str) -> bool:
    if dtype == "bool":
        return op != "Average"
    return dtype not in COMPLEX or op not in ("Min", "Max")


def values_of(rank: int, dtype: str) -> list[Any]:
    """Small whole numbers, exact in every dtype; signs where there are any."""
    if dtype == "bool":
        return [rank % 2 == 0, True, False]
    sign = 1 if dtype.startswith("u") else -1
    return [rank + 1, sign * (rank + 2), 3]


def reduced(op: str, dtype: str, ranks: list[int]) -> list[Any]:
    columns = zip(*(values_of(rank, dtype) for rank in ranks), strict=True)
    results = []
    for column in columns:
        if op == "Average":
            total = sum(column)
            mean = total / len(column)
            results.append(int(mean) if dtype in WHOLE else mean)
        elif op in ("Min", "Max"):
            results.append(min(column) if op == "Min" else max(column))
        elif dtype == "bool":
            results.append(any(column) if op == "Sum" else all(column))
        else:
            results.append(sum(column) if op == "Sum" else int(np.prod(column)))
    return results


def reductions(rank: int, left: list[int], process_set: Any) -> None:
    """All at once, so that they are fused; under the names of every step, so that they are
    cached."""
    handles = {}
    for dtype in DTYPES:
        for op, number in OPS.items():
            if has_meaning(op, dtype):
                own = tensor(values_of(rank, dtype), dtype)
                name = f"{op}.{dtype}"
                handles[op, dtype] = fdl.allreduce_async(
                    own, name=name, op=number, process_set=process_set
                )
    for (op, dtype), handle in handles.items():
        wanted = reduced(op, dtype, left)
        got = handle.wait().tolist()
        tolerance = 0.01 if dtype in ("float16", "bfloat16") else 1e-6
        near = all(
            abs(a - b) <= tolerance * max(1, abs(b)) for a, b in zip(got, wanted, strict=True)
        )
        check((op, dtype, got if not near else wanted), (op, dtype, wanted))


def scaled(rank: int, left: list[int]) -> None:
    for factor in (-2.0, 0.5):
        own = tensor([float(rank + 1)])
        for op, pick in ((fdl.Min, min), (fdl.Max, max), (fdl.Sum, sum)):
            got = fdl.allreduce(own, name=f"scaled{op}{factor}", op=op, prescale_factor=factor)
            check(got.tolist(), [pick(factor * (r + 1) for r in left)])


def moves(rank: int, left: list[int], size: int) -> None:
    """What is gathered, exchanged and scattered. The last rank never joins before the others."""
    last = size - 1
    own = tensor([rank] * (rank + 1))
    rows = [r for r in left for _ in range(r + 1)]
    check(fdl.allgather(own, name="g").tolist(), rows)
    check(fdl.broadcast(own[:1], last, name="b").tolist(), [last])
    splits = [int(r in left) for r in range(size)]
    moved, counts = fdl.alltoall(tensor([rank] * len(left)), splits, name="a")
    check((moved.tolist(), counts.tolist()), (left, splits))
    # Its layout stays: each rank's part of what those that are left have summed.
    part = fdl.reducescatter(tensor([rank] * size), op=fdl.Sum, name="s")
    check(part.tolist(), [sum(left)])
    fdl.barrier()
    check(fdl.allgather_object(rank, name="o"), left)
    check(fdl.broadcast_object(rank, last, name="p"), last)
    check(fdl.average_metrics({"m": rank}, name="m")["m"], sum(left) / len(left))


def groups(rank: int, left: list[int], size: int) -> None:
    members = [tensor([rank]), tensor([1.0] * 5)]
    total, count = sum(left), float(len(left))
    got = fdl.grouped_allreduce(members, op=fdl.Sum, name="ga")
    check([part.tolist() for part in got], [[total], [count] * 5])
    got = fdl.grouped_allgather(members, name="gg")
    check([part.tolist() for part in got], [left, [1.0] * (5 * len(left))])
    got = fdl.grouped_broadcast(members, size - 1, name="gb")
    check([part.tolist() for part in got], [[size - 1], [1.0] * 5])
    got = fdl.grouped_reducescatter([tensor([rank] * size)] * 2, op=fdl.Max, name="gs")
    check([part.tolist() for part in got], [[max(left)]] * 2)


def exchanges(rank: int, left: list[int], size: int) -> None:
    """Groups of what is exchanged, and of what has a root, which is the last rank."""
    last, at_root = size - 1, rank == size - 1
    splits = [int(r in left) for r in range(size)]
    pair = [tensor([rank] * len(left)), tensor([rank, -rank] * len(left), "int64")]
    each = [splits, [2 * n for n in splits]]
    small, large = fdl.grouped_alltoall(pair, each, name="xa")
    check((small[0].tolist(), small[1].tolist()), (left, each[0]))
    check((large[0].tolist(), large[1].tolist()), ([n for r in left for n in (r, -r)], each[1]))
    own = [tensor([rank]), tensor([1.0] * 5)]
    got = fdl.grouped_reduce(own, last, op=fdl.Sum, name="xr")
    sums = [[sum(left)], [float(len(left))] * 5]
    check(
        [None if part is None else part.tolist() for part in got], sums if at_root else [None] * 2
    )
    got = fdl.grouped_gather(own, last, name="xg")
    rows = [left, [1.0] * (5 * len(left))]
    check(
        [None if part is None else part.tolist() for part in got], rows if at_root else [None] * 2
    )
    whole = [tensor(left), tensor([n for r in left for n in (r, 7)])] if at_root else [None] * 2
    got = fdl.grouped_scatter(whole, last, each, name="xs")
    check([part.tolist() for part in got], [[rank], [rank, 7]])


def small_floats(rank: int, left: list[int], size: int) -> None:
    """What travels as bytes: from who takes part, none of who has joined."""
    last = size - 1
    for dtype in ("float8_e4m3fn", "float8_e5m2"):

        def numbers(got: Any, dtype: str = dtype) -> Any:
            check(str(got.dtype).removeprefix("torch."), dtype)
            return (got.float() if WAY == "torch" else got.astype("f4")).tolist()

        def named(what: str, dtype: str = dtype) -> str:
            return f"{what}.{dtype}"

        own = typed(np.full(rank + 1, rank + 0.5), dtype)
        rows = [r + 0.5 for r in left for _ in range(r + 1)]
        check(numbers(fdl.allgather(own, name=named("g"))), rows)
        check(numbers(fdl.broadcast(own[:1], last, name=named("b"))), [last + 0.5])
        each = typed(np.full(len(left), rank + 0.5), dtype)
        splits = [int(r in left) for r in range(size)]
        moved, counts = fdl.alltoall(each, splits, name=named("a"))
        check((numbers(moved), counts.tolist()), ([r + 0.5 for r in left], splits))
        ((moved, counts),) = fdl.grouped_alltoall([each], [splits], name=named("ga"))
        check((numbers(moved), counts.tolist()), ([r + 0.5 for r in left], splits))
        (got,) = fdl.grouped_allgather([own], name=named("gg"))
        check(numbers(got), rows)
        gathered = fdl.gather(own, last, name=named("r"))
        check(None if gathered is None else numbers(gathered), rows if rank == last else None)
        whole = typed(np.add(left, 0.5), dtype) if rank == last else None
        check(numbers(fdl.scatter(whole, last, splits, name=named("s"))), [rank + 0.5])


def meaningless(left: list[int], size: int) -> None:
    """Errors on all who ask, after which the next operation works."""
    gone = [r for r in range(size) if r not in left]
    if not gone:
        return
    refused(
        lambda: fdl.broadcast(tensor([1]), gone[0], name="nb"),
        fdl.MismatchError,
        f"its root, rank {gone[0]}, has joined and sends nothing",
    )
    refused(
        lambda: fdl.alltoall(tensor([1] * size), name="na"),
        fdl.MismatchError,
        f"rank {gone[0]} has joined and receives nothing",
    )
    refused(
        lambda: fdl.allreduce(tensor([1]), op=fdl.Product, prescale_factor=2.0, name="np"),
        fdl.MismatchError,
        "nothing that is scaled by 2",
    )
    refused(lambda: fdl.add_process_set([0]), fdl.MismatchError, "and all ranks are needed")
    check(fdl.allreduce(tensor([1]), op=fdl.Sum).tolist(), [len(left)])


def in_the_job(rank: int, size: int) -> None:
    for step in range(rank + 1):
        left = list(range(step, size))
        reductions(rank, left, fdl.global_process_set)
        scaled(rank, left)
        moves(rank, left, size)
        groups(rank, left, size)
        exchanges(rank, left, size)
        small_floats(rank, left, size)
        meaningless(left, size)
    check(fdl.join(), size - 1)
    reductions(rank, list(range(size)), fdl.global_process_set)


def in_a_set(rank: int, size: int) -> None:
    """The first rank waits in the set, and goes on in the job."""
    last = size - 1
    ends = fdl.add_process_set([0, last])
    joined: list[int] = []
    waiting = threading.Thread(target=lambda: joined.append(fdl.join(process_set=ends)))
    if rank == 0:
        waiting.start()
    if rank == last:
        reductions(rank, [last], ends)
    check(fdl.allreduce(tensor([rank]), op=fdl.Sum, name="job").tolist(), [sum(range(size))])
    if rank == last:
        check(fdl.join(process_set=ends), last)
        check(fdl.allreduce(tensor([rank]), op=fdl.Sum, process_set=ends).tolist(), [last])
    if rank == 0:
        waiting.join(timeout=60)
        check(joined, [last])
        check(fdl.allreduce(tensor([rank]), op=fdl.Sum, process_set=ends).tolist(), [last])
    fdl.barrier()


def training(rank: int, size: int) -> None:
    """Each rank has another number of batches, whose gradients are averaged over who has one."""
    import torch

    weight = torch.nn.Parameter(torch.zeros(3))
    optimizer = fdl.DistributedOptimizer(torch.optim.SGD([weight], 1.0), [("w", weight)])
    for _ in range(rank + 1):
        optimizer.zero_grad()
        (weight.sum() * (rank + 1)).backward()
        optimizer.step()
    last = fdl.join()
    fdl.broadcast_parameters([("w", weight)], last)
    wanted = -sum(sum(range(s + 1, size + 1)) / (size - s) for s in range(size))
    check(weight.tolist(), [wanted] * 3)
    sparse(rank, size)
    late_steps(rank, size)
    wrapped(rank, size)


def late_steps(rank: int, size: int) -> None:
    """Who had no step before the join finds the others, of what layout gradients are included."""
    import torch

    words = torch.nn.Embedding(size, 2, sparse=True)
    torch.nn.init.zeros_(words.weight)
    named = list(words.named_parameters())
    optimizer = fdl.DistributedOptimizer(torch.optim.SGD(words.parameters(), 1.0), named)
    for period in range(2):
        for _ in range(rank + period):
            optimizer.zero_grad()
            if rank == size - 1:
                words(torch.tensor([rank])).sum().backward()
            optimizer.step()
        fdl.join()
    fdl.broadcast_parameters(named, size - 1)
    # Step s of a period is that of the ranks from s, or from s - 1, on.
    takers = [size - s for period in range(2) for s in range(1 - period, size)]
    wanted = -sum(1 / count for count in takers)
    check(abs(words.weight[size - 1, 0].item() - wanted) < 1e-5, True)


def wrapped(rank: int, size: int) -> None:
    """A model with buffers, sparse gradients, parts that only the last rank uses, and a batch
    normalisation over the ranks that go on."""
    import torch

    class Net(torch.nn.Module):
        def __init__(self, norm: torch.nn.Module) -> None:
            super().__init__()
            self.words = torch.nn.Embedding(size, 2, sparse=True)
            self.norm = norm
            self.last = torch.nn.Linear(2, 2)

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            hidden: torch.Tensor = self.norm(self.words(batch))
            return self.last(hidden) if rank == size - 1 else hidden

    for kind in (torch.nn.BatchNorm1d, fdl.SyncBatchNorm):
        for find_unused in (True, False):
            norm: Any = kind(2)
            model = fdl.DistributedDataParallel(Net(norm), find_unused_parameters=find_unused)
            if not find_unused:
                model.module.words.weight.requires_grad_(False)
            for period in range(2):
                for step in range(rank + period):
                    with torch.no_grad():
                        norm.running_mean.fill_(rank)
                    trained(model, torch.tensor([rank, step]), step + 1 - period)
                check(fdl.join(), size - 1)
    channels = 2 + 4 * (rank % 2)
    plain = torch.nn.BatchNorm1d(channels, affine=False)
    unlike = fdl.DistributedDataParallel(plain, init_sync=False)
    refused(lambda: unlike(torch.ones(2, channels)), fdl.MismatchError, "buffers.0")
    fdl.join()


def trained(model: Any, batch: Any, first: int) -> None:
    """One step of the ranks from `first` on, all of whom get the same gradients, and had the
    running mean of that one before the forward."""
    seen: list[float] = []
    hook = model.module.norm.register_forward_pre_hook(
        lambda norm, _: seen.extend(norm.running_mean.tolist())
    )
    model.zero_grad()
    model(batch).pow(2).sum().backward()
    hook.remove()
    check(seen, [float(first)] * 2)
    mine = [p.grad.to_dense().tolist() for p in model.parameters() if p.grad is not None]
    check(fdl.allgather_object(mine, name="gradients"), [mine] * (fdl.size() - first))
    words = model.module.words.weight
    check(words.grad is not None and words.grad.is_sparse, words.requires_grad)


def sparse(rank: int, size: int) -> None:
    import torch

    if rank > 0:
        own = (torch.arange(size) == rank).float().mul(size - 1).to_sparse()
        mean = fdl.sparse_allreduce_async(own, "sparse", fdl.Average).wait()
        check(mean.to_dense().tolist(), [0.0] + [1.0] * (size - 1))
        leaf = torch.ones(1, requires_grad=True)
        gathered = fdl.allgather(leaf * rank, name="graph")
        (gathered * torch.arange(1.0, size)).sum().backward()
        # Averaged over the ranks that take part.
        gradient: Any = leaf.grad
        check(abs(gradient.item() - rank * rank) < 1e-5, True)
    fdl.join()


def main() -> None:
    fdl.init()
    rank, size = fdl.rank(), fdl.size()
    in_the_job(rank, size)
    in_a_set(rank, size)
    if WAY == "torch":
        training(rank, size)
    check(len(set(fdl.allgather_object(fdl.join()))), 1)
    report(rank, checks=passed(), size=size)
    fdl.shutdown()


main()
