"""reduce, gather and scatter, through NumPy or torch: rooted.py numpy|torch

Every dtype in every form, to and from several roots, among all ranks and in a process set, against
what each rank can compute by itself; then mistakes, ranks that disagree, and ranks that joined.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from common import report
from sets_common import WAY, check, fdl, passed, refused, stretched, typed

if WAY == "torch":
    import torch

REDUCED = "uint8 int32 int64 float16 bfloat16 float32 float64 bool complex64"
MOVED = f"{REDUCED} int8 uint16 int16 complex128 float8_e4m3fn float8_e5m2"
Arrays = list[Any]


class Place:
    """A rank's, in a process set, and a root."""

    def __init__(self, process_set: Any, root: int) -> None:
        self.rank, self.size = process_set.rank(), process_set.size()
        self.root = process_set.ranks.index(root)
        self.inside = {"root_rank": root, "process_set": process_set}
        self.at_root = self.rank == self.root


def sample(rank: int, rows: int, dtype: str) -> Any:
    """Small whole numbers, so that every dtype holds every result exactly."""
    numbers: Any = (np.arange(rows * 3).reshape(rows, 3) + rank) % 3
    if dtype == "bool":
        numbers = numbers > 1
    return typed(numbers, dtype)


def copy_of(array: Any) -> Any:
    return array.clone() if WAY == "torch" else array.copy()


def empty_like(array: Any) -> Any:
    return typed(np.zeros(tuple(array.shape)), str(array.dtype).removeprefix("torch."))


def joined(arrays: Arrays, dtype: str) -> Any:
    whole = np.concatenate([plain(a) for a in arrays])
    return typed(whole if dtype.startswith("complex") else whole.real, dtype)


def plain(array: Any) -> Any:
    """As complex numbers, which hold every dtype's."""
    if WAY == "torch":
        array = array.to(torch.complex128).numpy()
    return array.astype("c16")


def equal(results: Any, wanted: Any) -> None:
    """None stands for a result that this rank does not have."""
    for got, right in zip(results, wanted, strict=True):
        if right is None or got is None:
            check(got is None and right is None, True)
            continue
        check((str(got.dtype), tuple(got.shape)), (str(right.dtype), tuple(right.shape)))
        check(bool((plain(got) == plain(right)).all()), True)


def api(name: str) -> Any:
    return getattr(fdl, name)


def forms(name: str, given: Arrays, results: Arrays, **options: Any) -> Iterator[Any]:
    """The results of every form that makes new tensors, or fills the caller's."""
    yield [api(name)(a, **options) for a in given]
    if given[0] is not None:
        yield [api(name)(stretched(a), **options) for a in given]
    else:  # what others do meanwhile
        yield [api(name)(a, **options) for a in given]
    handles = [api(f"{name}_async")(a, **options) for a in given]
    yield [fdl.synchronize(handle) for handle in handles]
    yield api(f"grouped_{name}")(given, timeout=60, **options)
    for copy in (copy_of, stretched):
        outs = [None if r is None else copy(empty_like(r)) for r in results]
        each = zip(given, outs, strict=True)
        made = [api(name)(a, out=out, timeout=60, **options) for a, out in each]
        check(all(a is b for a, b in zip(made, outs, strict=True)), True)
        yield made
        made = fdl.synchronize(api(f"grouped_{name}_async")(given, out=outs, **options))
        check(all(a is b for a, b in zip(made, outs, strict=True)), True)
        yield made


