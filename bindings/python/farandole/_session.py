"""The one default session that the functions of this package share, and its life."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
import weakref
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from farandole import _native
from farandole._settings import in_effect
from farandole._stacks import all_stacks
from farandole._uncaught import name_of_uncaught
from farandole.arguments import (
    check_name,
    check_process_sets,
    check_root,
    check_scale,
    check_settings,
    check_settings_unchanged,
)
from farandole.errors import (
    AbortedError,
    FarandoleError,
    InvalidArgumentError,
    NotInitializedError,
    UnsupportedError,
)
from farandole.uncompiled import uncompiled


class Topology(NamedTuple):
    """A rank's place in the job."""

    rank: int
    size: int
    local_rank: int
    local_size: int
    cross_rank: int
    cross_size: int
    homogeneous: bool


class _Joined(NamedTuple):
    """A session and what belongs to it, published at once: an exception of a signal handler may
    come between any two statements.

    turns: how often each name was given to ``turn``; ``turning`` is held while one is taken.
    joins: how often this rank has joined in each process set.
    unanswered: what ``answers.answer_later`` was given.
    patience: seconds that it has for slower ranks when it leaves.
    life: what tells this session from others, for those that outlive it and must not keep it.
    exchangers: who exchanged a parameter's gradient last, by the parameter's id; keeps nobody.
    """

    session: _native.Session
    topology: Topology
    pid: int
    settings: list[tuple[str, str]]
    turns: dict[tuple[int, str], int]
    turning: threading.RLock
    joins: dict[int, int]
    unanswered: dict[tuple[int, str], _native.Handle]
    patience: float
    life: object
    exchangers: weakref.WeakValueDictionary[int, Any]


class _Forming:
    """An init() that waits for the other ranks.

    leavers: the shutdown()s that wait until it has ended.
    """

    def __init__(self, leavers: set[object]) -> None:
        self.leavers = leavers
        self.given_up = False  # by a signal handler, which cannot wait for it

    def is_given_up(self) -> bool:
        return self.given_up or bool(self.leavers)


class _Default:
    """What init() made. The only mutable state of the package."""

    def __init__(self) -> None:
        self.joined: _Joined | None = None
        self._renew()

    def _renew(self) -> None:
        # Held while a session starts or ends, so that other threads wait for that. Reentrant: the
        # main thread may meet a signal handler then, which may call either function.
        self.lock = threading.RLock()
        # Those who want to leave and wait for the lock, so that whoever has it, or gets it before
        # them, starts no session meanwhile. One token each: a set changes in one step.
        self.leavers: set[object] = set()
        self.forming: _Forming | None = None

    def after_fork_in_child(self) -> None:
        """Another thread of the parent, which does not exist here, may have held the lock."""
        self._renew()


_default = _Default()
os.register_at_fork(after_in_child=_default.after_fork_in_child)


def init(
    comm: Any = None, process_sets: Any = None, *, settings: Mapping[str, object] | None = None
) -> None:
    """Joins the job that the launcher describes, or starts one of a single rank without a launcher.

    Blocks until all ranks are there, for ``start_timeout`` at most; Ctrl-C, or a ``shutdown()`` by
    another thread or a signal handler, ends it. Does nothing where the process has already joined.

    comm: for Horovod's sake; UnsupportedError unless None.
    process_sets: sets of ranks that exist from the start, each a ProcessSet or its ranks, the same
        on every rank; they get the numbers from 1 on. "dynamic", as None, gives none: others may be
        added and removed at any time.
    settings: go before the environment; their names are those of docs/config.md in small letters
        and without ``FARANDOLE_``. Later calls may repeat them, not change them.

    Raises InvalidArgumentError for a wrong setting, here or in the environment; TimeoutError naming
    the ranks that did not come; MismatchError where ranks have unlike settings;
    OperatingSystemError; AbortedError where ``shutdown()`` ended it.

    May be called from any thread; others that call it meanwhile wait for the same session.
    """
    if comm is not None:
        raise UnsupportedError(
            "init(comm=...): neither communicators of MPI nor lists of ranks are supported; "
            "process_sets= makes sets of some ranks, as in init(process_sets=[[0, 1]])"
        )
    sets = check_process_sets(process_sets)
    given = check_settings(settings)
    if sets:
        if any(key == "process_sets" for key, _ in given):
            raise InvalidArgumentError("init(): process_sets is given twice, in the settings, too")
        given.append(("process_sets", ";".join(",".join(map(str, ranks)) for _, ranks in sets)))
    with _default.lock:
        if _default.forming is not None:
            raise InvalidArgumentError(
                "init() was called by a signal handler while init() was waiting for the other "
                "ranks; call shutdown() there, or nothing"
            )
        joined = _default.joined
        if joined is not None:
            _check_process(joined)
            check_settings_unchanged(joined.settings, given)
        else:
            _form(given)
        for number, (process_set, _) in enumerate(sets, start=1):
            if hasattr(process_set, "process_set_id"):
                process_set._register(number, life())


