"""send and recv, through NumPy or torch: messages.py numpy|torch

Each dtype and shape in each form, between all pairs of ranks and in a process set; then names,
mistakes, ranks that disagree, ranks that joined, time-outs, and in torch gradients.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from common import report
from sets_common import WAY, check, fdl, passed, refused, stretched, typed

if WAY == "torch":
    import torch

COMPUTED = "uint8 int8 uint16 int16 int32 int64 float16 bfloat16 float32 float64 bool"
DTYPES = f"{COMPUTED} complex64 complex128 float8_e4m3fn float8_e5m2".split()
SHAPES: list[tuple[int, ...]] = [(), (0,), (3, 0), (7,), (2, 3, 4)]


def sample(seed: int, shape: tuple[int, ...], dtype: str) -> Any:
    """Small whole numbers, which every dtype holds."""
    numbers = np.asarray((np.arange(int(np.prod(shape, dtype=int))).reshape(shape) + seed) % 3)
    if dtype == "bool":
        numbers = np.asarray(numbers > 1)
    return typed(numbers, dtype)


def plain(array: Any) -> Any:
    if WAY == "torch":
        array = array.to(torch.complex128).resolve_conj().numpy()
    return array.astype("c16")


def equal(got: Any, wanted: Any) -> None:
    check((str(got.dtype), tuple(got.shape)), (str(wanted.dtype), tuple(wanted.shape)))
    check(bool((plain(got) == plain(wanted)).all()), True)


def each_form(source: int, dest: int, inside: dict[str, Any], dtype: str) -> None:
    """One sends, another receives, in every form; others do nothing."""
    rank = fdl.rank()
    values = [sample(source, shape, dtype) for shape in SHAPES]
    if rank == source:
        for value in values:
            check(fdl.send(value, dest, **inside), None)
            check(fdl.send(stretched(value), dest, timeout=60, **inside), None)
            check(fdl.synchronize(fdl.send_async(value, dest, **inside)), None)
        check(fdl.grouped_send(values, dest, timeout=60, **inside), [None] * len(values))
        fdl.synchronize(fdl.grouped_send_async(values, dest, name="group", **inside))
        handles = [fdl.send_async(v, dest, name=f"{i}", **inside) for i, v in enumerate(values)]
        for handle in reversed(handles):
            check(fdl.synchronize(handle), None)
    if rank == dest:
        for value in values:
            equal(fdl.recv(source, **inside), value)
            out = sample(1, tuple(value.shape), dtype)
            check(fdl.recv(source, out=out, timeout=60, **inside) is out, True)
            equal(out, value)
            out = stretched(sample(2, tuple(value.shape), dtype))
            check(fdl.synchronize(fdl.recv_async(source, out=out, **inside)) is out, True)
            equal(out, value)
        got = fdl.grouped_recv(len(values), source, timeout=60, **inside)
        for one, value in zip(got, values, strict=True):
            equal(one, value)
        outs = [sample(1, shape, dtype) for shape in SHAPES]
        options = {"name": "group", "out": outs, **inside}
        got = fdl.synchronize(fdl.grouped_recv_async(len(values), source, **options))
        check(all(a is b for a, b in zip(got, outs, strict=True)), True)
        for one, value in zip(got, values, strict=True):
            equal(one, value)
        handles = [fdl.recv_async(source, name=f"{i}", **inside) for i in range(len(values))]
        for handle, value in zip(handles, values, strict=True):
            equal(fdl.synchronize(handle), value)
            check(fdl.poll(handle), True)


def crossing(rank: int, size: int) -> None:
    """All pairs at once, under one name both ways, beside collectives."""
    sends, receives = [], {}
    for other in range(size):
        if other != rank:
            value = sample(rank, (rank + 1, 1000), "float32")
            sends.append(fdl.send_async(value, other, name="cross"))
    total = fdl.allreduce(sample(0, (4,), "int64"), op=fdl.Sum, name="cross")
    equal(total, sample(0, (4,), "int64") * size)
    for other in range(size):
        if other != rank:
            receives[other] = fdl.recv_async(other, name="cross")
    for other, handle in receives.items():
        equal(fdl.synchronize(handle), sample(other, (other + 1, 1000), "float32"))
    for handle in sends:
        fdl.synchronize(handle)


def unnamed(rank: int) -> None:
    """Each way counts for itself, and goes on after a call that raises on one of its ranks."""
    for step in range(3):
        value = sample(step, (3,), "int32")
        if rank == 0:
            refused(functools.partial(fdl.send, "no tensor", 1), ValueError, "str")
            fdl.send(value, 1)
        elif rank == 1:
            refused(functools.partial(fdl.recv, 0, out=3), ValueError, "")
            equal(fdl.recv(0), value)


def mistakes(rank: int, size: int) -> None:
    """What is wrong on its own is a ValueError before anything is sent."""
    own = sample(0, (2,), "float32")
    send = functools.partial(fdl.send, own, name="mistake")
    recv = functools.partial(fdl.recv, name="mistake")
    for end, text in ((size, "does not exist"), (-1, "does not exist"), ("1", "no rank")):
        refused(functools.partial(send, end), ValueError, text)
        refused(functools.partial(recv, end), ValueError, text)
    refused(lambda: send(rank), ValueError, "would send to itself; copy the tensor instead")
    refused(lambda: recv(rank), ValueError, "would send to itself; copy the tensor instead")
    other = (rank + 1) % size
    refused(lambda: fdl.send(None, other, name="mistake"), ValueError, "")
    refused(lambda: fdl.recv(other, name=3), ValueError, "name=3")
    refused(lambda: recv(other, timeout=-1), ValueError, "timeout=-1")
    refused(lambda: fdl.grouped_recv(0, other, name="mistake"), ValueError, "count=0")
    refused(
        lambda: fdl.grouped_send(own, other, name="mistake"),
        ValueError,
        "a sequence of tensors is wanted",
    )
    refused(
        lambda: fdl.allreduce(own, name="x 0->1"), ValueError, "are those of messages; give another"
    )
    handle = fdl.recv_async(other, name="twice")
    refused(lambda: fdl.recv(other, name="twice"), ValueError, "in flight already")
    refused(lambda: handle.wait(0.01), fdl.PendingError, f'message "twice {other}->{rank}"')
    fdl.barrier()
    fdl.send(own, (rank - 1) % size, name="twice")
    equal(fdl.synchronize(handle), own)


def disagreements(rank: int, size: int) -> None:
    """The same error on both ranks, and the next one works."""
    cases: dict[str, tuple[Any, Any, str]] = {
        "dtype": (
            sample(0, (2, 3), "float32"),
            sample(0, (2, 3), "float64"),
            "rank 0 sends float32 [2, 3], but rank 1 has memory for float64 [2, 3]",
        ),
        "shape": (
            sample(0, (2, 3), "float32"),
            sample(0, (3, 2), "float32"),
            "rank 0 sends float32 [2, 3], but rank 1 has memory for float32 [3, 2]",
        ),
        "empty": (
            sample(0, (2,), "float32"),
            sample(0, (0,), "float32"),
            "rank 0 sends float32 [2], but rank 1 has memory for float32 [0]",
        ),
    }
    for name, (given, out, text) in cases.items():
        for _ in range(2):
            if rank == 0:
                refused(functools.partial(fdl.send, given, 1, name=name), fdl.MismatchError, text)
            if rank == 1:
                call = functools.partial(fdl.recv, 0, name=name, out=out)
                refused(call, fdl.MismatchError, text)
        if rank == 0:
            fdl.send(given, 1, name=name)
        if rank == 1:
            equal(fdl.recv(0, name=name), given)
    small = [sample(0, (2,), dtype) for dtype in ("float8_e4m3fn", "float8_e5m2")]
    if rank == 0:
        refused(lambda: fdl.send(small[0], 1, name="f8"), fdl.MismatchError, "sends")
    if rank == 1:
        refused(lambda: fdl.recv(0, name="f8", out=small[1]), fdl.MismatchError, "memory for")


def whole(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The function as one node, which goes backward through all that is within: what was received
    was made of nothing on this rank, and torch.autograd.grad would leave it out."""

    class Whole(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            with torch.enable_grad():
                ctx.x = x.detach().requires_grad_()
                ctx.y = function(ctx.x)
            return ctx.y.detach()

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            ctx.x.grad = None
            with torch.enable_grad():
                total = (ctx.y * gradient).sum()
            total.backward(retain_graph=True)
            return ctx.x.grad

    return Whole.apply


def gradients(rank: int, size: int) -> None:
    """Around the ring and back, three ways: each rank's own gradient comes home."""
    after, before = (rank + 1) % size, (rank - 1) % size

    def there_and_back(x: Any) -> Any:
        sent = fdl.send_async(x, after, name="there")
        met = fdl.recv(before, name="there")
        answered = fdl.send_async(met * met, before, name="back")
        got = fdl.recv(after, name="back")
        return got + fdl.synchronize(sent).sum() + fdl.synchronize(answered).sum()

    x: Any = torch.arange(1.0, 5.0, dtype=torch.float64) + rank
    x.requires_grad_()
    y = there_and_back(x)
    check(bool((y == x * x).all()), True)
    (y * (rank + 2)).sum().backward()
    # What the rank after this one got from here goes into its result alone.
    check(x.grad.tolist(), (2 * x * (rank + 2)).tolist())
    check(torch.autograd.gradcheck(whole(there_and_back), (x.detach().requires_grad_(),)), True)
    with torch.no_grad():
        sent = fdl.send_async(x, after, name="plain")
        check(fdl.recv(before, name="plain").requires_grad, False)
        check(fdl.synchronize(sent), None)
    if rank == 0:
        got = fdl.synchronize(fdl.grouped_send_async([x, x.detach(), x * 2], 1))
        check([g is None for g in got], [False, True, False])
        (got[0].sum() + got[2].sum()).backward()
        check(bool((x.grad == 2 * x * 2 + 5 + 2 * 7).all()), True)
        refused(lambda: fdl.recv(1, out=torch.ones(1, requires_grad=True)), ValueError, "out")
        fdl.send(x.detach().requires_grad_(), 1, name="out").sum()
    if rank == 1:
        got = fdl.grouped_recv(3, 0)
        check([g.requires_grad for g in got], [True, False, True])
        (got[0] * 5 + got[1] + got[2] * 7).sum().backward()
        out = torch.zeros(4, dtype=torch.float64)
        got = fdl.recv(0, name="out", out=out)
        check((got is out, out.requires_grad, out.sum().item()), (True, True, 10.0))


def second_derivatives(rank: int) -> None:
    x = torch.ones(2, requires_grad=True)
    if rank == 0:
        sent = fdl.send(x, 1, name="second")
        refused(
            lambda: torch.autograd.grad(sent.sum(), x, create_graph=True),
            fdl.UnsupportedError,
            "no second derivative",
        )
    if rank == 1:
        got = fdl.recv(0, name="second")
        refused(
            lambda: (got * got).sum().backward(create_graph=True),
            fdl.UnsupportedError,
            "no second derivative",
        )


def joins(rank: int, size: int) -> None:
    """The last rank has joined: nothing goes to it or comes from it."""
    if rank == size - 1:
        check(fdl.join() in range(size), True)
        return
    gone = size - 1
    own = sample(0, (2,), "float32")
    receives = f"rank {gone} has joined and receives nothing"
    refused(lambda: fdl.send(own, gone, name=f"s{rank}"), fdl.MismatchError, receives)
    sends = f"rank {gone} has joined and sends nothing"
    refused(lambda: fdl.recv(gone, name=f"r{rank}"), fdl.MismatchError, sends)
    if rank == 0 and size > 2:
        fdl.send(own, 1, name="others")
    if rank == 1:
        equal(fdl.recv(0, name="others"), own)
    check(fdl.join() in range(size), True)


def time_out(rank: int) -> None:
    if rank == 1:
        text = 'message "late 0->1"'
        refused(lambda: fdl.recv(0, name="late", timeout=0.05), fdl.PendingError, text)
    fdl.barrier()


def main() -> None:
    fdl.init()
    rank, size = fdl.rank(), fdl.size()
    ends = fdl.add_process_set([0, size - 1]) if size > 2 else None
    for source, dest in itertools.permutations(range(size), 2):
        for dtype in DTYPES if source + dest == 1 else ["float32", "float8_e5m2"]:
            each_form(source, dest, {}, dtype)
    if ends is not None and ends.included():
        for source, dest in ((0, size - 1), (size - 1, 0)):
            each_form(source, dest, {"process_set": ends}, "int64")
    if ends is not None and rank == 0:
        own = sample(0, (2,), "float32")
        call = functools.partial(fdl.send, own, 1, process_set=ends)
        refused(call, ValueError, "rank 1, to which it goes, is not in process set")
    parts: list[Callable[[], Any]] = [
        lambda: crossing(rank, size),
        lambda: unnamed(rank),
        lambda: mistakes(rank, size),
        lambda: disagreements(rank, size),
    ]
    if WAY == "torch":
        parts += [lambda: gradients(rank, size), lambda: second_derivatives(rank)]
    for part in parts:
        part()
        fdl.barrier()
    joins(rank, size)
    time_out(rank)
    report(rank, checks=passed(), size=size, local=fdl.local_rank())


main()