def reductions(place: Place, dtype: str) -> None:
    everyone = [[sample(r, n, dtype) for r in range(place.size)] for n in (1, 4)]
    mine = [each[place.rank] for each in everyone]
    sums = [sum(plain(a) for a in each) for each in everyone]
    sums = [total.real > 0 if dtype == "bool" else total for total in sums]
    sums = [total if dtype.startswith("complex") else total.real for total in sums]
    wanted = [typed(total, dtype) if place.at_root else None for total in sums]
    options = {"op": fdl.Sum, **place.inside}
    for results in forms("reduce", mine, wanted, **options):
        equal(results, wanted)
    for form in ("", "async_"):
        for copy in (copy_of, stretched):
            for grouped in (False, True):
                own = [copy(a) for a in mine]
                if grouped:
                    made = api(f"grouped_reduce_{form}")(own, **options)
                    made = fdl.synchronize(made) if form else made
                else:
                    made = [api(f"reduce_{form}")(a, **options) for a in own]
                    made = [fdl.synchronize(handle) for handle in made] if form else made
                equal(made, wanted)
                equal(own, wanted if place.at_root else mine)  # others' stay as they are


def other_reductions(place: Place) -> None:
    own = typed(np.array([place.rank + 1.0, 4.0 - place.rank]), "float32")
    for op, of in (
        (fdl.Average, np.mean),
        (fdl.Min, np.min),
        (fdl.Max, np.max),
        (fdl.Product, np.prod),
    ):
        scales = {"prescale_factor": 2.0, "postscale_factor": 0.5}
        got = fdl.reduce(own, op=op, **scales, **place.inside)
        everyone = np.array([[r + 1.0, 4.0 - r] for r in range(place.size)])
        wanted = of(everyone * 2, axis=0) * 0.5
        check(got is not None, place.at_root)
        if got is not None:
            check(bool(np.allclose(plain(got), wanted)), True)
    for compression in (fdl.Compression.fp16, fdl.Compression.bf16):
        options = {"op": fdl.Sum, "compression": compression, **place.inside}
        total = typed(np.full(2, float(place.size)), "float32") if place.at_root else None
        ones = typed(np.ones(2), "float32")
        equal([fdl.reduce(ones, **options)], [total])
        equal(fdl.grouped_reduce([ones, ones], **options), [total, total])


def moves(place: Place, dtype: str) -> None:
    size = place.size
    unlike, alike = range(size), [2] * size
    ragged = [[sample(r, n, dtype) for r, n in enumerate(rows)] for rows in (unlike, alike)]
    mine = [each[place.rank] for each in ragged]
    wanted = [joined(each, dtype) if place.at_root else None for each in ragged]
    for results in forms("gather", mine, wanted, **place.inside):
        equal(results, wanted)
    whole = [sample(7, n * size, dtype) for n in (1, 3)]
    wanted = [whole[0][place.rank : place.rank + 1], whole[1][3 * place.rank : 3 * place.rank + 3]]
    given = whole if place.at_root else [None, None]
    for results in forms("scatter", given, wanted, **place.inside):
        equal(results, wanted)


def parts(place: Place, dtype: str) -> None:
    """Unlike ones: none for the first rank, two for the second, four for the third."""
    rows = [2 * r for r in range(place.size)]
    pieces = [sample(r, n, dtype) for r, n in enumerate(rows)]
    whole = joined(pieces, dtype)
    wanted = [pieces[place.rank]]
    given = (whole, rows) if place.at_root else (None, None)
    equal([fdl.scatter(given[0], splits=given[1], **place.inside)], wanted)
    equal([fdl.scatter(pieces if place.at_root else None, **place.inside)], wanted)
    # What others than the root give does not matter.
    other = whole if place.at_root else sample(0, 1, "float64")
    equal([fdl.scatter(other, splits=rows, **place.inside)], wanted)
    both = [whole, pieces] if place.at_root else [None, None]
    splits = [rows, None] if place.at_root else None
    equal(fdl.grouped_scatter(both, splits=splits, **place.inside), wanted * 2)


def odd_shapes(place: Place) -> None:
    size = place.size
    total = typed(np.array(float(size)), "float32")
    got = fdl.reduce(typed(np.array(1.0), "float32"), op=fdl.Sum, **place.inside)
    equal([got], [total if place.at_root else None])
    for shape in ((0,), (5, 0), (1 << 18,)):
        ones = typed(np.ones(shape), "float32")
        wanted = typed(np.full(shape, float(size)), "float32")
        equal([fdl.reduce(ones, op=fdl.Sum, **place.inside)], [wanted if place.at_root else None])
        rows = (shape[0] * size, *shape[1:])
        wanted = typed(np.ones(rows), "float32")
        equal([fdl.gather(ones, **place.inside)], [wanted if place.at_root else None])
        equal([fdl.scatter(wanted if place.at_root else None, **place.inside)], [ones])


