"""Groups of ranks among which collectives run, and ranks that have nothing more to submit."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from farandole import _native, _session
from farandole.arguments import check_ranks, shown
from farandole.errors import FarandoleError, InvalidArgumentError, UnsupportedError
from farandole.handles import Deadline, Handle
from farandole.uncompiled import uncompiled

F = TypeVar("F", bound=Callable[..., Any])


class ProcessSet:
    """A set of ranks, for the argument ``process_set`` of collectives, of which every rank of the
    set, and no other, makes the call.

    It exists once ``init(process_sets=[...])`` or ``add_process_set`` has had it, until
    ``remove_process_set`` or ``shutdown``. ``root_rank`` is a rank of the job in every set; rows,
    splits and lists of results stand in the order of ``ranks``.
    """

    def __init__(self, ranks: Iterable[int]) -> None:
        """ranks: of the job, in any order, none twice."""
        self._ranks = check_ranks(ranks)
        self._id: int | None = None
        self._life: object = None  # of the session in which it exists, or did

    @property
    def process_set_id(self) -> int | None:
        """Its number, the same on every rank; None where it does not exist."""
        return self._id if self._exists() else None

    @property
    def ranks(self) -> list[int]:
        """Its ranks, ascending."""
        return list(self._ranks)

    def rank(self) -> int:
        """This process's place in the set; -1 where it is not in it."""
        check_process_set(self)
        own = _session.rank()
        return self._ranks.index(own) if own in self._ranks else -1

    def size(self) -> int:
        """Number of its ranks."""
        check_process_set(self)
        return len(self._ranks)

    def included(self) -> bool:
        """Whether this process belongs to the set."""
        return self.rank() >= 0

    def __repr__(self) -> str:
        return f"ProcessSet({shown(self.ranks)})"

    def __copy__(self) -> ProcessSet:
        return self

    def __deepcopy__(self, memo: Any) -> ProcessSet:
        """The same set: copies of a model communicate in it, too."""
        return self

    def __reduce__(self) -> Any:
        """Another of these ranks, which does not exist before it is added."""
        return ProcessSet, (self.ranks,)

    def _exists(self) -> bool:
        return (
            self._life is not None and _session.is_initialized() and self._life is _session.life()
        )

    def _register(self, number: int, life: object) -> None:
        self._id, self._life = number, life

    def _forget(self) -> None:
        self._id, self._life = None, None


class _GlobalProcessSet(ProcessSet):
    """All ranks of the job, whatever the job is."""

    def __init__(self) -> None:
        super().__init__([0])
        self._id = 0

    @property
    def ranks(self) -> list[int]:
        return list(range(_session.size()))

    def rank(self) -> int:
        return _session.rank()

    def size(self) -> int:
        return _session.size()

    def _exists(self) -> bool:
        return True

    def __repr__(self) -> str:
        return "global_process_set"

    def __reduce__(self) -> Any:
        return "global_process_set"


global_process_set: ProcessSet = _GlobalProcessSet()


def check_process_set(process_set: Any) -> int:
    """The number of a set that exists."""
    if not isinstance(process_set, ProcessSet):
        raise InvalidArgumentError(
            f"process_set must be a ProcessSet, not {type(process_set).__name__}"
        )
    number = process_set.process_set_id
    if number is None:
        _session.check_usable()
        raise InvalidArgumentError(
            f"{process_set} does not exist: give it to init(process_sets=[...]) or to "
            "add_process_set() on every rank"
        )
    return number


def is_alone(process_set: ProcessSet) -> bool:
    """Whether this process has nobody to train with: it is the only rank there, or none of them."""
    return process_set.size() == 1 or not process_set.included()


def contributors(ranks: Sequence[int], count: int) -> list[str]:
    """How errors name those of a set of whom so many parts were gathered, in their order.

    ranks: of the set, when the operation began: whoever waits for it may do so after its session.
    """
    if count == len(ranks):
        return [f"rank {rank}" for rank in ranks]
    return [f"number {i + 1} of the ranks that have not joined" for i in range(count)]


def _count() -> None:
    """Takes the automatic name of a change of process sets, as right calls of other ranks do."""
    with contextlib.suppress(FarandoleError):
        _session.check_usable()  # the session of a forked child's parent is not touched
        # A set of nobody, which the session refuses, and counts as every call.
        _session.current().add_process_set([])