def _form(settings: list[tuple[str, str]]) -> None:
    """Makes the session. Requires: the lock is held."""
    forming = _Forming(_default.leavers)
    try:
        _default.forming = forming
        if not forming.is_given_up():
            timeout = in_effect("shutdown_timeout", settings)
            session = _native.Session(settings, forming.is_given_up, all_stacks)
            place = Topology(*session.topology)
            pid, patience, turning = os.getpid(), float(timeout), threading.RLock()
            nobody: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
            _default.joined = _Joined(
                session, place, pid, settings, {}, turning, {}, {}, patience, object(), nobody
            )
    except AbortedError:
        if not forming.is_given_up():
            raise
    finally:
        _default.forming = None
    if forming.is_given_up():
        shutdown()
        raise AbortedError("init() was ended by shutdown() while it was waiting for other ranks")


def shutdown() -> None:
    """Leaves the job: what all ranks had agreed upon is finished, everything else in flight ends
    with AbortedError.

    May be called at any time, from any thread and from a signal handler, also when the process
    never joined or its job has failed; ``init()`` may follow. Ends every ``init()`` that waits,
    for other ranks or for another thread's ``init()``. Takes at most ``shutdown_timeout`` and what
    an abort takes. Nothing of the session is left then, no thread and no descriptor, whatever the
    program keeps: handles say how their operations ended, results stay, and optimizers and process
    sets may be used after the next ``init()``. A process that ends without it leaves the job as
    well; other ranks that still needed it are told how it ended. Slower ranks that have yet to ask
    what became of a sparse gradient are waited for before, for ``shutdown_timeout`` at most, too.
    """
    try:
        _answer()
    finally:
        _leave("shutdown")


def _answer() -> None:
    """Waits for operations that only others need. Requires: their results are right, or nobody
    cares for them."""
    joined = _default.joined
    if joined is None or joined.pid != os.getpid():
        return
    deadline = time.monotonic() + joined.patience
    for handle in list(joined.unanswered.values()):
        with contextlib.suppress(FarandoleError):
            handle.wait(max(0.0, deadline - time.monotonic()))


def _leave(cause: str) -> None:
    """Ends the session; other ranks that need this one read `cause`."""
    leavers, token = _default.leavers, object()
    try:
        leavers.add(token)
        with _default.lock:
            leavers.discard(token)  # an init() that comes from here on may start a session
            if _default.forming is not None:  # this is a signal handler within that init()
                _default.forming.given_up = True
                return
            joined, _default.joined = _default.joined, None
            if joined is not None and joined.pid == os.getpid():
                joined.session.shutdown(cause)
    finally:
        leavers.discard(token)


def _at_exit() -> None:
    """The interpreter ends, and nobody called shutdown()."""
    uncaught = name_of_uncaught()
    if uncaught is None:
        try:
            _answer()
        finally:
            _leave("its program ended without shutdown")
    else:
        _leave(f"an uncaught {uncaught} ended its program")


