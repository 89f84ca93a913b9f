"""The one default session that the functions of this package share, and its life."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

from farandole import _native
from farandole.arguments import check_name, check_root, check_scale, check_settings
from farandole.errors import AbortedError, NotInitializedError, UnsupportedError


class Topology(NamedTuple):
    """A rank's place in the job."""

    rank: int
    size: int
    local_rank: int
    local_size: int
    cross_rank: int
    cross_size: int
    homogeneous: bool


class _Default:
    """What init() made. The only mutable state of the package."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.session: _native.Session | None = None
        self.topology: Topology | None = None
        self.pid = 0


_default = _Default()


def init(
    comm: Any = None, process_sets: Any = None, *, settings: Mapping[str, object] | None = None
) -> None:
    """Joins the job that the launcher describes, or starts one of a single rank without a launcher.

    Blocks until all ranks are there. Does nothing where the process has already joined.
    ``settings`` go before the environment; their names are those of docs/config.md in small
    letters and without ``FARANDOLE_``.
    """
    if comm is not None:
        raise UnsupportedError("init(comm=...): communicators of MPI are not supported")
    if process_sets:
        raise UnsupportedError("init(process_sets=...): only the global process set exists so far")
    with _default.lock:
        if _default.session is not None:
            _check_process()
            return
        session = _native.Session(check_settings(settings))
        _default.topology = Topology(*session.topology)
        _default.pid = os.getpid()
        _default.session = session


def shutdown() -> None:
    """Leaves the job: what is in flight ends with AbortedError. May be called at any time, also
    when the process never joined or its job has failed; ``init()`` may follow."""
    with _default.lock:
        session, _default.session, _default.topology = _default.session, None, None
        if session is not None and _default.pid == os.getpid():
            session.shutdown()


def is_initialized() -> bool:
    """Whether this process has joined a job and not left it. False in a forked child."""
    return _default.session is not None and _default.pid == os.getpid()


def current() -> _native.Session:
    """The session. Raises NotInitializedError where there is none."""
    session = _default.session
    if session is None:
        raise NotInitializedError("Farandole is not initialised; call init() first")
    return session


def named(kind: int, name: str | None) -> str:
    """The name, or the next automatic one of that kind of operation.

    Taken before anything can fail, so that automatic names advance alike on every rank although a
    call raises on one of them.
    """
    return current().next_name(kind) if name is None or name == "" else check_name(name)


def submit(
    kind: int,
    name: str,
    tensor: Any,
    output: Any = None,
    op: int = 0,
    root: Any = 0,
    prescale: Any = 1.0,
    postscale: Any = 1.0,
    splits: list[int] | None = None,
) -> _native.Handle:
    """One operation of the default session; see ``_native.Session.submit``."""
    return current().submit(
        kind,
        name,
        tensor,
        output,
        op,
        check_root(root),
        check_scale("prescale_factor", prescale),
        check_scale("postscale_factor", postscale),
        splits,
    )


def allreduce_all(
    names: list[str], tensors: list[Any], outputs: list[Any], op: int, prescale: Any, postscale: Any
) -> list[_native.Handle]:
    """Allreduces of the default session, all or none; see ``_native.Session.allreduce_all``."""
    return current().allreduce_all(
        names,
        tensors,
        outputs,
        op,
        check_scale("prescale_factor", prescale),
        check_scale("postscale_factor", postscale),
    )


def topology() -> Topology:
    """This rank's place in the job."""
    place = _default.topology
    if place is None:
        raise NotInitializedError("Farandole is not initialised; call init() first")
    _check_process()
    return place


def rank() -> int:
    """This process's rank, from 0 to size() - 1."""
    return topology().rank


def size() -> int:
    """Number of ranks in the job."""
    return topology().size


def local_rank() -> int:
    """This process's place among the ranks of its host."""
    return topology().local_rank


def local_size() -> int:
    """Number of ranks on this host."""
    return topology().local_size


def cross_rank() -> int:
    """Place of this host among the hosts that have this local rank."""
    return topology().cross_rank


def cross_size() -> int:
    """Number of hosts that have this local rank."""
    return topology().cross_size


def is_homogeneous() -> bool:
    """Whether every host has as many ranks."""
    return topology().homogeneous


def counters() -> dict[str, int]:
    """What this rank has done since ``init()``, as numbers that only grow.

    ========================  ====================================================================
    ``submitted``             operations taken, those in flight included
    ``agreed``                operations that every rank had submitted, and alike
    ``rejected``              operations that ranks had submitted unlike: MismatchError mostly
    ``settled_ok``            operations that succeeded
    ``settled_failed``        operations that ended with an error, the rejected ones included
    ``buckets``               collectives run, each for one operation or for several fused
    ``bytes``                 size of this rank's input to those that succeeded
    ``busy_nanoseconds``      time within collectives, waiting for other ranks included
    ========================  ====================================================================

    An operation that was waited for is counted. May be called from any thread and while operations
    run; also when the job has failed, but not after ``shutdown()``.
    """
    return current().counters()


def _check_process() -> None:
    if _default.pid != os.getpid():
        raise AbortedError(
            "this process was forked from one that had initialised Farandole; a forked child "
            "cannot communicate: use the parent, or start the child anew (spawn)"
        )


atexit.register(shutdown)
