"""Calls with ``timeout=`` whose other ranks come late: late_ranks.py, for three ranks.

Rank 0 calls first, and gives up; the others call when they know of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from common import report

import farandole.torch as hvd

PATIENCE = 0.05  # of rank 0, for whom the others wait until it has none left
checks = 0


def check(got: Any, wanted: Any) -> None:
    global checks
    assert got == wanted, f"rank {hvd.rank()}: {got} instead of {wanted}"
    checks += 1


def pending(call: Callable[..., Any], timeout: float = PATIENCE) -> Any:
    """The handle that the call leaves behind."""
    try:
        call(timeout=timeout)
    except hvd.PendingError as error:
        check(f"not finished within {timeout:g} s" in str(error), True)
        check(isinstance(error, hvd.HorovodInternalError), False)
        assert error.handle is not None
        return error.handle
    raise AssertionError("nobody was waited for")


def in_order(call: Callable[..., Any]) -> Any:
    """What the call brings, on rank 0 by way of the handle."""
    if hvd.rank() == 0:
        handle = pending(call)
        hvd.barrier()
        return handle.wait(60)
    hvd.barrier()
    return call(timeout=60)


def one_message(rank: int, size: int) -> None:
    """The handle brings what the call would have."""
    objects = in_order(lambda **timeout: hvd.allgather_object([rank], **timeout))
    check(objects, [[r] for r in range(size)])
    figures = in_order(lambda **timeout: hvd.average_metrics({"a": rank}, **timeout))
    check(figures, {"a": (size - 1) / 2})


def sets(rank: int, size: int) -> None:
    ends = hvd.ProcessSet([0, size - 1])
    check(in_order(lambda **timeout: hvd.add_process_set(ends, **timeout)) is ends, True)
    check(ends.process_set_id, 1)
    if rank == 0:
        handle = pending(lambda **timeout: hvd.join(process_set=ends, **timeout))
        hvd.barrier()
        check(handle.wait(60), size - 1)
    else:
        hvd.barrier()
        if ends.included():
            check(hvd.join(process_set=ends, timeout=60), size - 1)
    if ends.included():
        check(hvd.allreduce(torch.ones(1), op=hvd.Sum, process_set=ends).item(), 2)
    check(in_order(lambda **timeout: hvd.remove_process_set(ends, **timeout)), True)
    check(ends.process_set_id, None)


def several_messages(rank: int) -> None:
    """What is on its way goes on, and nothing follows it: others give up, too."""
    weight = torch.nn.Parameter(torch.full((2,), float(rank)))
    optimizer = torch.optim.SGD([weight], lr=0.1 * (rank + 1))
    for call in (
        lambda **timeout: hvd.broadcast_object("x" * 10_000, 0, **timeout),
        lambda **timeout: hvd.broadcast_parameters([("w", weight)], 0, **timeout),
        lambda **timeout: hvd.broadcast_optimizer_state(optimizer, 0, **timeout),
    ):
        if rank == 0:
            handle = pending(call)
            hvd.barrier()
            handle.wait(60)
        else:
            hvd.barrier()
            pending(call, timeout=0.5)
    check((weight.tolist(), optimizer.param_groups[0]["lr"]), ([rank] * 2, 0.1 * (rank + 1)))


def main() -> None:
    hvd.init()
    torch.set_num_threads(1)
    one_message(hvd.rank(), hvd.size())
    sets(hvd.rank(), hvd.size())
    several_messages(hvd.rank())
    hvd.barrier()
    report(hvd.rank(), checks=checks)


main()
