"""Ranks that mean unlike groups by one name: every rank gets the same error at once, nothing stays
in flight, and the job goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from common import report

import farandole as fdl
import farandole.torch as hvd

LIMIT = 30.0  # what does not end is one more that nobody noticed

Call = Callable[[str], fdl.Handle]


def of_numpy(count: int) -> Call:
    return lambda n: fdl.grouped_allreduce_async([np.ones(3)] * count, name=n, op=fdl.Sum)


def of_torch(count: int) -> Call:
    return lambda n: hvd.grouped_allreduce_async([torch.ones(3)] * count, name=n, op=hvd.Sum)


def sparse(name: str) -> fdl.Handle:
    return hvd.sparse_allreduce_async(torch.eye(3).to_sparse(), name, hvd.Sum)


def disagreements() -> dict[str, tuple[Call, Call]]:
    """What the odd rank calls, and what the others do."""
    return {
        "one more": (of_numpy(3), of_numpy(2)),
        "fewer": (of_torch(1), of_torch(4)),
        "group and tensor": (of_numpy(2), lambda n: fdl.allreduce_async(np.ones(3), name=n)),
        "tensor and group": (lambda n: hvd.allreduce_async(torch.ones(3), name=n), of_torch(3)),
        "other kinds": (
            lambda n: fdl.grouped_allgather_async([np.ones(3)] * 3, n),
            of_numpy(2),
        ),
        "in place": (
            lambda n: hvd.grouped_broadcast_async_([torch.ones(3)] * 2, 0, n),
            lambda n: hvd.broadcast_async_(torch.ones(3), 0, n),
        ),
        "sparse and dense": (sparse, lambda n: hvd.allreduce_async(torch.ones(3, 3), name=n)),
        "dense and sparse": (lambda n: hvd.allreduce_async(torch.ones(3, 3), name=n), sparse),
        "sparse and group": (sparse, of_torch(2)),
    }


def message_of(call: Call, name: str) -> str:
    handle: Any = call(name)
    try:
        handle.wait(LIMIT)
    except fdl.MismatchError as error:
        assert handle.done()
        return str(error)
    raise AssertionError(f"{name}: nobody noticed")


def refused_on_the_rank_itself() -> None:
    """One name is in flight for one thing."""
    if fdl.rank() != 0:
        fdl.barrier()  # what rank 0 has begun stays in flight until it has tried all
    ahead = [of_numpy(2)("own"), fdl.allreduce_async(np.ones(3), name="alone", op=fdl.Sum)]
    for call, name in [
        (of_numpy(3), "own"),
        (of_numpy(2), "own"),
        (of_numpy(2), "alone"),
        (lambda n: fdl.allreduce_async(np.ones(3), name=n), "own"),
    ]:
        if fdl.rank() != 0:
            continue
        try:
            call(name)
        except fdl.InvalidArgumentError as error:
            assert "in flight already" in str(error), error
        else:
            raise AssertionError("nobody noticed")
    if fdl.rank() == 0:
        fdl.barrier()
    for handle in ahead:
        handle.wait(LIMIT)


def messages(odd: bool) -> str:
    """From the last rank, which is odd, to rank 0, that wants fewer."""
    handle: Any = None
    if odd:
        handle = fdl.grouped_send_async([np.ones(2)] * 3, 0, "sent")
    elif fdl.rank() == 0:
        handle = fdl.grouped_recv_async(2, fdl.size() - 1, "sent")
    return message_of(lambda _: handle, "sent") if handle else ""


def main() -> None:
    fdl.init()
    rank, size = fdl.rank(), fdl.size()
    odd = rank == size - 1
    told = {}
    for name, (of_odd, of_others) in disagreements().items():
        told[name] = message_of(of_odd if odd else of_others, name)
        # The same name, rightly used, works at once, whatever it is.
        for count in (1, 4, 3, 2):
            results = of_numpy(count)(name).wait(LIMIT)
            assert [r.tolist() for r in results] == [[size] * 3] * count
        assert fdl.allreduce(np.ones(2), name=name, op=fdl.Sum).tolist() == [size, size]
        assert torch.equal(sparse(name).wait(LIMIT).to_dense(), torch.eye(3) * size)
    sent = messages(odd)
    assert all(other == told for other in fdl.allgather_object(told))
    refused_on_the_rank_itself()
    fdl.barrier()
    report(rank, messages=told, sent=sent)


main()