def names(place: Place) -> None:
    """Any order, matched by name; the same name again, with other rows and dtypes."""
    order = ["a", "b", "c"] if place.rank % 2 else ["c", "a", "b"]
    for step in range(4):
        rows = sample(place.rank, step % 2 + 1, "float32")
        whole = sample(step, place.size * (step % 3), "int32" if step % 2 else "float32")
        given = whole if place.at_root else None
        sums = sample(place.rank, step + 1, "int64")
        later = functools.partial
        calls = {
            "a": later(fdl.gather_async, rows, name="a", **place.inside),
            "b": later(fdl.scatter_async, given, name="b", **place.inside),
            "c": later(fdl.reduce_async, sums, name="c", op=fdl.Max, **place.inside),
        }
        handles = {name: calls[name]() for name in order}
        got = {name: fdl.synchronize(handle) for name, handle in handles.items()}
        check(tuple(got["b"].shape), (step % 3, 3))
        check("int32" in str(got["b"].dtype), bool(step % 2))
        check((got["a"] is not None, got["c"] is not None), (place.at_root, place.at_root))


def mistakes(place: Place) -> None:
    """What is wrong on its own is a ValueError before anything is sent."""
    own = sample(0, place.size, "float32")
    inside = place.inside
    for name in ("reduce", "gather", "scatter"):
        for root, text in ((77, "root rank 77"), ("1", "no rank")):
            call = functools.partial(api(name), own, **{**inside, "root_rank": root})
            refused(call, ValueError, text)
    refused(lambda: fdl.reduce(own, op=9, **inside), ValueError, "op=9")
    refused(lambda: fdl.gather(typed(np.array(1.0), "float32"), **inside), ValueError, "0-dim")
    if not place.at_root:
        call = functools.partial(fdl.scatter, None, out=3, name="mistake", **inside)
        refused(call, ValueError, "3" if WAY == "numpy" else "int")
        return
    for given, splits, text in (
        (None, None, "gives no tensor (None)"),
        (own, [place.size], f"1 splits for {place.size} ranks"),
        (own, [1] * (place.size - 1) + [2], "more than the tensor's"),
        (own, [0] * place.size, "over"),
        (own, "abc", "splits='abc'"),
        ([], None, f"0 tensors for {place.size} ranks"),
        ([own], None, f"1 tensors for {place.size} ranks"),
        ([own] * place.size, [1] * place.size, "a list of tensors, which has its own"),
        ([own] * (place.size - 1) + [own[:, :2]], None, "the first extent alone"),
        ([own] * (place.size - 1) + [sample(0, 1, "int32")], None, "the first extent alone"),
        (sample(0, place.size + 1, "float32"), None, "cannot be split evenly"),
        (typed(np.array(1.0), "float32"), None, "0-dim"),
    ):
        call = functools.partial(fdl.scatter, given, splits=splits, name="mistake", **inside)
        refused(call, ValueError, text)


