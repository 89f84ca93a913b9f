"""Every collective of torch in every form, with sample dtypes, against what each rank can compute
by itself, because it knows what the others hold: values first, then gradients with their whole
Jacobians. `--one-dtype`: what is left of the values where dtypes were tried elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import Any

import torch
from common import report
from torch_gradients import (
    check_gradients,
    check_second_derivatives,
    check_values_of_gradients,
    place_in,
)

import farandole.torch as hvd

REDUCED = "uint8 int32 int64 float16 bfloat16 float32 float64 bool complex64"
MOVED = f"{REDUCED} int8 int16 complex128 float8_e4m3fn float8_e5m2"
Tensors = list[torch.Tensor]
CHECKS = 0


def sample(rank: int, rows: int, dtype: torch.dtype) -> torch.Tensor:
    """Small whole numbers, so that every dtype holds every result exactly."""
    numbers = (torch.arange(rows * 3).reshape(rows, 3) + rank) % 3
    return (numbers > 1) if dtype == torch.bool else numbers.to(dtype)


def stretched(tensor: torch.Tensor) -> torch.Tensor:
    """The same values in memory that is not contiguous."""
    wide = torch.zeros(*tensor.shape, 2, dtype=torch.float32).to(tensor.dtype)
    view = wide[..., 1]
    view.copy_(tensor)
    return view


def equal(results: Any, expected: Tensors, what: str) -> None:
    global CHECKS
    for result, wanted in zip(results, expected, strict=True):
        assert result.dtype == wanted.dtype, (what, result.dtype, wanted.dtype)
        as_numbers = torch.complex128 if wanted.is_complex() else torch.float64
        assert torch.equal(result.to(as_numbers), wanted.to(as_numbers)), (what, result, wanted)
        CHECKS += 1


def api(name: str) -> Any:
    return getattr(hvd, name)


def fresh_forms(name: str, tensors: Tensors, shapes: Any, **options: Any) -> Iterator[Any]:
    """Label and results of every form that makes new tensors, or fills the caller's."""

    def outs(view: bool) -> Tensors:
        empty = [torch.zeros(shape).to(t.dtype) for shape, t in zip(shapes, tensors, strict=True)]
        return [stretched(out) for out in empty] if view else empty

    yield "sync", [api(name)(t, **options) for t in tensors]
    yield "of views", [api(name)(stretched(t), **options) for t in tensors]
    handles = [api(f"{name}_async")(t, **options) for t in tensors]
    yield "async", [hvd.synchronize(handle) for handle in handles]
    for view in (False, True):
        given = outs(view)
        each = zip(tensors, given, strict=True)
        made = [api(name)(t, out=out, timeout=60, **options) for t, out in each]
        assert all(result is out for result, out in zip(made, given, strict=True))
        yield "out", made
        given = outs(view)
        handle = api(f"grouped_{name}_async")(tensors, out=given, **options)
        made = hvd.synchronize(handle)
        assert all(result is out for result, out in zip(made, given, strict=True))
        yield "grouped async out", made
    yield "grouped", api(f"grouped_{name}")(tensors, timeout=60, **options)


def forms_in_place(name: str, tensors: Tensors, **options: Any) -> Iterator[Any]:
    for form in ("", "async_"):
        for copy in (torch.clone, stretched):
            copies = [copy(t) for t in tensors]
            made = [api(f"{name}_{form}")(t, **options) for t in copies]
            made = [hvd.synchronize(handle) for handle in made] if form else made
            assert all(result is t for result, t in zip(made, copies, strict=True))
            yield "in place", copies
            copies = [copy(t) for t in tensors]
            made = api(f"grouped_{name}_{form}")(copies, **options)
            made = hvd.synchronize(made) if form else made
            assert all(result is t for result, t in zip(made, copies, strict=True))
            yield "grouped in place", copies


def values_of_reductions(rank: int, size: int, dtype: torch.dtype) -> None:
    rows = (size + 1, size * 2)
    everyone = [[sample(r, n, dtype) for r in range(size)] for n in rows]
    mine = [each[rank] for each in everyone]
    sums = [torch.stack(each).to(torch.complex128).sum(0) for each in everyone]
    if dtype == torch.bool:
        sums = [total.real > 0 for total in sums]
    elif not dtype.is_complex:
        sums = [total.real for total in sums]
    expected = [total.to(dtype) for total in sums]
    shapes = [total.shape for total in expected]
    for form, results in fresh_forms("allreduce", mine, shapes, op=hvd.Sum):
        equal(results, expected, f"allreduce {form}")
    for form, results in forms_in_place("allreduce", mine, op=hvd.Sum):
        equal(results, expected, f"allreduce {form}")
    parts = [total.tensor_split(cuts(len(total), size))[rank] for total in expected]
    shapes = [part.shape for part in parts]
    for form, results in fresh_forms("reducescatter", mine, shapes, op=hvd.Sum):
        equal(results, parts, f"reducescatter {form}")