@uncompiled
def is_initialized() -> bool:
    """Whether this process has joined a job and not left it. False in a forked child."""
    joined = _default.joined
    return joined is not None and joined.pid == os.getpid()


def current() -> _native.Session:
    """The session. Raises NotInitializedError where there is none."""
    return _joined().session


def life() -> object:
    """By its identity, which session this is; it may be kept, and keeps no session. Raises as
    current()."""
    return _joined().life


def check_usable() -> None:
    """Raises where there is no session, or one that belongs to the parent of this forked child."""
    _check_process(_joined())


def _joined() -> _Joined:
    joined = _default.joined
    if joined is None:
        raise NotInitializedError("Farandole is not initialised; call init() first")
    return joined


def named(kind: int, name: str | None, process_set: int = 0) -> str:
    """The name, or the next automatic one of that kind of operation in the process set.

    Taken before anything can fail, so that automatic names advance alike on every rank although a
    call raises on one of them.
    """
    unnamed = name is None or (isinstance(name, str) and not name)
    return current().next_name(kind, process_set) if unnamed else check_name(name)


def turn(names: Iterable[str], process_set: int = 0) -> int:
    """From 1, the how manieth this is in the session that has one of these names in the process
    set. Alike on every rank of it, where all ask in the same order."""
    asked, joined = [(process_set, name) for name in names], _joined()
    with joined.turning:
        number = 1 + max((joined.turns.get(name, 0) for name in asked), default=0)
        joined.turns.update(dict.fromkeys(asked, number))
    return number


def period(process_set: int = 0) -> tuple[object, int]:
    """What ends with the session, and where this rank joins in the process set: whatever ranks have
    told each other before, those that had joined did not hear."""
    joined = _joined()
    return joined.life, joined.joins.get(process_set, 0)


def join(process_set: int = 0) -> _native.Handle:
    """Says that this rank has nothing more to submit in the process set until the handle ends."""
    joined = _joined()
    native = joined.session.join(process_set)
    joined.joins[process_set] = joined.joins.get(process_set, 0) + 1
    return native


def unanswered() -> dict[tuple[int, str], _native.Handle]:
    """What whoever leaves the job in order waits for before, by process set and name; see
    ``answers``."""
    return _joined().unanswered


def exchangers() -> weakref.WeakValueDictionary[int, Any]:
    """Who exchanged each parameter's gradient last; see ``torch.under_way``."""
    return _joined().exchangers


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
    process_set: int = 0,
    *more: Any,
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
        process_set,
        *more,
    )


def submit_all(
    kind: int,
    names: list[str],
    tensors: list[Any],
    outputs: list[Any],
    op: int = 0,
    root: Any = 0,
    prescale: Any = 1.0,
    postscale: Any = 1.0,
    splits: list[list[int] | None] | None = None,
    process_set: int = 0,
    *more: Any,
) -> list[_native.Handle]:
    """Operations of one kind, all or none; see ``_native.Session.submit_all``."""
    scales = (check_scale("prescale_factor", prescale), check_scale("postscale_factor", postscale))
    each = [None] * len(names) if splits is None else splits
    how = (op, check_root(root), *scales, each, process_set, *more)
    return current().submit_all(kind, names, tensors, outputs, *how)


@uncompiled
def topology() -> Topology:
    """This rank's place in the job."""
    joined = _joined()
    _check_process(joined)
    return joined.topology


def rank() -> int:
    """This process's rank, from 0 to size() - 1."""
    return topology().rank


def size() -> int:
    """Number of ranks in the job."""
    return topology().size


def _check_process(joined: _Joined) -> None:
    if joined.pid != os.getpid():
        raise AbortedError(
            "this process was forked from one that had initialised Farandole; a forked child "
            "cannot communicate: use the parent, or start the child anew (spawn)"
        )


atexit.register(_at_exit)