@contextlib.contextmanager
def _counting_refusals() -> Iterator[None]:
    """Around what a call checks before the session has it, and counts it."""
    try:
        yield
    except Exception:
        _count()
        raise


def _changing(function: F) -> F:
    """The same, uncompiled; counts calls that Python refuses, too."""
    return uncompiled(function, lambda *_: _count())


@_changing
def add_process_set(
    process_set: ProcessSet | Iterable[int], *, timeout: float | None = None
) -> ProcessSet:
    """Makes a set of ranks exist, while the job runs. Every rank of the job calls it, those that
    are not in the set as well, with the same ranks, and in one order with other calls of this and
    ``remove_process_set``.

    process_set: a ProcessSet, or ranks of which one is made.
    timeout: as for ``allreduce``; waiting for the error's handle goes on with it, and returns the
        same.

    Returns the ProcessSet. Raises InvalidArgumentError for ranks that do not exist, stand there
    twice, or are a set already; MismatchError, on every rank alike, where ranks disagree; and as
    ``allreduce``. May be called without ``init(process_sets="dynamic")``.
    """
    with _counting_refusals():
        deadline = Deadline(timeout)
        made = process_set if isinstance(process_set, ProcessSet) else ProcessSet(process_set)
        _session.check_usable()
        session, life = _session.current(), _session.life()
        if made.process_set_id is not None:
            raise InvalidArgumentError(f"{made} is process set {made.process_set_id} already")
        ranks = made.ranks

    def exists(native: _native.Handle) -> ProcessSet:
        if not made._exists():  # in a later session than the handle's
            made._register(native.value, life)
        return made

    added: ProcessSet = deadline.wait(Handle(session.add_process_set(ranks), exists))
    return added


@_changing
def remove_process_set(process_set: ProcessSet, *, timeout: float | None = None) -> bool:
    """Ends a set. Every rank of the job calls it, as ``add_process_set``. What all ranks of the set
    had submitted is carried out before; what else is in flight in it ends with
    InvalidArgumentError on all of them.

    process_set: the one that ``add_process_set`` returned, or that was given to it.
    timeout: as for ``add_process_set``.

    Returns whether the set has ended by this: False where it was not added, or removed before, and
    for ``global_process_set``, which stays.
    """
    with _counting_refusals():
        deadline = Deadline(timeout)
        if not isinstance(process_set, ProcessSet):
            check_process_set(process_set)
        _session.check_usable()
        session, life = _session.current(), _session.life()
    number = process_set.process_set_id
    if number is None or process_set is global_process_set:
        _count()  # other ranks may have another set, which exists
        return False

    def is_gone(_: _native.Handle) -> bool:
        if process_set._life is life:
            process_set._forget()
        return True

    removed: bool = deadline.wait(Handle(session.remove_process_set(number), is_gone))
    return removed


@uncompiled
def join(
    device: int = -1,
    process_set: ProcessSet = global_process_set,
    *,
    timeout: float | None = None,
) -> int:
    """Waits until every rank of the set has called it; for a rank that has nothing more to submit,
    such as one whose data has ended, while others go on.

    Meanwhile the others get what they would among themselves: this rank stands in with what changes
    nothing (0 for Sum, 1 for Product, the largest value for Min, ...), Average divides by the ranks
    that submitted, and allgather has no rows of it. What it had submitted before counts. What has
    no meaning then raises MismatchError on all who submitted it: a broadcast from a rank that has
    joined, an alltoall with rows for one, a Product with a prescale_factor, and adding or removing
    process sets. reducescatter keeps its parts.

    device: for Horovod's sake; -1, the CPU, since there is no other so far.
    process_set: as for ``allreduce``; so are errors. A goodbye of one of its ranks ends the wait
        with PeerLostError.
    timeout: as for ``allreduce``: this rank has joined nevertheless, and the error's handle brings
        the last rank.

    Returns the rank that joined last, the same on every rank.
    """
    deadline = Deadline(timeout)
    number = check_process_set(process_set)
    if not _is_cpu(device):
        raise UnsupportedError(f"join(device={shown(device)}): only the CPU, -1, is supported")
    last: int = deadline.wait(Handle(_session.join(number), lambda native: native.value))
    return last


def _is_cpu(device: Any) -> bool:
    try:
        return not isinstance(device, bool) and operator.index(device) == -1
    except TypeError:
        return False