def cuts(rows: int, size: int) -> list[int]:
    """Where the rows of each rank but the first begin."""
    each, more = divmod(rows, size)
    return [r * each + min(r, more) for r in range(1, size)]


def values_of_moves(rank: int, size: int, dtype: torch.dtype) -> None:
    ragged = [
        [sample(r, n, dtype) for r, n in enumerate(rows)] for rows in [range(size), [2] * size]
    ]
    mine = [each[rank] for each in ragged]
    expected = [torch.cat(each) for each in ragged]
    for form, results in fresh_forms("allgather", mine, [e.shape for e in expected]):
        equal(results, expected, f"allgather {form}")
    root = size - 1
    alike = [[sample(r, n, dtype) for r in range(size)] for n in (1, 4)]
    mine, expected = [each[rank] for each in alike], [each[root] for each in alike]
    options = {"root_rank": root}
    for form, results in fresh_forms("broadcast", mine, [e.shape for e in expected], **options):
        equal(results, expected, f"broadcast {form}")
    for form, results in forms_in_place("broadcast", mine, **options):
        equal(results, expected, f"broadcast {form}")
    even = [[sample(r, n * size, dtype) for r in range(size)] for n in (1, 2)]
    mine = [each[rank] for each in even]
    expected = [torch.cat([t.chunk(size)[rank] for t in each]) for each in even]
    for form, results in fresh_forms("alltoall", mine, [e.shape for e in expected]):
        equal(results, expected, f"alltoall {form}")


def values_with_splits(rank: int, size: int) -> None:
    """Rank s sends s + d rows to rank d, in the second tensor of a group as many to each."""
    tensor = sample(rank, sum(rank + d for d in range(size)), torch.float32)
    splits = torch.tensor([rank + d for d in range(size)], dtype=torch.int32)
    other = sample(rank, size, torch.int64)
    output, received = hvd.alltoall(tensor, splits)
    assert received.tolist() == [s + rank for s in range(size)]
    out = torch.zeros_like(output)
    pair, plain = hvd.grouped_alltoall([tensor, other], [splits, None], out=[out, None])
    assert pair[0] is out
    equal([out, pair[1], plain], [output, received, hvd.alltoall(other)], "grouped splits")


def compressed(rank: int, size: int) -> None:
    tensors = [torch.full((n, 2), float(rank)) for n in (size, 1)]
    total = float(sum(range(size)))
    for compression in (hvd.Compression.fp16, hvd.Compression.bf16):
        options: dict[str, Any] = {"op": hvd.Sum, "compression": compression}
        outs = [torch.zeros_like(t, dtype=torch.float32) for t in tensors]
        made = hvd.grouped_allreduce(tensors, out=outs, **options)
        assert made[1] is outs[1]
        equal(made, [torch.full_like(t, total) for t in tensors], "compressed")
        out = torch.zeros(1, 2)
        assert hvd.reducescatter(tensors[0], out=out, **options) is out
        equal([out], [torch.full((1, 2), total)], "compressed part")


def sparse(rank: int, size: int) -> None:
    """Duplicates are summed before anything is sent, entries of several ranks afterwards."""
    for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.int8):
        places = torch.tensor([[rank, rank, size], [0, 0, 1]])
        values = torch.tensor([1, 2, 3], dtype=dtype)
        tensor = torch.sparse_coo_tensor(places, values, (size + 1, 2), check_invariants=True)
        dense = torch.zeros(size + 1, 2, dtype=dtype)
        dense[:size, 0], dense[size, 1] = 3, 3 * size
        before = hvd.counters()["bytes"]
        total = hvd.sparse_allreduce_async(tensor, None, hvd.Sum)()
        # Two entries and their places, what it is: the operation, factors, a shape.
        sent = 2 * values.element_size() + (2 * 2 + 3 + 2) * 8
        assert hvd.counters()["bytes"] - before == sent
        assert total.is_coalesced() and total._nnz() == size + 1
        equal([total.to_dense()], [dense], "sparse sum")
        mean = hvd.sparse_allreduce_async(tensor, "sparse", hvd.Average)()
        whole = not dtype.is_floating_point
        expected = torch.div(dense, size, rounding_mode="trunc") if whole else dense / size
        equal([mean.to_dense()], [expected], "sparse average")
    sparse_averages_of_large_numbers(rank)
    shape = (size + 1 + (rank == 1), 2)
    unlike = torch.eye(1).to_sparse().sparse_resize_(shape, 2, 0)
    one = torch.eye(2).to_sparse()
    for tensor, op, text in (
        (unlike, hvd.Sum, f"shape of the sparse tensor: rank 0 has [{size + 1}, 2], rank 1 has"),
        (one, hvd.Average if rank == 1 else hvd.Sum, "Average; give one operation on every rank"),
        (torch.eye(2).to_sparse(1 if rank else 2), hvd.Sum, "ranks disagree on"),
    ):
        try:
            hvd.sparse_allreduce_async(tensor, "unlike", op)()
        except hvd.MismatchError as error:
            assert text in str(error), error
        else:
            raise RuntimeError("nobody noticed")


