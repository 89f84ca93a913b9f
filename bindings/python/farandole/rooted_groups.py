"""The same for several tensors in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from farandole import _native
from farandole.calls import IN_PLACE, Options, moving_call, reduce_call
from farandole.compression import Compression, Compressor
from farandole.handles import Handle
from farandole.process_sets import ProcessSet, global_process_set
from farandole.reduce_ops import Average
from farandole.submission import Submitter

Tensor = TypeVar("Tensor")


class GroupedRootedCollectives(Generic[Tensor]):
    """As GroupedCollectives."""

    def __init__(self, submitter: Submitter) -> None:
        self._submitter = submitter

    def grouped_reduce_async(
        self,
        tensors: Sequence[Tensor],
        root_rank: int,
        name: str | None = None,
        op: int = Average,
        process_set: ProcessSet = global_process_set,
        prescale_factor: float = 1.0,
        postscale_factor: float = 1.0,
        *,
        out: Sequence[Tensor | None] | None = None,
    ) -> Handle:
        """Starts ``grouped_reduce``, with its arguments; the handle's result is its result.
        Until the handle has finished nobody may write to what is sent, nor use ``out``."""
        scales = (prescale_factor, postscale_factor)
        call = reduce_call(root_rank, name, op, process_set, *scales)
        return self._submitter.start_all(call, tensors, Options(out=out))

    def grouped_reduce(
        self,
        tensors: Sequence[Tensor],
        root_rank: int,
        name: str | None = None,
        compression: type[Compressor] = Compression.none,
        op: int = Average,
        process_set: ProcessSet = global_process_set,
        prescale_factor: float = 1.0,
        postscale_factor: float = 1.0,
        *,
        out: Sequence[Tensor | None] | None = None,
        timeout: float | None = None,
    ) -> list[Tensor | None]:
        """``reduce`` of several tensors, submitted all or none: a list of new tensors on the root,
        of None elsewhere. Differentiable in torch.

        tensors: each as for ``reduce``; as many, in one order, on every rank. They may differ in
            shape and dtype.
        root_rank, compression, op, process_set, prescale_factor, postscale_factor: as for
            ``reduce``.
        name, out, timeout: as for ``grouped_allreduce``; so are errors and threads.
        """
        scales = (prescale_factor, postscale_factor)
        call = reduce_call(root_rank, name, op, process_set, *scales)
        options = Options(out=out, compression=compression)
        return self._submitter.run_all(call, tensors, options, timeout)

    def grouped_reduce_async_(
        self,
        tensors: Sequence[Tensor],
        root_rank: int,
        name: str | None = None,
        op: int = Average,
        process_set: ProcessSet = global_process_set,
        prescale_factor: float = 1.0,
        postscale_factor: float = 1.0,
    ) -> Handle:
        """Starts ``grouped_reduce_``, with its arguments; the handle's result is its
        result. Until the handle has finished nobody may read or write what is given."""
        scales = (prescale_factor, postscale_factor)
        call = reduce_call(root_rank, name, op, process_set, *scales)
        return self._submitter.start_all(call, tensors, IN_PLACE)

    def grouped_reduce_(
        self,
        tensors: Sequence[Tensor],
        root_rank: int,
        name: str | None = None,
        op: int = Average,
        process_set: ProcessSet = global_process_set,
        prescale_factor: float = 1.0,
        postscale_factor: float = 1.0,
        *,
        timeout: float | None = None,
    ) -> list[Tensor | None]:
        """``grouped_reduce`` in place: the results go to ``tensors``, of which a list is returned
        on the root, and one of None elsewhere, where they stay as they are.

        tensors: each as for ``reduce_``.
        root_rank, name, op, process_set, prescale_factor, postscale_factor, timeout: as for
            ``grouped_reduce``.
        """
        scales = (prescale_factor, postscale_factor)
        call = reduce_call(root_rank, name, op, process_set, *scales)
        return self._submitter.run_all(call, tensors, IN_PLACE, timeout)

    def grouped_gather_async(
        self,
        tensors: Sequence[Tensor],
        root_rank: int,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Sequence[Tensor | None] | None = None,
    ) -> Handle:
        """Starts ``grouped_gather``, with its arguments; the handle's result is its result.
        Until the handle has finished nobody may write to what is sent, nor use ``out``."""
        call = moving_call(_native.GATHER, name, process_set, root_rank)
        return self._submitter.start_all(call, tensors, Options(out=out))

    def grouped_gather(
        self,
        tensors: Sequence[Tensor],
        root_rank: int,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Sequence[Tensor | None] | None = None,
        timeout: float | None = None,
    ) -> list[Tensor | None]:
        """``gather`` of several tensors, submitted all or none: a list of new tensors on the root,
        of None elsewhere. Differentiable in torch.

        tensors: each as for ``gather``; otherwise as for ``grouped_reduce``.
        root_rank: as for ``gather``, of all of them.
        name, process_set, out, timeout: as for ``grouped_allgather``; so are errors and threads.
        """
        call = moving_call(_native.GATHER, name, process_set, root_rank)
        return self._submitter.run_all(call, tensors, Options(out=out), timeout)

    def grouped_scatter_async(
        self,
        tensors: Sequence[Any],
        root_rank: int,
        splits: Any = None,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Sequence[Tensor | None] | None = None,
    ) -> Handle:
        """Starts ``grouped_scatter``, with its arguments; the handle's result is its
        result. Until the handle has finished nobody may write to what is sent, nor use
        ``out``."""
        call = moving_call(_native.SCATTER, name, process_set, root_rank)
        return self._submitter.start_all(call, tensors, Options(splits, out))

    def grouped_scatter(
        self,
        tensors: Sequence[Any],
        root_rank: int,
        splits: Any = None,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Sequence[Tensor | None] | None = None,
        timeout: float | None = None,
    ) -> list[Tensor]:
        """``scatter`` of several tensors, submitted all or none: a list of what it returns for
        each. Differentiable in torch.

        tensors: on the root each as for ``scatter``; elsewhere as many times None.
        root_rank: as for ``scatter``, of all of them.
        splits: a sequence with splits, as for ``scatter``, or None for each of ``tensors``.
        name, process_set, out, timeout: as for ``grouped_allgather``; so are errors and threads.
        """
        call = moving_call(_native.SCATTER, name, process_set, root_rank)
        return self._submitter.run_all(call, tensors, Options(splits, out), timeout)
