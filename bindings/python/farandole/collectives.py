"""The collectives that move one tensor, once for every library of tensors.

``farandole`` and ``farandole.torch`` each have an instance of this class, whose methods are their
functions.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from farandole import _native, _session
from farandole.calls import IN_PLACE, Options, allreduce_call, moving_call, reducescatter_call
from farandole.compression import Compression, Compressor
from farandole.errors import InvalidArgumentError
from farandole.handles import Handle, checked_limit
from farandole.process_sets import ProcessSet, check_process_set, global_process_set
from farandole.reduce_ops import Average
from farandole.submission import Submitter

Tensor = TypeVar("Tensor")


class Collectives(Generic[Tensor]):
    """Functions without ``_`` at the end return a new tensor; those with one write the result to
    the given one and return that. Those with ``_async`` return a handle for it.
    """

    def __init__(self, submitter: Submitter) -> None:
        self._submitter = submitter

    def allreduce_async(
        self,
        tensor: Tensor,
        average: bool | None = None,
        name: str | None = None,
        op: int | None = None,
        prescale_factor: float = 1.0,
        postscale_factor: float = 1.0,
        process_set: ProcessSet = global_process_set,
        *,
        out: Tensor | None = None,
    ) -> Handle:
        """Starts ``allreduce``, with its arguments; the handle's result is its result. Until the
        handle has finished nobody may write to what is sent, nor use ``out``."""
        scales = (prescale_factor, postscale_factor)
        call = allreduce_call(average, name, op, *scales, process_set)
        return self._submitter.start(call, tensor, Options(out=out))

    def allreduce(
        self,
        tensor: Tensor,
        average: bool | None = None,
        name: str | None = None,
        compression: type[Compressor] = Compression.none,
        op: int | None = None,
        prescale_factor: float = 1.0,
        postscale_factor: float = 1.0,
        process_set: ProcessSet = global_process_set,
        *,
        out: Tensor | None = None,
        timeout: float | None = None,
    ) -> Tensor:
        """``op`` over the tensors of all ranks, elementwise: a new tensor of the same shape and
        dtype, with the same values on every rank. Differentiable in torch.

        tensor: of the same shape and dtype on every rank, on the CPU: a NumPy array or what speaks
            DLPack or the buffer protocol; with ``farandole.torch`` a torch.Tensor, strided and
            contiguous or not. uint8, int8, uint16, int16, int32, int64, float16, bfloat16, float32,
            float64, bool, complex64 or complex128.
        average: the older way to choose: True is Average, False is Sum.
        name: by which ranks match their calls, and of which one may be in flight; None takes the
            next automatic one, so that ranks have to make their unnamed calls in one order.
        compression: as what it travels: ``Compression.none``, ``.fp16`` or ``.bf16``.
        op: Average (the default), Sum, Product, Min, Max or Adasum. Of whole numbers Sum and
            Product wrap, and an Average is that of the exact sum, cut towards zero. Of bool Sum and
            Max are "or", Product and Min "and", and there is no Average. Complex numbers have no
            Min and Max. Adasum is for floats, takes the tensor as one vector, and has no gradient.
        prescale_factor, postscale_factor: finite numbers by which each rank's input and the result
            are multiplied; not for bool.
        process_set: the ranks among which it runs; every one of them calls it, and no other.
        out: a tensor of the result's shape and dtype, to which it goes and which is returned; not
            where a gradient is wanted.
        timeout: seconds to wait at most; None waits for as long as it takes.

        Raises InvalidArgumentError for a wrong argument and UnsupportedError for another device,
        before anything is sent; MismatchError, on every rank alike, where
        ranks disagree; PeerLostError, TimeoutError, AbortedError or OperatingSystemError where the
        job or this operation failed; NotInitializedError without ``init()``; PendingError after
        ``timeout``: the operation goes on, and the error's ``handle`` may be waited for.

        Any thread may call it, several at once: they need names, or an order of their own.
        """
        scales = (prescale_factor, postscale_factor)
        call = allreduce_call(average, name, op, *scales, process_set)
        options = Options(out=out, compression=compression)
        result: Tensor = self._submitter.run(call, tensor, options, timeout)
        return result

    def allreduce_async_(
        self,
        tensor: Tensor,
        average: bool | None = None,
        name: str | None = None,
        op: int | None = None,
        prescale_factor: float = 1.0,
        postscale_factor: float = 1.0,
        process_set: ProcessSet = global_process_set,
    ) -> Handle:
        """Starts ``allreduce_``, with its arguments; the handle's result is its result. Until the
        handle has finished nobody may read or write what is given."""
        scales = (prescale_factor, postscale_factor)
        call = allreduce_call(average, name, op, *scales, process_set)
        return self._submitter.start(call, tensor, IN_PLACE)

    def allreduce_(
        self,
        tensor: Tensor,
        average: bool | None = None,
        name: str | None = None,
        op: int | None = None,
        prescale_factor: float = 1.0,
        postscale_factor: float = 1.0,
        process_set: ProcessSet = global_process_set,
        *,
        timeout: float | None = None,
    ) -> Tensor:
        """``allreduce`` in place: the result goes to ``tensor``, which is returned.

        tensor: writable, with a place of its own for each element; need not be contiguous. In torch
            a leaf that requires a gradient is written without a graph, as under ``no_grad``.
        average, name, op, prescale_factor, postscale_factor, process_set, timeout: as for
            ``allreduce``; so are errors and threads.
        """
        scales = (prescale_factor, postscale_factor)
        call = allreduce_call(average, name, op, *scales, process_set)
        result: Tensor = self._submitter.run(call, tensor, IN_PLACE, timeout)
        return result

    def allgather_async(
        self,
        tensor: Tensor,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Tensor | None = None,
    ) -> Handle:
        """Starts ``allgather``, with its arguments; the handle's result is its result. Until the
        handle has finished nobody may write to what is sent, nor use ``out``."""
        call = moving_call(_native.ALLGATHER, name, process_set)
        return self._submitter.start(call, tensor, Options(out=out))

    def allgather(
        self,
        tensor: Tensor,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Tensor | None = None,
        timeout: float | None = None,
    ) -> Tensor:
        """The tensors of all ranks, one behind the other along the first dimension: a new tensor,
        with the same values on every rank. Differentiable in torch.

        tensor: of one dimension or more; the first may differ between ranks, and be 0, the others
            and the dtype may not. Any dtype of ``allreduce``, or float8.
        name, process_set, out, timeout: as for ``allreduce``; so are errors and threads.
        """
        call = moving_call(_native.ALLGATHER, name, process_set)
        result: Tensor = self._submitter.run(call, tensor, Options(out=out), timeout)
        return result

    def broadcast_async(
        self,
        tensor: Tensor,
        root_rank: int,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Tensor | None = None,
    ) -> Handle:
        """Starts ``broadcast``, with its arguments; the handle's result is its result. Until the
        handle has finished nobody may write to what is sent, nor use ``out``."""
        call = moving_call(_native.BROADCAST, name, process_set, root_rank)
        return self._submitter.start(call, tensor, Options(out=out))

    def broadcast(
        self,
        tensor: Tensor,
        root_rank: int,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Tensor | None = None,
        timeout: float | None = None,
    ) -> Tensor:
        """The tensor of rank ``root_rank``, on every rank: a new tensor. Differentiable in torch.

        tensor: of the same shape and dtype on every rank, any dtype of ``allreduce``, or float8.
        root_rank: from 0 to size() - 1, the same on every rank.
        name, process_set, out, timeout: as for ``allreduce``; so are errors and threads.
        """
        call = moving_call(_native.BROADCAST, name, process_set, root_rank)
        result: Tensor = self._submitter.run(call, tensor, Options(out=out), timeout)
        return result

    def broadcast_async_(
        self,
        tensor: Tensor,
        root_rank: int,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
    ) -> Handle:
        """Starts ``broadcast_``, with its arguments; the handle's result is its result. Until the
        handle has finished nobody may read or write what is given."""
        call = moving_call(_native.BROADCAST, name, process_set, root_rank)
        return self._submitter.start(call, tensor, IN_PLACE)

    def broadcast_(
        self,
        tensor: Tensor,
        root_rank: int,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        timeout: float | None = None,
    ) -> Tensor:
        """``broadcast`` in place: the result goes to ``tensor``, which is returned.

        tensor: as for ``allreduce_``.
        root_rank, name, process_set, timeout: as for ``broadcast``; so are errors and threads.
        """
        call = moving_call(_native.BROADCAST, name, process_set, root_rank)
        result: Tensor = self._submitter.run(call, tensor, IN_PLACE, timeout)
        return result

    def reducescatter_async(
        self,
        tensor: Tensor,
        name: str | None = None,
        op: int = Average,
        process_set: ProcessSet = global_process_set,
        prescale_factor: float = 1.0,
        postscale_factor: float = 1.0,
        *,
        out: Tensor | None = None,
    ) -> Handle:
        """Starts ``reducescatter``, with its arguments; the handle's result is its result. Until
        the handle has finished nobody may write to what is sent, nor use ``out``."""
        scales = (prescale_factor, postscale_factor)
        call = reducescatter_call(name, op, process_set, *scales)
        return self._submitter.start(call, tensor, Options(out=out))

    def reducescatter(
        self,
        tensor: Tensor,
        name: str | None = None,
        compression: type[Compressor] = Compression.none,
        op: int = Average,
        process_set: ProcessSet = global_process_set,
        prescale_factor: float = 1.0,
        postscale_factor: float = 1.0,
        *,
        out: Tensor | None = None,
        timeout: float | None = None,
    ) -> Tensor:
        """This rank's rows of an ``allreduce``, cut along the first dimension: a new tensor. Where
        that does not divide evenly, the first ranks get a row more. Differentiable in torch.

        tensor: of one dimension or more, of the same shape and dtype on every rank.
        op: as for ``allreduce``, but for Adasum.
        name, compression, process_set, prescale_factor, postscale_factor, out, timeout: as for
            ``allreduce``; so are errors and threads.
        """
        scales = (prescale_factor, postscale_factor)
        call = reducescatter_call(name, op, process_set, *scales)
        options = Options(out=out, compression=compression)
        result: Tensor = self._submitter.run(call, tensor, options, timeout)
        return result

    def alltoall_async(
        self,
        tensor: Tensor,
        splits: Any = None,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Tensor | None = None,
    ) -> Handle:
        """Starts ``alltoall``, with its arguments; the handle's result is its result. Until the
        handle has finished nobody may write to what is sent, nor use ``out``."""
        call = moving_call(_native.ALLTOALL, name, process_set)
        return self._submitter.start(call, tensor, Options(splits, out))

    def alltoall(
        self,
        tensor: Tensor,
        splits: Any = None,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Tensor | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Rows of this rank from every rank, in the order of the ranks: a new tensor.
        Differentiable in torch.

        Returns it alone, or, where ``splits`` was given, with the number of rows from each rank,
        int32.

        tensor: of one dimension or more; the first may differ between ranks, the others and the
            dtype may not. Any dtype of ``allreduce``, or float8.
        splits: how many rows go to each rank, all of them together, as a tensor or a sequence;
            None: as many to each.
        name, process_set, out, timeout: as for ``allreduce``; so are errors and threads.
        """
        call = moving_call(_native.ALLTOALL, name, process_set)
        return self._submitter.run(call, tensor, Options(splits, out), timeout)


def barrier_async(process_set: ProcessSet = global_process_set) -> Handle:
    """Starts ``barrier``; the handle finishes when every rank has called it.

    process_set: as for ``allreduce``.
    """
    set_id = check_process_set(process_set)
    return Handle(_session.current().barrier(set_id))


def barrier(process_set: ProcessSet = global_process_set, *, timeout: float | None = None) -> None:
    """Returns when every rank has called it.

    process_set, timeout: as for ``allreduce``; so are errors and threads.
    """
    set_id = check_process_set(process_set)
    try:
        checked_limit(timeout)
    except InvalidArgumentError:
        _session.current().next_name(_native.BARRIER, set_id)  # counts here as on the other ranks
        raise
    barrier_async(process_set).wait(timeout)