def sparse_averages_of_large_numbers(rank: int) -> None:
    """They are what those of dense tensors are, also where no sum has room in the dtype."""
    places = torch.tensor([[0, 2, 3 + rank]])
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        most, least = torch.iinfo(dtype).max, torch.iinfo(dtype).min
        values = torch.tensor([most - rank, least + rank, most], dtype=dtype)
        check_average(torch.sparse_coo_tensor(places, values, (16,), check_invariants=True))
    for dtype in (torch.float16, torch.bfloat16):
        values = torch.tensor([60000.0, -60000.0, 1.0]).to(dtype)
        check_average(torch.sparse_coo_tensor(places, values, (16,), check_invariants=True))


def check_average(tensor: torch.Tensor) -> None:
    expected = hvd.allreduce(tensor.to_dense())
    made = hvd.sparse_allreduce_async(tensor, None, hvd.Average)()
    equal([made.to_dense()], [expected], f"sparse average of large {tensor.dtype}")


def tensors_as_users_have_them(rank: int, size: int) -> None:
    total = torch.tensor(size * (size + 1) / 2)
    for shape in ((), (0,), (5, 0), (1 << 18,)):
        tensor = torch.full(shape, rank + 1.0)
        equal([hvd.allreduce(tensor, op=hvd.Sum)], [total.expand(shape)], str(shape))
    numbers = torch.complex(torch.full((4,), rank + 1.0), torch.ones(4))
    expected = torch.complex(total.expand(4), torch.full((4,), -float(size)))
    equal([hvd.allreduce(numbers.conj(), op=hvd.Sum)], [expected], "conjugated")
    equal([hvd.allreduce(numbers.conj().imag, op=hvd.Sum)], [expected.imag], "negated")
    place = numbers.clone().conj()
    hvd.allreduce_(place, op=hvd.Sum)
    equal([place], [expected], "conjugated in place")
    conjugated(rank, size)
    with torch.inference_mode():
        inference = torch.full((4, 2), rank + 1.0)
        equal([hvd.allreduce(inference, op=hvd.Sum)], [total.expand(4, 2)], "inference")
        hvd.allreduce_(inference[:, 1], op=hvd.Sum)
        equal([inference[:, 1]], [total.expand(4)], "inference in place")
        assert hvd.allgather(inference).shape == (4 * size, 2)
        state = {"plain": torch.full((2,), float(rank)), "view": inference[:, 0]}
        hvd.broadcast_parameters(state, 1)
        equal(state.values(), [torch.ones(2), torch.full((4,), 2.0)], "inference from one rank")
        eye = torch.eye(2).to_sparse()
        total_of_eyes = hvd.sparse_allreduce_async(eye, "eye", hvd.Sum)()
        equal([total_of_eyes.to_dense()], [torch.eye(2) * size], "inference sparse")
    only_last = torch.ones(int(rank == size - 1), 2)
    equal([hvd.allgather(only_last)], [torch.ones(1, 2)], "one rank has rows")


def conjugated(rank: int, size: int) -> None:
    """What travels is what is seen, through every collective, to outputs and gradients as well."""
    seen = torch.complex(torch.ones(size), torch.full((size,), float(rank)))
    lazy = seen.conj_physical().conj()
    assert lazy.is_conj() and torch.equal(lazy, seen)
    imaginary = torch.arange(float(size))
    ones = torch.ones(size)
    for name, wanted in {
        "allgather": torch.complex(torch.ones(size * size), imaginary.repeat_interleave(size)),
        "alltoall": torch.complex(ones, imaginary),
        "broadcast": torch.complex(ones, torch.full((size,), 1.0)),
        "reducescatter": torch.complex(torch.tensor([1.0 * size]), imaginary.sum().view(1)),
    }.items():
        options: dict[str, Any] = {"root_rank": 1} if name == "broadcast" else {}
        options |= {"op": hvd.Sum} if name == "reducescatter" else {}
        out = torch.zeros_like(wanted).conj()
        assert api(name)(lazy, out=out, **options) is out
        equal([api(name)(lazy, **options), out], [wanted, wanted], f"conjugated {name}")
    leaf = seen.clone().requires_grad_()
    result = hvd.allreduce(leaf.conj(), op=hvd.Sum)
    torch.autograd.backward(torch.view_as_real(result).sum())
    assert leaf.grad is not None
    equal([leaf.grad], [torch.complex(ones, -ones) * size], "conjugated gradient")


