"""What collectives need to know of a library of tensors, and what NumPy says to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from farandole import _native
from farandole.arguments import check_no_overlap, shown
from farandole.compression import bfloat16, ml_dtype
from farandole.errors import InvalidArgumentError
from farandole.small_floats import dimensions_of_kind, kind_of_number, number_of_kind

if TYPE_CHECKING:
    from farandole.calls import Call
    from farandole.submission import Submitter

Finish = Callable[[_native.Handle], Any]


class Place(NamedTuple):
    """Where a result goes, and what is made of it when it is there.

    memory: None where Farandole allocates it.
    """

    memory: Any
    finish: Finish


class Framework:
    """A library of tensors. Functions of this class and its subclasses judge arguments before
    anything is sent, and know nothing of collectives.

    module: of the calls that take its tensors.
    """

    module: str

    def check(self, tensor: Any) -> Any:
        """The tensor. Refuses what is none, where that can be told here."""
        raise NotImplementedError

    def source(self, kind: int, tensor: Any) -> Any:
        """The tensor's elements as contiguous memory: its own, or a copy."""
        raise NotImplementedError

    def fresh(self, kind: int, tensor: Any, source: Any) -> Place:
        """For a new tensor."""
        raise NotImplementedError

    def in_place(self, kind: int, tensor: Any) -> Place:
        """For the tensor itself, whose values in contiguous memory are also what is sent."""
        raise NotImplementedError

    def given(self, kind: int, tensor: Any, out: Any) -> Place:
        """For a tensor of the caller's. Refuses one that cannot take the result, as far as its
        shape is known beforehand."""
        raise NotImplementedError

    def fill(self, out: Any, result: Any) -> Any:
        """Copies a result to the caller's tensor, which is returned."""
        raise NotImplementedError

    def counts(self, rows: Sequence[int]) -> Any:
        """Numbers of rows as a tensor, int32."""
        raise NotImplementedError

    def joined(self, tensors: Sequence[Any]) -> Any:
        """The tensors, one or more, one behind the other along the first dimension. Refuses those
        of which that cannot be made without converting one."""
        raise NotImplementedError

    def coded(self, tensor: Any) -> tuple[Any, int]:
        """The tensor's elements as contiguous memory, and the number of their dtype where they
        travel as bytes."""
        raise NotImplementedError

    def decoded(self, native: _native.Handle, number: int, behind: int = 0) -> Any:
        """A result of elements that ``coded`` gave that number, as a new tensor.

        behind: so many dimensions are not the tensor's own.
        """
        raise NotImplementedError

    def into(self, out: Any) -> Callable[[Any], Any]:
        """What copies a result, of which nothing is known yet, to the caller's tensor. Refuses one
        that nothing can be copied to."""
        raise NotImplementedError

    def differentiates(self, tensors: Sequence[Any], outs: Sequence[Any], in_place: bool) -> bool:
        """Whether the results will be part of a graph. Refuses outputs of the caller then."""
        return False

    def recording(self) -> bool:
        """Whether what is called now may become part of a graph."""
        return False

    def attach(
        self, submitter: Submitter, call: Call, members: Sequence[Member], in_place: bool
    ) -> list[Any]:
        """The results, as part of the graph of what they were made of."""
        return [member.result for member in members]


class Member(NamedTuple):
    """One tensor of an operation that has finished, and what became of it.

    name: of the operation on it.
    sent, received: alltoall: the rows to each rank, where the caller gave them, and from each.
    ranks: how many took part, those that have joined left out; not of a scatter.
    """

    name: str
    tensor: Any
    result: Any
    sent: list[int] | None
    received: list[int] | None
    ranks: int


def check_alike(parts: Sequence[Any]) -> None:
    """Refuses tensors of unlike dtypes, or of which one has no rows or unlike ones."""
    first = parts[0]
    for i, part in enumerate(parts):
        what = f"the tensor at index {i} is {part.dtype} of shape {list(part.shape)}"
        if part.ndim == 0:
            raise InvalidArgumentError(f"{what}; one of one dimension or more is wanted")
        if part.dtype != first.dtype or tuple(part.shape[1:]) != tuple(first.shape[1:]):
            raise InvalidArgumentError(
                f"{what}, that at index 0 {first.dtype} of shape {list(first.shape)}; they may "
                "differ in the first extent alone"
            )


def check_memory(tensor: Any) -> None:
    """Of a tensor of torch or the like: refuses one whose elements are in no memory, or not all in
    its own. Others pass."""
    if getattr(tensor, "is_nested", False):
        raise InvalidArgumentError(
            "a nested tensor cannot be communicated; send its parts as a group (tensor.unbind())"
        )
    storage_of = getattr(tensor, "untyped_storage", None)
    if storage_of is None or not tensor.is_cpu or str(tensor.layout) != "torch.strided":
        return  # whether it can be communicated is judged elsewhere
    span = tensor.numel()
    if span and not tensor.is_contiguous():
        pairs = zip(tensor.shape, tensor.stride(), strict=True)
        span = 1 + sum((extent - 1) * stride for extent, stride in pairs)
    wanted = (tensor.storage_offset() + span) * tensor.element_size() if span else 0
    if wanted > (has := storage_of().nbytes()):
        raise InvalidArgumentError(
            f"the tensor of shape {list(tensor.shape)} needs {wanted} bytes of its storage, which "
            f"has {has}: it was shrunk or freed (untyped_storage().resize_()); resize it before"
        )


