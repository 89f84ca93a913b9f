"""What a collective is asked to do, without its tensors.

The name comes first of all: automatic ones advance alike on every rank of a process set although a
call raises.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from farandole import _native, _session
from farandole.arguments import check_end, check_name
from farandole.compression import Compression
from farandole.errors import named_error
from farandole.process_sets import ProcessSet, check_process_set, global_process_set
from farandole.reduce_ops import check_op, choose_op


class Call(NamedTuple):
    """A collective, of one tensor or of a group.

    name: of the operation, or what the names of a group's members are made of.
    root, peer, sends: of a message: the ranks from which and to which it goes, and whether this one
        sends it.
    """

    kind: int
    name: str
    op: int = 0
    root: Any = 0
    prescale: Any = 1.0
    postscale: Any = 1.0
    process_set: ProcessSet = global_process_set
    peer: int = 0
    sends: bool = False


class Options(NamedTuple):
    """What a caller wants of a collective besides.

    splits, out: of a group a sequence, with one entry for each tensor.
    """

    splits: Any = None
    out: Any = None
    in_place: bool = False
    compression: Any = Compression.none


PLAIN = Options()
IN_PLACE = Options(in_place=True)


_KINDS = {
    getattr(_native, kind): kind.lower()
    for kind in (
        *("ALLREDUCE", "ALLGATHER", "BROADCAST", "REDUCESCATTER", "ALLTOALL"),
        *("REDUCE", "GATHER", "SCATTER", "MESSAGE"),
    )
}


def about(call: Call, name: str, error: Exception) -> Exception:
    """The error of an argument of a call, in whose text the operation stands first, as the core's
    errors have it. Others are as they were."""
    if call.kind == _native.MESSAGE:
        name = f"{name} {call.root}->{call.peer}"
    return named_error(_KINDS[call.kind], name, error)


def named(kind: int, name: str | None, process_set: ProcessSet) -> str:
    """The name, or the next automatic one of that kind of operation in the process set."""
    return _session.named(kind, name, check_process_set(process_set))


def allreduce_call(
    average: bool | None,
    name: str | None,
    op: int | None,
    prescale: float,
    postscale: float,
    process_set: ProcessSet,
) -> Call:
    name = named(_native.ALLREDUCE, name, process_set)
    reduce_op = choose_op(average, op)
    return Call(_native.ALLREDUCE, name, reduce_op, 0, prescale, postscale, process_set)


def reducescatter_call(
    name: str | None, op: int, process_set: ProcessSet, prescale: float, postscale: float
) -> Call:
    name = named(_native.REDUCESCATTER, name, process_set)
    return Call(_native.REDUCESCATTER, name, check_op(op), 0, prescale, postscale, process_set)


def reduce_call(
    root_rank: Any,
    name: str | None,
    op: int,
    process_set: ProcessSet,
    prescale: float,
    postscale: float,
) -> Call:
    name = named(_native.REDUCE, name, process_set)
    return Call(_native.REDUCE, name, check_op(op), root_rank, prescale, postscale, process_set)


def send_call(dest: Any, name: str | None, process_set: ProcessSet) -> Call:
    call = _message_call(_session.rank(), check_end("dest", dest), name, process_set)
    return call._replace(sends=True)


def recv_call(source: Any, name: str | None, process_set: ProcessSet) -> Call:
    return _message_call(check_end("source", source), _session.rank(), name, process_set)


def _message_call(source: int, dest: int, name: str | None, process_set: ProcessSet) -> Call:
    number = check_process_set(process_set)
    if name is None or (isinstance(name, str) and not name):
        name = _session.current().next_message_name(number, source, dest)
    name = check_name(name)
    return Call(_native.MESSAGE, name, root=source, process_set=process_set, peer=dest)


def moving_call(kind: int, name: str | None, process_set: ProcessSet, root_rank: Any = 0) -> Call:
    """Of what moves values and computes nothing with them."""
    name = named(kind, name, process_set)
    return Call(kind, name, root=root_rank, process_set=process_set)
