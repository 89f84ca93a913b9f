"""Collectives whose result, or input, is that of one rank alone, for every library of tensors."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from farandole import _native
from farandole.calls import IN_PLACE, Options, moving_call, reduce_call
from farandole.compression import Compression, Compressor
from farandole.handles import Handle
from farandole.process_sets import ProcessSet, global_process_set
from farandole.reduce_ops import Average
from farandole.submission import Submitter

Tensor = TypeVar("Tensor")


class RootedCollectives(Generic[Tensor]):
    """As Collectives."""

    def __init__(self, submitter: Submitter) -> None:
        self._submitter = submitter

    def reduce_async(
        self,
        tensor: Tensor,
        root_rank: int,
        name: str | None = None,
        op: int = Average,
        process_set: ProcessSet = global_process_set,
        prescale_factor: float = 1.0,
        postscale_factor: float = 1.0,
        *,
        out: Tensor | None = None,
    ) -> Handle:
        """Starts ``reduce``, with its arguments; the handle's result is its result. Until
        the handle has finished nobody may write to what is sent, nor use ``out``."""
        scales = (prescale_factor, postscale_factor)
        call = reduce_call(root_rank, name, op, process_set, *scales)
        return self._submitter.start(call, tensor, Options(out=out))

    def reduce(
        self,
        tensor: Tensor,
        root_rank: int,
        name: str | None = None,
        compression: type[Compressor] = Compression.none,
        op: int = Average,
        process_set: ProcessSet = global_process_set,
        prescale_factor: float = 1.0,
        postscale_factor: float = 1.0,
        *,
        out: Tensor | None = None,
        timeout: float | None = None,
    ) -> Tensor | None:
        """``allreduce`` for rank ``root_rank`` alone: a new tensor there, None on the others.
        Differentiable in torch: where a gradient is wanted, the others get an empty tensor instead
        of None, and go backward through it (its sum, say), so that the gradient reaches them.

        tensor: as for ``allreduce``.
        root_rank: a rank of the process set, the same on every rank.
        out: as for ``allreduce``; used on the root alone.
        op: as for ``allreduce``, but for Adasum. The gradient is the exact one of Average and Sum.
        name, compression, process_set, prescale_factor, postscale_factor, timeout: as for
            ``allreduce``; so are errors and threads.
        """
        scales = (prescale_factor, postscale_factor)
        call = reduce_call(root_rank, name, op, process_set, *scales)
        options = Options(out=out, compression=compression)
        result: Tensor | None = self._submitter.run(call, tensor, options, timeout)
        return result

    def reduce_async_(
        self,
        tensor: Tensor,
        root_rank: int,
        name: str | None = None,
        op: int = Average,
        process_set: ProcessSet = global_process_set,
        prescale_factor: float = 1.0,
        postscale_factor: float = 1.0,
    ) -> Handle:
        """Starts ``reduce_``, with its arguments; the handle's result is its result. Until
        the handle has finished nobody may read or write what is given."""
        scales = (prescale_factor, postscale_factor)
        call = reduce_call(root_rank, name, op, process_set, *scales)
        return self._submitter.start(call, tensor, IN_PLACE)

    def reduce_(
        self,
        tensor: Tensor,
        root_rank: int,
        name: str | None = None,
        op: int = Average,
        process_set: ProcessSet = global_process_set,
        prescale_factor: float = 1.0,
        postscale_factor: float = 1.0,
        *,
        timeout: float | None = None,
    ) -> Tensor | None:
        """``reduce`` in place: the result goes to the root's ``tensor``, which is returned there.
        Those of others stay as they are; they get None.

        tensor: as for ``allreduce_``.
        root_rank, name, op, process_set, prescale_factor, postscale_factor, timeout: as for
            ``reduce``; so are errors and threads.
        """
        scales = (prescale_factor, postscale_factor)
        call = reduce_call(root_rank, name, op, process_set, *scales)
        result: Tensor | None = self._submitter.run(call, tensor, IN_PLACE, timeout)
        return result

    def gather_async(
        self,
        tensor: Tensor,
        root_rank: int,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Tensor | None = None,
    ) -> Handle:
        """Starts ``gather``, with its arguments; the handle's result is its result. Until
        the handle has finished nobody may write to what is sent, nor use ``out``."""
        call = moving_call(_native.GATHER, name, process_set, root_rank)
        return self._submitter.start(call, tensor, Options(out=out))

    def gather(
        self,
        tensor: Tensor,
        root_rank: int,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Tensor | None = None,
        timeout: float | None = None,
    ) -> Tensor | None:
        """``allgather`` for rank ``root_rank`` alone: a new tensor there, None on the others.
        Differentiable in torch; there the others get an empty tensor, as of ``reduce``.

        tensor: as for ``allgather``.
        root_rank, out: as for ``reduce``.
        name, process_set, timeout: as for ``allreduce``; so are errors and threads.
        """
        call = moving_call(_native.GATHER, name, process_set, root_rank)
        result: Tensor | None = self._submitter.run(call, tensor, Options(out=out), timeout)
        return result

    def scatter_async(
        self,
        tensor: Any,
        root_rank: int,
        splits: Any = None,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Tensor | None = None,
    ) -> Handle:
        """Starts ``scatter``, with its arguments; the handle's result is its result. Until
        the handle has finished nobody may write to what is sent, nor use ``out``."""
        call = moving_call(_native.SCATTER, name, process_set, root_rank)
        return self._submitter.start(call, tensor, Options(splits, out))

    def scatter(
        self,
        tensor: Any,
        root_rank: int,
        splits: Any = None,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Tensor | None = None,
        timeout: float | None = None,
    ) -> Tensor:
        """Rows of the tensor of rank ``root_rank``, to every rank its own: a new tensor.
        Differentiable in torch.

        tensor: on the root a tensor of one dimension or more, or a list with one for each rank, in
            the order of the ranks, which differ in the first extent alone. Any dtype of
            ``allreduce``, or float8. Elsewhere None will do, since dtype and shape come from the
            root; in torch, a tensor that requires a gradient gets one of zeros, through which
            ``torch.autograd.grad`` comes to the root's.
        root_rank: as for ``reduce``.
        splits: on the root: how many rows go to each rank, all of them together, as a tensor or a
            sequence; None: as many to each. Not with a list.
        name, process_set, out, timeout: as for ``allreduce``; so are errors and threads.
        """
        call = moving_call(_native.SCATTER, name, process_set, root_rank)
        result: Tensor = self._submitter.run(call, tensor, Options(splits, out), timeout)
        return result