def disagreements(place: Place) -> None:
    """The same error on every rank, and the next operation works."""
    odd = place.rank == place.size - 1
    ranks = place.inside["process_set"].ranks
    other = ranks[0] if place.inside["root_rank"] == ranks[-1] else ranks[-1]
    elsewhere = {**place.inside, "root_rank": other if odd else place.inside["root_rank"]}
    own = sample(0, 2, "float32")
    wide = typed(np.ones((2, 4)), "float32")
    whole = sample(0, place.size, "float32")
    calls: dict[str, Callable[[str], Any]] = {
        "root": lambda n: fdl.reduce(own, name=n, **elsewhere),
        "root of gather": lambda n: fdl.gather(own, name=n, **elsewhere),
        "root of scatter": lambda n: fdl.scatter(whole, name=n, **elsewhere),
        "shape": lambda n: fdl.reduce(wide if odd else own, name=n, **place.inside),
        "columns": lambda n: fdl.gather(wide if odd else own, name=n, **place.inside),
        "op": lambda n: fdl.reduce(own, name=n, op=fdl.Max if odd else fdl.Sum, **place.inside),
        "dtype": lambda n: fdl.gather(
            sample(0, 2, "float64") if odd else own, name=n, **place.inside
        ),
        "kind": lambda n: (fdl.gather if odd else fdl.reduce)(own, name=n, **place.inside),
        "kinds": lambda n: (fdl.scatter if odd else fdl.gather)(whole, name=n, **place.inside),
    }
    for name, call in calls.items():
        try:
            call(name)
        except fdl.MismatchError as error:
            text = str(error)
        else:
            raise AssertionError(f"{name}: nobody noticed")
        process_set = place.inside["process_set"]
        texts = fdl.allgather_object(text, process_set=process_set)
        check(texts, [text] * place.size)
        got = fdl.reduce(own, name=name, op=fdl.Max, **place.inside)
        equal([got], [own if place.at_root else None])


def joins(rank: int, size: int) -> None:
    """The last rank has joined: it puts in nothing, and cannot be the root."""
    if rank == size - 1:
        check(fdl.join() in range(size), True)
        return
    others = size - 1
    own = typed(np.full((2, 2), rank + 1.0), "float32")
    for op, value in (
        (fdl.Sum, others * (others + 1) / 2),
        (fdl.Average, (others + 1) / 2),
        (fdl.Min, 1.0),
        (fdl.Max, float(others)),
    ):
        got = fdl.reduce(own, 0, name=f"op{int(op)}", op=op)
        wanted = typed(np.full((2, 2), value), "float32") if rank == 0 else None
        equal([got], [wanted])
    got = fdl.gather(own, 0, name="gathered")
    check(None if got is None else tuple(got.shape), (2 * others, 2) if rank == 0 else None)
    rows = [2] * others + [0]
    whole = sample(0, 2 * others, "int16") if rank == 0 else None
    got = fdl.scatter(whole, 0, rows, name="scattered")
    equal([got], [sample(0, 2 * others, "int16")[2 * rank : 2 * rank + 2]])
    gone = f"rank {size - 1}"
    for call, text in (
        (lambda: fdl.reduce(own, size - 1, name="r"), f"root, {gone}, has joined and receives"),
        (lambda: fdl.gather(own, size - 1, name="g"), f"root, {gone}, has joined and receives"),
        (lambda: fdl.scatter(None, size - 1, name="s"), f"root, {gone}, has joined and sends"),
        (
            lambda: fdl.scatter(sample(0, size, "int16"), 0, name="t"),
            f"{gone} has joined and receives nothing, but rank 0 has rows for it",
        ),
    ):
        refused(call, fdl.MismatchError, text)
    check(fdl.join() in range(size), True)


def main() -> None:
    fdl.init()
    rank, size = fdl.rank(), fdl.size()
    ends = fdl.add_process_set([0, size - 1]) if size > 2 else None
    sets = [fdl.global_process_set] + ([ends] if ends is not None and ends.included() else [])
    for process_set in sets:
        for root in (process_set.ranks[0], process_set.ranks[-1]):
            place = Place(process_set, root)
            first = process_set is fdl.global_process_set and root == 0
            for dtype in (REDUCED if first else "float32 bool").split():
                reductions(place, dtype)
            for dtype in (MOVED if first else "float32 float8_e5m2").split():
                moves(place, dtype)
                parts(place, dtype)
            for part in (other_reductions, odd_shapes, names, mistakes, disagreements):
                part(place)
    fdl.barrier()
    joins(rank, size)
    report(rank, checks=passed(), size=size, local=fdl.local_rank())


main()
