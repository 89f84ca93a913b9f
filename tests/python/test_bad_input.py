"""What is wrong on its own is a ValueError where it was said, and leaves the session usable."""

from __future__ import annotations

import array
import ctypes
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import farandole as fdl
from farandole import _native, _session

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("session")]

ONES = np.ones((2, 3), dtype="f4")
OTHER_SET = fdl.ProcessSet([0])


class OfDlpack:
    """Whatever it is given comes out of __dlpack__."""

    def __init__(self, capsule: Any) -> None:
        self.capsule = capsule

    def __dlpack__(self) -> Any:
        return self.capsule


def capsule_on(values: np.ndarray, device: int, index: int) -> Any:
    """DLPack of the array, as if its memory were that of another device."""
    capsule = values.__dlpack__()
    address = ctypes.pythonapi.PyCapsule_GetPointer
    address.restype, address.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    # Behind the pointer to the data: the device's type and number.
    place = address(capsule, b"dltensor") + ctypes.sizeof(ctypes.c_void_p)
    (ctypes.c_int32 * 2).from_address(place)[:] = [device, index]
    return capsule


# What depends on more than one argument; each by itself is in test_argument_matrix.py.
WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "buffer of uint32": (
        lambda: fdl.allreduce(memoryview(array.array("I", [1]))),
        r"\"I\" \(32 bits\) is not supported; uint8, .* and complex128 in this machine's byte",
    ),
    "DLPack of uint32": (
        lambda: fdl.allreduce(OfDlpack(np.ones(1, "u4").__dlpack__())),
        r"\(code 1, 32 bits\) is not supported; uint8, .*bool, complex64 and complex128 are",
    ),
    "no capsule": (lambda: fdl.allreduce(OfDlpack(3)), "pass the tensor itself, or a new capsule"),
    "stepped buffer": (lambda: fdl.allreduce(memoryview(b"abcd")[::2]), "cannot be read"),
    "average of bool": (lambda: fdl.allreduce(np.ones(2, "?")), "Average has no meaning for bool"),
    "order of complex": (
        lambda: fdl.allreduce(np.ones(2, "c8"), op=fdl.Max),
        "Max has no meaning for complex64",
    ),
    "Adasum of whole numbers": (
        lambda: fdl.allreduce(np.ones(2, "i4"), op=fdl.Adasum),
        "Adasum has no meaning for int32; Sum, Average, Min, Max and Product have",
    ),
    "scattered Adasum": (
        lambda: fdl.reducescatter(ONES, op=fdl.Adasum),
        "Adasum belongs to allreduce alone",
    ),
    "scalar allgather": (lambda: fdl.allgather(np.float32(1)), "0-dim"),
    "scalar alltoall": (lambda: fdl.alltoall(np.ones(())), "0-dim"),
    "scalar reducescatter": (lambda: fdl.reducescatter(np.ones(())), "0-dim"),
    "splits' shape": (lambda: fdl.alltoall(ONES, np.array([[2]])), "whole numbers"),
}


@pytest.mark.parametrize("case", WRONG)
def test_is_refused(case: str) -> None:
    call, message = WRONG[case]
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(fdl.allreduce(ONES), ONES)


@pytest.mark.parametrize(
    ("device", "index", "message"),
    [
        (4, 0, 'allreduce "x": nothing here communicates memory of DLPack device type 4'),
        (2, 1, 'allreduce "x": nothing here communicates memory of cuda:1'),
    ],
)
def test_memory_of_another_device_is_refused_and_given_back(
    device: int, index: int, message: str
) -> None:
    values = np.ones(3, "f4")
    held = sys.getrefcount(values)
    foreign = OfDlpack(capsule_on(values, device, index))
    with pytest.raises(fdl.UnsupportedError) as caught:
        fdl.allreduce(foreign, name="x")
    assert str(caught.value) == f"{message}; move the tensor to the CPU"
    del caught, foreign
    assert sys.getrefcount(values) == held
    np.testing.assert_array_equal(fdl.allreduce(ONES), ONES)


IN_PLACE: dict[str, Callable[[Any], Any]] = {
    "allreduce_": lambda x: fdl.allreduce_(x, name="x"),
    "allreduce_async_": lambda x: fdl.allreduce_async_(x, name="x"),
    "broadcast_": lambda x: fdl.broadcast_(x, 0, name="x"),
    "broadcast_async_": lambda x: fdl.broadcast_async_(x, 0, name="x"),
    "grouped_allreduce_": lambda x: fdl.grouped_allreduce_([ONES.copy(), x], name="x"),
    "grouped_allreduce_async_": lambda x: fdl.grouped_allreduce_async_([ONES.copy(), x], name="x"),
    "grouped_broadcast_": lambda x: fdl.grouped_broadcast_([ONES.copy(), x], 0, name="x"),
    "grouped_broadcast_async_": lambda x: fdl.grouped_broadcast_async_(
        [ONES.copy(), x], 0, name="x"
    ),
    "reduce_": lambda x: fdl.reduce_(x, 0, name="x"),
    "reduce_async_": lambda x: fdl.reduce_async_(x, 0, name="x"),
    "grouped_reduce_": lambda x: fdl.grouped_reduce_([ONES.copy(), x], 0, name="x"),
    "grouped_reduce_async_": lambda x: fdl.grouped_reduce_async_([ONES.copy(), x], 0, name="x"),
}


def test_every_form_in_place_is_tried() -> None:
    assert set(IN_PLACE) == {name for name in fdl.__all__ if name.endswith("_") and name[0] != "_"}


