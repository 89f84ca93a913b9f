"""Messages from one rank to another, for every library of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from farandole.arguments import check_count
from farandole.calls import PLAIN, Options, recv_call, send_call
from farandole.handles import Handle
from farandole.process_sets import ProcessSet, global_process_set
from farandole.submission import Submitter

Tensor = TypeVar("Tensor")


class Messages(Generic[Tensor]):
    """As Collectives."""

    def __init__(self, submitter: Submitter) -> None:
        self._submitter = submitter

    def send_async(
        self,
        tensor: Tensor,
        dest: int,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
    ) -> Handle:
        """Starts ``send``, with its arguments; the handle's result is its result. Until the handle
        has finished nobody may write to what is sent."""
        return self._submitter.start(send_call(dest, name, process_set), tensor)

    def send(
        self,
        tensor: Tensor,
        dest: int,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        timeout: float | None = None,
    ) -> Tensor | None:
        """The tensor to rank ``dest``, which has to call ``recv``; returns None once it is there.
        Other ranks have no part in it. Two ranks that send to each other at once both wait: one of
        them has to use ``send_async``. Differentiable in torch: where a gradient is wanted, returns
        an empty tensor instead of None, through which (its sum, say) the sender goes backward, to
        receive the gradient from ``dest``.

        tensor: of any dtype of ``allreduce``, or float8.
        dest: a rank of the process set other than this one.
        name: as ``recv`` has it. It is a name for this way alone: the same may be in flight from
            ``dest`` to this rank, or to another one. None: messages without one meet in their
            order, those of each way for themselves.
        process_set, timeout: as for ``allreduce``; so are errors and threads.
        """
        call = send_call(dest, name, process_set)
        result: Tensor | None = self._submitter.run(call, tensor, PLAIN, timeout)
        return result

    def recv_async(
        self,
        source: int,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Tensor | None = None,
    ) -> Handle:
        """Starts ``recv``, with its arguments; the handle's result is its result. Until the handle
        has finished nobody may use ``out``."""
        call = recv_call(source, name, process_set)
        return self._submitter.start(call, None, Options(out=out))

    def recv(
        self,
        source: int,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Tensor | None = None,
        timeout: float | None = None,
    ) -> Tensor:
        """What rank ``source`` sends: a new tensor, of the dtype and shape of that one.
        Differentiable in torch: the gradient goes back to ``source``.

        source: a rank of the process set other than this one.
        out: memory for it, which is returned, of the dtype and shape of what is sent: else both
            ranks get the same MismatchError.
        name: as for ``send``.
        process_set, timeout: as for ``allreduce``; so are errors and threads.
        """
        call = recv_call(source, name, process_set)
        result: Tensor = self._submitter.run(call, None, Options(out=out), timeout)
        return result

    def grouped_send_async(
        self,
        tensors: Sequence[Tensor],
        dest: int,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
    ) -> Handle:
        """Starts ``grouped_send``, with its arguments; the handle's result is its result. Until
        the handle has finished nobody may write to what is sent."""
        return self._submitter.start_all(send_call(dest, name, process_set), tensors)

    def grouped_send(
        self,
        tensors: Sequence[Tensor],
        dest: int,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        timeout: float | None = None,
    ) -> list[Tensor | None]:
        """``send`` of several tensors, submitted all or none: a list of its results.
        Differentiable in torch.

        tensors: each as for ``send``; as many as ``dest`` wants. They may differ in shape and
            dtype.
        dest: as for ``send``, of all of them.
        name, process_set, timeout: as for ``grouped_allreduce``; so are errors and threads.
        """
        call = send_call(dest, name, process_set)
        return self._submitter.run_all(call, tensors, PLAIN, timeout)

    def grouped_recv_async(
        self,
        count: int,
        source: int,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Sequence[Tensor | None] | None = None,
    ) -> Handle:
        """Starts ``grouped_recv``, with its arguments; the handle's result is its result. Until
        the handle has finished nobody may use ``out``."""
        call = recv_call(source, name, process_set)
        wanted = [None] * check_count("count", count)
        return self._submitter.start_all(call, wanted, Options(out=out))

    def grouped_recv(
        self,
        count: int,
        source: int,
        name: str | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        out: Sequence[Tensor | None] | None = None,
        timeout: float | None = None,
    ) -> list[Tensor]:
        """``recv`` of what one ``grouped_send`` sends: a list of new tensors. Differentiable in
        torch.

        count: how many tensors the sender has.
        source: as for ``recv``, of all of them.
        name, process_set, out, timeout: as for ``grouped_allgather``; so are errors and threads.
        """
        call = recv_call(source, name, process_set)
        wanted = [None] * check_count("count", count)
        return self._submitter.run_all(call, wanted, Options(out=out), timeout)