def check_out(out: Any, shape: Sequence[int], dtype: Any, first: bool = True) -> None:
    """Refuses a caller's output of another dtype or shape than the result's.

    first: whether the first extent is known, too.
    """
    if out.dtype != dtype:
        raise InvalidArgumentError(f"out is {out.dtype}, the result {dtype}")
    known = 0 if first else 1
    wanted, has = tuple(shape), tuple(out.shape)
    if len(has) != len(wanted) or has[known:] != wanted[known:]:
        extents = ["…"] * min(known, len(wanted)) + [str(extent) for extent in wanted[known:]]
        raise InvalidArgumentError(f"out has shape {list(has)}, the result [{', '.join(extents)}]")


def keeps_shape(kind: int) -> bool:
    """Whether the result is of the input's shape: what Farandole writes to others' memory."""
    return kind in (_native.ALLREDUCE, _native.BROADCAST, _native.REDUCE)


def one_tells(kind: int) -> bool:
    """Whether one rank tells the others dtype and shape of what they get."""
    return kind in (_native.SCATTER, _native.MESSAGE)


def ends_at_root(kind: int) -> bool:
    """Whether the result is the root's alone."""
    return kind in (_native.REDUCE, _native.GATHER)


def _plain(array: Any) -> Any:
    """The array itself, or a copy where it is one that is not contiguous and aligned."""
    if not isinstance(array, np.ndarray):
        check_memory(array)
    elif not (array.flags.c_contiguous and array.flags.aligned):
        return np.require(array, requirements=["C", "A"])
    return array


def _carried(kind: int, array: Any) -> Any:
    """As what it is sent: float8 (of ml_dtypes) as bytes."""
    if not isinstance(array, np.ndarray) or array.itemsize != 1:
        return array
    more = dimensions_of_kind(kind, array.dtype.name)
    return array if more is None else array.view(np.uint8).reshape(array.shape + more)


class NumpyFramework(Framework):
    """Arrays, and whatever speaks DLPack or the buffer protocol."""

    module = "farandole"

    def check(self, tensor: Any) -> Any:
        return tensor  # judged where it is sent: there are many kinds

    def source(self, kind: int, tensor: Any) -> Any:
        return _carried(kind, _plain(tensor))

    def fresh(self, kind: int, tensor: Any, source: Any) -> Place:
        if source.__class__ is not np.ndarray or source.dtype == tensor.dtype:
            return Place(None, _array_of)

        def finish(native: _native.Handle) -> Any:
            result = native.numpy()
            return result.reshape(result.shape[: tensor.ndim]).view(tensor.dtype)

        return Place(None, finish)

    def in_place(self, kind: int, tensor: Any) -> Place:
        plain = _plain(tensor)
        if plain is not tensor:
            _check_writable("the array", tensor)

        def finish(_: _native.Handle) -> Any:
            if plain is not tensor:
                np.copyto(tensor, plain)
            return tensor

        return Place(_carried(kind, plain), finish)

    def given(self, kind: int, tensor: Any, out: Any) -> Place:
        _check_array("out", out)
        _check_writable("out", out)
        if keeps_shape(kind) and isinstance(tensor, np.ndarray):
            check_out(out, tensor.shape, tensor.dtype)
            if _plain(out) is out:
                return Place(_carried(kind, out), lambda _: out)
        elif isinstance(tensor, np.ndarray):
            check_out(out, tensor.shape, tensor.dtype, first=False)
        of_result = self.fresh(kind, tensor, self.source(kind, tensor)).finish
        return Place(None, lambda native: self.fill(out, of_result(native)))

    def fill(self, out: Any, result: Any) -> Any:
        check_out(out, result.shape, result.dtype)
        np.copyto(out, result)
        return out

    def into(self, out: Any) -> Callable[[Any], Any]:
        _check_array("out", out)
        _check_writable("out", out)
        return lambda result: self.fill(out, result)

    def joined(self, tensors: Sequence[Any]) -> Any:
        for i, tensor in enumerate(tensors):
            _check_array(f"the tensor at index {i}", tensor)
        check_alike(tensors)
        return np.concatenate(tensors)

    def coded(self, tensor: Any) -> tuple[Any, int]:
        memory = _plain(tensor)
        name = memory.dtype.name if isinstance(memory, np.ndarray) else ""
        number = number_of_kind(name)
        return memory.view(np.uint8) if number else memory, number

    def decoded(self, native: _native.Handle, number: int, behind: int = 0) -> Any:
        array = _array_of(native)
        if behind:
            array = array.reshape(array.shape[:-behind])
        return array.view(ml_dtype(kind_of_number(number))) if number else array

    def counts(self, rows: Sequence[int]) -> Any:
        return np.array(rows, dtype=np.int32)


def _check_array(what: str, array: Any) -> None:
    if not isinstance(array, np.ndarray):
        raise InvalidArgumentError(f"{what}={shown(array)} is no NumPy array")


def _array_of(native: _native.Handle) -> Any:
    array = native.numpy()
    return array.view(bfloat16()) if native.dtype == "bfloat16" else array


def _check_writable(what: str, array: Any) -> None:
    """Of an array to which a result is copied: refused here, before any rank has communicated."""
    if not array.flags.writeable:
        raise InvalidArgumentError(
            f"{what} is read-only, but the result goes into it; pass a copy, or use the form that "
            "returns a new one"
        )
    check_no_overlap(what, array.shape, array.strides)
