"""Collectives of one rank over NumPy arrays: dtypes, layouts, results."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import farandole as fdl

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("session")]

NUMBERS = ["u1", "i1", "u2", "i2", "i4", "i8", "f2", "f4", "f8", "c8", "c16", ml_dtypes.bfloat16]
DTYPES = [*NUMBERS, "?"]


def sample(dtype: Any, shape: tuple[int, ...] = (2, 3)) -> np.ndarray:
    return (np.arange(np.prod(shape, dtype=int)) % 5).reshape(shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_every_kind_takes_every_dtype(dtype: Any) -> None:
    array = sample(dtype)
    results = [
        fdl.allreduce(array, op=fdl.Sum),
        fdl.allgather(array),
        fdl.broadcast(array, 0),
        fdl.alltoall(array),
        fdl.reducescatter(array, op=fdl.Sum),
    ]
    for result in results:
        assert result.dtype == array.dtype
        np.testing.assert_array_equal(result, array)
    assert results[0] is not array


@pytest.mark.parametrize("op", list(fdl.ReduceOp))
def test_every_operation(op: fdl.ReduceOp) -> None:
    array = sample("f4")
    np.testing.assert_array_equal(fdl.allreduce(array, op=op), array)


def test_scale_factors() -> None:
    array = sample("f4")
    result = fdl.allreduce(array, op=fdl.Sum, prescale_factor=3.0, postscale_factor=0.5)
    np.testing.assert_array_equal(result, array * 1.5)


def test_average_is_the_default_and_the_old_argument_works() -> None:
    array = sample("f8")
    np.testing.assert_array_equal(fdl.allreduce(array), array)
    with pytest.warns(DeprecationWarning, match="op="):
        fdl.allreduce(array, False)
    with pytest.raises(ValueError, match="give op alone"):
        fdl.allreduce(array, average=True, op=fdl.Sum)


@pytest.mark.parametrize("shape", [(), (0,), (0, 4), (3, 0), (1,), (1, 1, 1)])
def test_zero_dimensional_and_empty(shape: tuple[int, ...]) -> None:
    array = sample("f4", shape)
    assert fdl.allreduce(array, op=fdl.Sum).shape == shape
    assert fdl.broadcast(array, 0).shape == shape
    if shape:
        assert fdl.allgather(array).shape == shape
        assert fdl.alltoall(array).shape == shape


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a.T,
        lambda a: a[:, ::2],
        lambda a: a[::-1],
        lambda a: np.asfortranarray(a),
        lambda a: np.broadcast_to(a[0], (3, 6)),
    ],
    ids=["transposed", "stepped", "reversed", "fortran", "broadcast"],
)
def test_layouts_that_are_not_contiguous(view: Any) -> None:
    array = view(sample("f4", (4, 6)))
    np.testing.assert_array_equal(fdl.allreduce(array, op=fdl.Sum), array)
    np.testing.assert_array_equal(fdl.allgather(array), array)


def test_unaligned_array() -> None:
    memory = np.zeros(4 * 8 + 1, dtype=np.uint8)
    array = memory[1:].view("f8")
    assert not array.flags.aligned
    array[:] = [1, 2, 3, 4]
    np.testing.assert_array_equal(
        fdl.allreduce_(array, op=fdl.Sum, prescale_factor=2), [2, 4, 6, 8]
    )
    np.testing.assert_array_equal(array, [2, 4, 6, 8])


def test_in_place_forms_return_what_they_were_given() -> None:
    array = sample("f4")
    expected = array * 2
    assert fdl.allreduce_(array, op=fdl.Sum, prescale_factor=2.0) is array
    np.testing.assert_array_equal(array, expected)
    assert fdl.broadcast_(array, 0) is array


def test_in_place_form_writes_back_to_a_view() -> None:
    whole = sample("f4", (4, 6))
    expected = whole.copy()
    expected[:, ::2] *= 2
    part = whole[:, ::2]
    assert fdl.allreduce_(part, op=fdl.Sum, prescale_factor=2.0) is part
    np.testing.assert_array_equal(whole, expected)


def test_read_only_array_is_not_written() -> None:
    array = sample("f4")
    array.flags.writeable = False
    np.testing.assert_array_equal(fdl.allreduce(array), array)
    with pytest.raises(ValueError, match="read-only"):
        fdl.allreduce_(array)


def test_results_outlive_session_and_handle() -> None:
    handle = fdl.allgather_async(sample("i8"))
    result = handle.wait()
    del handle
    fdl.shutdown()
    gc.collect()
    np.testing.assert_array_equal(result, sample("i8"))
    result += 1
    np.testing.assert_array_equal(result, sample("i8") + 1)


def test_memory_of_results_is_given_back() -> None:
    result = fdl.allgather(sample("i8"))
    gone = weakref.ref(result)
    base = weakref.ref(result.base) if hasattr(result.base, "__weakref__") else None
    del result
    assert gone() is None
    assert base is None or base() is None


def test_inputs_live_until_the_operation_has_settled() -> None:
    for i in range(200):
        fdl.allreduce_async_(np.full(1 << 14, i, dtype="f4"), name=f"dropped {i % 50}.{i}")
    fdl.barrier()
    # What was dropped in flight is released by later calls.
    fdl.allreduce(np.ones(1))
    from farandole import _session

    assert _session.current().loans == 0


@pytest.mark.parametrize(
    "tensor",
    [bytearray(b"\1\2\3"), memoryview(bytearray(b"\1\2\3")), b"\1\2\3"],
    ids=["bytearray", "memoryview", "bytes"],
)
def test_buffers(tensor: Any) -> None:
    assert fdl.allreduce(tensor, op=fdl.Sum, prescale_factor=2).tolist() == [2, 4, 6]


def test_buffer_in_place() -> None:
    tensor = bytearray(b"\1\2\3")
    assert fdl.allreduce_(tensor, op=fdl.Sum, prescale_factor=2) is tensor
    assert tensor == b"\2\4\6"
    with pytest.raises(ValueError, match="cannot be written"):
        fdl.allreduce_(b"\1")


class Foreign:
    """A tensor of some framework that speaks DLPack and nothing else."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __dlpack__(self) -> Any:
        return self.array.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