def several_threads(rank: int, size: int) -> None:
    """Each thread has names of its own, and begins with another operation on every rank."""
    wrong: list[str] = []

    def work(thread: int) -> None:
        for step in range(8):
            x = torch.full((size, 2), rank + 1.0, requires_grad=True)
            operations: list[Any] = [
                lambda x=x, n=f"a{thread}.{step}": hvd.allreduce_async(x, op=hvd.Sum, name=n),
                lambda x=x, n=f"g{thread}.{step}": hvd.grouped_allgather_async([x, x], name=n),
            ]
            if (rank + thread) % 2:
                operations.reverse()
            for handle in [operation() for operation in operations]:
                hvd.synchronize(handle)
            torch.autograd.backward(hvd.allreduce(x, op=hvd.Sum, name=f"b{thread}.{step}").sum())
            if x.grad is None or not torch.equal(x.grad, torch.full((size, 2), float(size))):
                wrong.append(f"{thread}.{step}: {x.grad}")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def beside_torch_distributed(rank: int, size: int) -> None:
    """Its process group and the session of this process do not meet."""
    import tempfile

    import torch.distributed as dist

    folder = hvd.broadcast_object(tempfile.mkdtemp() if rank == 0 else None)
    dist.init_process_group("gloo", f"file://{folder}/store", rank=rank, world_size=size)
    tensor, other = torch.full((3,), rank + 1.0), torch.full((3,), rank + 1.0)
    handle = hvd.allreduce_async_(tensor, op=hvd.Sum)
    dist.all_reduce(other)
    equal([hvd.synchronize(handle)], [other], "torch.distributed")
    dist.destroy_process_group()
    hvd.barrier()
    if rank == 0:
        import shutil

        shutil.rmtree(folder)


def handles(rank: int, size: int) -> None:
    """Pending, finished, failed."""
    tensor = torch.full((2,), float(rank))
    if rank == 0:
        pending = hvd.allreduce_async(tensor, name="late", op=hvd.Sum)
        assert not hvd.poll(pending)
        try:
            hvd.allgather(tensor, name="later", timeout=0.01)
        except hvd.PendingError as error:
            later = error.handle
        hvd.barrier()
        assert later is not None and len(later.wait(60)) == 2 * size
    else:
        hvd.barrier()
        later = hvd.allgather_async(tensor, name="later")
        pending = hvd.allreduce_async(tensor, name="late", op=hvd.Sum)
    first = hvd.synchronize(pending)
    assert hvd.poll(pending) and hvd.synchronize(pending) is first
    failed = hvd.grouped_allgather_async([tensor, torch.ones(1, 2 + rank)], name="unlike")
    for _ in range(2):
        try:
            hvd.synchronize(failed)
        except hvd.MismatchError as error:
            assert "unlike [2/2]" in str(error)
        else:
            raise RuntimeError("nobody noticed")
    assert hvd.poll(failed)


def derivatives(rank: int, size: int) -> None:
    """Among all ranks, and in a process set, where a rank's place is not its number."""
    check_gradients(place_in(hvd.global_process_set))
    check_second_derivatives(place_in(hvd.global_process_set))
    ends = hvd.add_process_set([0, size - 1]) if size == 3 else None
    if ends is not None and ends.included():
        check_gradients(place_in(ends))
        check_second_derivatives(place_in(ends))


CHECKED = (
    values_with_splits,
    compressed,
    sparse,
    tensors_as_users_have_them,
    several_threads,
    handles,
    check_values_of_gradients,
    derivatives,
)


def main() -> None:
    hvd.init()
    torch.set_num_threads(1)
    rank, size = hvd.rank(), hvd.size()
    one = "--one-dtype" in sys.argv
    for name in ["float32"] if one else REDUCED.split():
        values_of_reductions(rank, size, getattr(torch, name))
    for name in ["float32"] if one else MOVED.split():
        values_of_moves(rank, size, getattr(torch, name))
    for check in CHECKED:
        print("check", check.__name__, flush=True)
        check(rank, size)
    if size == 2:
        beside_torch_distributed(rank, size)
    report(rank, checks=CHECKS, local=hvd.local_rank())


main()