@pytest.mark.parametrize("form", IN_PLACE)
def test_what_cannot_hold_a_result_is_refused_before_anything_is_sent(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expanded = np.lib.stride_tricks.as_strided(np.ones(3), (4, 3), (0, 8))
    read_only = np.broadcast_to(np.ones(3), (4, 3))

    def nothing(*_: Any) -> None:
        raise AssertionError("the operation was submitted")

    monkeypatch.setattr(_session, "submit", nothing)
    monkeypatch.setattr(_session, "submit_all", nothing)
    with pytest.raises(fdl.InvalidArgumentError) as caught:
        IN_PLACE[form](expanded)
    operation, _, text = str(caught.value).partition('": ')
    assert operation.startswith(form.removeprefix("grouped_").partition("_")[0] + ' "')
    assert operation.endswith(" [2/2]") == form.startswith("grouped_")  # which member it is
    assert text == (
        "the array of shape [4, 3] cannot hold a result in place: several of its elements are one "
        "place in memory (it is expanded); pass a copy, or use the form that returns a new one"
    )
    with pytest.raises(fdl.InvalidArgumentError) as caught:
        IN_PLACE[form](read_only)
    assert str(caught.value) == (
        f'{operation}": the array is read-only, but the result goes into it; pass a copy, or use '
        "the form that returns a new one"
    )


# Each is wrong for another check, from the first to the last.
UNNAMED: dict[str, tuple[int, Callable[[], Any]]] = {
    "operation": (_native.ALLREDUCE, lambda: fdl.allreduce_(ONES, op=9)),
    "compression": (
        _native.ALLREDUCE,
        lambda: fdl.allreduce(None, compression=fdl.Compression.fp16),
    ),
    "member": (_native.ALLREDUCE, lambda: fdl.grouped_allreduce([ONES, None])),
    "array": (_native.ALLGATHER, lambda: fdl.allgather([1])),
    "dtype": (_native.BROADCAST, lambda: fdl.broadcast_(np.ones(2, "u8"), 0)),
    "splits": (_native.ALLTOALL, lambda: fdl.alltoall(ONES, [])),
    "shape": (_native.REDUCESCATTER, lambda: fdl.reducescatter(np.ones(()))),
    "no tensor": (_native.SCATTER, lambda: fdl.scatter(None, 0)),
    "rows": (_native.GATHER, lambda: fdl.gather(np.ones(()), 0)),
    "nobody": (_native.REDUCE, lambda: fdl.reduce(ONES, 7)),
    "root": (_native.BROADCAST, lambda: fdl.broadcast_object(1, root_rank=7)),
    "metrics": (_native.ALLGATHER, lambda: fdl.average_metrics({"loss": "low"})),
}


@pytest.mark.parametrize("case", UNNAMED)
def test_unnamed_call_that_raises_counts_once(case: str) -> None:
    kind, call = UNNAMED[case]

    def count() -> int:
        return int(_session.current().next_name(kind).rpartition(".")[2])

    before = count()
    with pytest.raises(fdl.FarandoleError):
        call()
    assert count() == before + 2


def test_name_in_flight_twice() -> None:
    names, arrays, nothing = ["once", "twice", "twice"], [ONES] * 3, [None] * 3
    for kind in (
        _native.ALLREDUCE,
        _native.ALLGATHER,
        _native.BROADCAST,
        _native.ALLTOALL,
        _native.REDUCESCATTER,
        _native.REDUCE,
        _native.GATHER,
        _native.SCATTER,
    ):
        before = fdl.counters()["submitted"]
        with pytest.raises(ValueError, match="twice"):
            _session.submit_all(kind, names, arrays, nothing)
        assert fdl.counters()["submitted"] == before, "all or none"
    assert fdl.allreduce(ONES, name="once") is not None
    assert fdl.allreduce(ONES, name="twice") is not None


def test_a_group_is_written_only_where_its_results_fit() -> None:
    for kind in (
        _native.ALLGATHER,
        _native.ALLTOALL,
        _native.REDUCESCATTER,
        _native.GATHER,
        _native.SCATTER,
    ):
        with pytest.raises(ValueError, match="only allreduce, broadcast, reduce and the receiver"):
            _session.submit_all(kind, ["a"], [ONES], [np.ones(2)])
    with pytest.raises(ValueError, match="must have the same length"):
        _session.current().submit_all(_native.ALLREDUCE, ["a"], [], [], 0, 0, 1.0, 1.0, [])


def test_errors_are_what_horovods_users_catch() -> None:
    for kind in (fdl.MismatchError, fdl.PeerLostError, fdl.TimeoutError, fdl.AbortedError):
        assert issubclass(kind, fdl.HorovodInternalError)
        assert issubclass(kind, RuntimeError)
    assert issubclass(fdl.TimeoutError, TimeoutError)
    # The caller's own limit, not a failure of the job.
    assert issubclass(fdl.PendingError, TimeoutError)
    assert not issubclass(fdl.PendingError, fdl.HorovodInternalError)
    assert not issubclass(fdl.InvalidArgumentError, fdl.HorovodInternalError)
    with pytest.raises(RuntimeError):
        fdl.allreduce(None)


def test_lost_peer_carries_its_place() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(fdl.PeerLostError("rank 1 died", 1, "somewhere", "died")))
    assert (str(error), error.rank, error.host, error.cause) == (
        "rank 1 died",
        1,
        "somewhere",
        "died",
    )


def test_after_shutdown_handles_stay_and_calls_are_refused() -> None:
    handle = fdl.allreduce_async(ONES, op=fdl.Sum)
    handle.wait()
    fdl.shutdown()
    np.testing.assert_array_equal(handle.wait(), ONES)
    assert handle.done()
    with pytest.raises(fdl.NotInitializedError):
        fdl.allreduce(ONES)
