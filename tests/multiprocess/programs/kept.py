"""Everything of a session that a script can keep after shutdown(), in two sessions one behind the
other: what the process uses before and after, and what becomes of what is kept."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from common import report, threads
from usage import usage

import farandole.torch as hvd
from farandole import process_sets
from farandole.handles import Deadline, Handle

SPARSE = torch.tensor([1.0, 0.0, 2.0]).to_sparse()


def used() -> dict[str, int]:
    now = usage()
    segments = Path("/proc/self/maps").read_text().count("/memfd:farandole")
    return {"segments": segments, "threads": now["threads"], "descriptors": now["descriptors"]}


def outcome(call: Callable[[], Any]) -> str:
    try:
        return str(call())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


class Unwaited(Deadline):
    """Gives the handle, as the error of a timeout does, and does not wait."""

    def wait(self, handle: Handle) -> Any:
        return handle


def later(call: Callable[[Any], Any], process_set: hvd.ProcessSet) -> Handle:
    with mock.patch.object(process_sets, "Deadline", Unwaited):
        handle: Handle = call(process_set)
    return handle


class Waiter(threading.Thread):
    """Waits for a handle in synchronize(), from before the shutdown on."""

    def __init__(self, handle: hvd.Handle) -> None:
        super().__init__()
        self.handle = handle
        self.ended = ""

    def run(self) -> None:
        self.ended = outcome(lambda: hvd.synchronize(self.handle))

    def join(self, timeout: float | None = None) -> None:
        """Python does not wait for the end of the system's thread."""
        super().join(timeout)
        while self.native_id in threads():
            os.sched_yield()  # the test's own limit ends a thread that stays


def leave(
    session: int, added: hvd.ProcessSet, removed: hvd.ProcessSet
) -> tuple[dict[str, Any], list[Any], list[Handle]]:
    """Handles, never waited for, and other things that this session gave; it is over."""
    hvd.init()
    rank = hvd.rank()
    model = torch.nn.Linear(4, 2)
    optimizer = hvd.DistributedOptimizer(
        torch.optim.SGD(model.parameters(), lr=0.1), named_parameters=model.named_parameters()
    )
    model(torch.ones(3, 4)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    hvd.add_process_set(removed)
    changes = [later(hvd.remove_process_set, removed), later(hvd.add_process_set, added)]
    some = hvd.add_process_set([1])
    hvd.start_timeline(os.path.join(os.environ["KEPT_FOLDER"], f"{session}-{{rank}}.json"))
    handles = {
        "finished": hvd.allreduce_async(torch.full((2,), session), op=hvd.Sum, name="same"),
        "gathered": hvd.allgather_async(torch.full((rank + 1, 1), session), name="rows"),
        "grouped": hvd.grouped_allreduce_async([torch.ones(2), torch.ones(3)], op=hvd.Sum),
        "sparse": hvd.sparse_allreduce_async(SPARSE, "sparse", hvd.Sum),
        "unlike": hvd.allreduce_async(torch.ones(rank + 1), name="unlike"),
    }
    if rank == 0:
        model(torch.ones(3, 4)).sum().backward()
    handles["pending"] = hvd.allreduce_async(torch.ones(3), name=f"of rank {rank} alone")
    waiter = Waiter(hvd.allreduce_async(torch.ones(3), name=f"waited for by rank {rank}"))
    waiter.start()
    hvd.barrier()
    hvd.shutdown()
    waiter.join(20)
    return {**handles, "waited": waiter}, [optimizer, model, some], changes


def ended(name: str, handle: Any) -> str:
    return handle.ended if name == "waited" else outcome(handle.wait)


def main() -> None:
    before = used()
    kept: list[tuple[dict[str, Any], list[Any], list[Handle]]] = []
    added, removed = hvd.ProcessSet([0]), hvd.ProcessSet([1])
    after, ends = [], []
    for session in (1, 2):
        kept.append(leave(session, added, removed))
        after.append(used())
        handles, (optimizer, _, some), _ = kept[-1]
        told = {name: ended(name, handle) for name, handle in handles.items()}
        told["shown"] = repr(handles["pending"])
        told["polled"] = outcome(partial(hvd.poll, handles["pending"]))
        told["step"] = outcome(optimizer.step)
        told["in set"] = outcome(partial(hvd.allreduce, torch.ones(1), process_set=some))
        ends.append(told)
    hvd.init(process_sets=[removed, added])
    rank, size = hvd.rank(), hvd.size()
    changed = [outcome(change.wait) for _, _, changes in kept for change in changes]
    numbers = [removed.process_set_id, added.process_set_id]
    same = hvd.allreduce_async(torch.full((2,), 10), op=hvd.Sum, name="same")
    again = [{name: ended(name, h) for name, h in handles.items()} for handles, _, _ in kept]
    total = outcome(same.wait)
    hvd.barrier()
    hvd.shutdown()
    sets = {"changed": changed, "numbers": numbers}
    used_by = [before, *after, used()]
    report(rank, size=size, used=used_by, ends=ends, again=again, total=total, sets=sets)


main()