def test_dlpack() -> None:
    array = sample("f4")
    np.testing.assert_array_equal(fdl.allreduce(Foreign(array)), array)
    with pytest.raises(ValueError, match="not contiguous"):
        fdl.allreduce(Foreign(array.T))
    with pytest.raises(ValueError, match="form that returns its result"):
        fdl.allreduce_(Foreign(array))
    with pytest.raises(ValueError, match="not supported"):
        fdl.allreduce(Foreign(np.ones(3, dtype="u8")))


def test_dlpack_tensor_is_released_once() -> None:
    array = sample("f4")
    gone = weakref.ref(array)
    tensor = Foreign(array)
    del array
    fdl.allreduce(tensor)
    fdl.allreduce(tensor)
    del tensor
    gc.collect()
    assert gone() is None


def test_splits_of_alltoall() -> None:
    array = sample("f4")
    for splits in ([2], np.array([2]), (2,)):
        output, received = fdl.alltoall(array, splits)
        np.testing.assert_array_equal(output, array)
        assert (received.tolist(), received.dtype) == ([2], np.int32)


def test_groups() -> None:
    arrays = [sample("f4"), sample("i8"), sample("f2")]
    results = fdl.grouped_allreduce(arrays, op=fdl.Sum, name="group")
    for result, array in zip(results, arrays, strict=True):
        np.testing.assert_array_equal(result, array)
    handle = fdl.grouped_allreduce_async(arrays, op=fdl.Max)
    assert len(fdl.synchronize(handle)) == 3
    assert fdl.poll(handle)
    assert fdl.grouped_allreduce([]) == []


@pytest.mark.parametrize("name", ["none", "fp16", "bf16"])
def test_compression(name: str) -> None:
    compression = getattr(fdl.Compression, name)
    array = sample("f4")
    result = fdl.allreduce(array, compression=compression)
    assert result.dtype == array.dtype
    np.testing.assert_array_equal(result, array)
    whole = sample("i4")
    assert fdl.allreduce(whole, compression=compression, op=fdl.Sum).dtype == whole.dtype
    assert fdl.reducescatter(array, compression=compression).dtype == array.dtype


def test_objects() -> None:
    value = {"text": "ä", "list": [1, None, 2.5]}
    assert fdl.broadcast_object(value, name="value") is value
    assert fdl.allgather_object(value) == [value]
    assert fdl.allgather_object(None, name="none") == [None]
