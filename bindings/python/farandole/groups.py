"""The collectives that move several tensors in one call, once for every library of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from farandole import _native
from farandole.calls import IN_PLACE, Options, allreduce_call, moving_call, reducescatter_call
from farandole.compression import Compression, Compressor
from farandole.handles import Handle
from farandole.process_sets import ProcessSet, global_process_set
from farandole.reduce_ops import Average
from farandole.submission import Submitter

Tensor = TypeVar("Tensor")


class GroupedCollectives(Generic[Tensor]):
    """As Collectives. A group takes one automatic name, whatever it holds."""

    def __init__(self, submitter: Submitter) -> None:
        self._submitter = submitter

    def grouped_allreduce_async(
        self,
        tensors: Sequence[Tensor],
        average: bool | None = None,
        name: str | None = None,
        op: int | None = None,
        prescale_factor: float = 1.0,
        postscale_factor: float = 1.0,
        process_set: ProcessSet = global_process_set,
        *,
        out: Sequence[Tensor | None] | None = None,
    ) -> Handle:
        """Starts ``grouped_allreduce``, with its arguments; the handle's result is its result.
        Until the handle has finished nobody may write to what is sent, nor use ``out``."""
        scales = (prescale_factor, postscale_factor)
        call = allreduce_call(average, name, op, *scales, process_set)
        return self._submitter.start_all(call, tensors, Options(out=out))

    def grouped_allreduce(
        self,
        tensors: Sequence[Tensor],
        average: bool | None = None,
        name: str | None = None,
        compression: type[Compressor] = Compression.none,
        op: int | None = None,
        prescale_factor: float = 1.0,
        postscale_factor: float = 1.0,
        process_set: ProcessSet = global_process_set,
        *,
        out: Sequence[Tensor | None] | None = None,
        timeout: float | None = None,
    ) -> list[Tensor]:
        """``allreduce`` of several tensors, submitted all or none: a list of new tensors.
        Differentiable in torch.

        tensors: each as for ``allreduce``; as many, in one order, on every rank. They may differ in
            shape and dtype.
        name: of the group; its members get names made of it.
        out: a sequence with a tensor, as for ``allreduce``, or None for each of ``tensors``. None
            of them shares memory with another, or with another's tensor.
        average, compression, op, prescale_factor, postscale_factor, process_set, timeout: as for
            ``allreduce``; so are errors and threads.
        """
        scales = (prescale_factor, postscale_factor)
        call = allreduce_call(average, name, op, *scales, process_set)
        options = Options(out=out, compression=compression)
        return self._submitter.run_all(call, tensors, options, timeout)

    def grouped_allreduce_async_(
        self,
        tensors: Sequence[Tensor],
        average: bool | None = None,
        name: str | None = None,
        op: int | None = None,
        prescale_factor: float = 1.0,
        postscale_factor: float = 1.0,
        process_set: ProcessSet = global_process_set,
    ) -> Handle:
        """Starts ``grouped_allreduce_``, with its arguments; the handle's result is its result.
        Until the handle has finished nobody may read or write what is given."""
        scales = (prescale_factor, postscale_factor)
        call = allreduce_call(average, name, op, *scales, process_set)
        return self._submitter.start_all(call, tensors, IN_PLACE)

    def grouped_allreduce_(
        self,
        tensors: Sequence[Tensor],
        average: bool | None = None,
        name: str | None = None,
        op: int | None = None,
        prescale_factor: float = 1.0,
        postscale_factor: float = 1.0,
        process_set: ProcessSet = global_process_set,
        *,
        timeout: float | None = None,
    ) -> list[Tensor]:
        """``grouped_allreduce`` in place: the results go to ``tensors``, of which a list is
        returned.

        tensors: each as for ``allreduce_``; none shares memory with another.
        average, name, op, prescale_factor, postscale_factor, process_set, timeout: as for
            ``grouped_allreduce``.
        """
        scales = (prescale_factor, postscale_factor)
        call = allreduce_call(average, name, op, *scales, process_set)
        return self._submitter.run_all(call, tensors, IN_PLACE, timeout)

    def grouped_allgather_async(
        self,
        tensors: Sequence[Tensor],
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Sequence[Tensor | None] | None = None,
    ) -> Handle:
        """Starts ``grouped_allgather``, with its arguments; the handle's result is its result.
        Until the handle has finished nobody may write to what is sent, nor use ``out``."""
        call = moving_call(_native.ALLGATHER, name, process_set)
        return self._submitter.start_all(call, tensors, Options(out=out))

    def grouped_allgather(
        self,
        tensors: Sequence[Tensor],
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Sequence[Tensor | None] | None = None,
        timeout: float | None = None,
    ) -> list[Tensor]:
        """``allgather`` of several tensors, submitted all or none: a list of new tensors.
        Differentiable in torch.

        tensors: each as for ``allgather``; as many, in one order, on every rank. They may differ in
            shape and dtype.
        name, process_set, out, timeout: as for ``grouped_allreduce``; so are errors and threads.
        """
        call = moving_call(_native.ALLGATHER, name, process_set)
        return self._submitter.run_all(call, tensors, Options(out=out), timeout)

    def grouped_broadcast_async(
        self,
        tensors: Sequence[Tensor],
        root_rank: int,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Sequence[Tensor | None] | None = None,
    ) -> Handle:
        """Starts ``grouped_broadcast``, with its arguments; the handle's result is its result.
        Until the handle has finished nobody may write to what is sent, nor use ``out``."""
        call = moving_call(_native.BROADCAST, name, process_set, root_rank)
        return self._submitter.start_all(call, tensors, Options(out=out))

    def grouped_broadcast(
        self,
        tensors: Sequence[Tensor],
        root_rank: int,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Sequence[Tensor | None] | None = None,
        timeout: float | None = None,
    ) -> list[Tensor]:
        """``broadcast`` of several tensors: a list of new tensors. Differentiable in torch.

        tensors: each as for ``broadcast``; otherwise as for ``grouped_allgather``.
        root_rank: as for ``broadcast``, of all of them.
        name, process_set, out, timeout: as for ``grouped_allgather``; so are errors and threads.
        """
        call = moving_call(_native.BROADCAST, name, process_set, root_rank)
        return self._submitter.run_all(call, tensors, Options(out=out), timeout)

    def grouped_broadcast_async_(
        self,
        tensors: Sequence[Tensor],
        root_rank: int,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
    ) -> Handle:
        """Starts ``grouped_broadcast_``, with its arguments; the handle's result is its result.
        Until the handle has finished nobody may read or write what is given."""
        call = moving_call(_native.BROADCAST, name, process_set, root_rank)
        return self._submitter.start_all(call, tensors, IN_PLACE)

    def grouped_broadcast_(
        self,
        tensors: Sequence[Tensor],
        root_rank: int,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        timeout: float | None = None,
    ) -> list[Tensor]:
        """``grouped_broadcast`` in place: the results go to ``tensors``, of which a list is
        returned.

        tensors: each as for ``allreduce_``.
        root_rank, name, process_set, timeout: as for ``grouped_broadcast``; so are errors and
            threads.
        """
        call = moving_call(_native.BROADCAST, name, process_set, root_rank)
        return self._submitter.run_all(call, tensors, IN_PLACE, timeout)

    def grouped_reducescatter_async(
        self,
        tensors: Sequence[Tensor],
        name: str | None = None,
        op: int = Average,
        process_set: ProcessSet = global_process_set,
        prescale_factor: float = 1.0,
        postscale_factor: float = 1.0,
        *,
        out: Sequence[Tensor | None] | None = None,
    ) -> Handle:
        """Starts ``grouped_reducescatter``, with its arguments; the handle's result is its result.
        Until the handle has finished nobody may write to what is sent, nor use ``out``."""
        scales = (prescale_factor, postscale_factor)
        call = reducescatter_call(name, op, process_set, *scales)
        return self._submitter.start_all(call, tensors, Options(out=out))

    def grouped_reducescatter(
        self,
        tensors: Sequence[Tensor],
        name: str | None = None,
        compression: type[Compressor] = Compression.none,
        op: int = Average,
        process_set: ProcessSet = global_process_set,
        prescale_factor: float = 1.0,
        postscale_factor: float = 1.0,
        *,
        out: Sequence[Tensor | None] | None = None,
        timeout: float | None = None,
    ) -> list[Tensor]:
        """``reducescatter`` of several tensors: a list of new tensors. Differentiable in torch.

        tensors: each as for ``reducescatter``; otherwise as for ``grouped_allgather``.
        name, out: as for ``grouped_allgather``; so are errors and threads.
        compression, op, process_set, prescale_factor, postscale_factor, timeout: as for
            ``allreduce``.
        """
        scales = (prescale_factor, postscale_factor)
        call = reducescatter_call(name, op, process_set, *scales)
        options = Options(out=out, compression=compression)
        return self._submitter.run_all(call, tensors, options, timeout)

    def grouped_alltoall_async(
        self,
        tensors: Sequence[Tensor],
        splits: Any = None,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Sequence[Tensor | None] | None = None,
    ) -> Handle:
        """Starts ``grouped_alltoall``, with its arguments; the handle's result is its result. Until
        the handle has finished nobody may write to what is sent, nor use ``out``."""
        call = moving_call(_native.ALLTOALL, name, process_set)
        return self._submitter.start_all(call, tensors, Options(splits, out))

    def grouped_alltoall(
        self,
        tensors: Sequence[Tensor],
        splits: Any = None,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Sequence[Tensor | None] | None = None,
        timeout: float | None = None,
    ) -> list[Any]:
        """``alltoall`` of several tensors: a list of what it returns for each. Differentiable in
        torch.

        tensors: each as for ``alltoall``; otherwise as for ``grouped_allgather``.
        splits: a sequence with splits, as for ``alltoall``, or None for each of ``tensors``.
        name, process_set, out, timeout: as for ``grouped_allgather``; so are errors and threads.
        """
        call = moving_call(_native.ALLTOALL, name, process_set)
        return self._submitter.run_all(call, tensors, Options(splits, out), timeout)
