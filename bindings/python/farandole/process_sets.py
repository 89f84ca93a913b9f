"""Groups of ranks. So far there is one, that of all ranks."""

from __future__ import annotations

import operator
from typing import Any

from farandole import _session
from farandole.arguments import shown
from farandole.errors import InvalidArgumentError, UnsupportedError


class ProcessSet:
    """A set of ranks among which collectives run. ``global_process_set`` is the only one so far:
    whatever is asked of another raises UnsupportedError."""

    def __init__(self, process_set_id: int) -> None:
        self.process_set_id = _check_id(process_set_id)

    @property
    def ranks(self) -> list[int]:
        return list(range(self.size()))

    def rank(self) -> int:
        """This process's place in the set."""
        check_process_set(self)
        return _session.rank()

    def size(self) -> int:
        check_process_set(self)
        return _session.size()

    def included(self) -> bool:
        """Whether this process belongs to the set."""
        return self.rank() >= 0

    def __repr__(self) -> str:
        return f"ProcessSet(process_set_id={self.process_set_id})"


def _check_id(process_set_id: Any) -> int:
    if isinstance(process_set_id, (list, tuple, range)):
        raise UnsupportedError(
            f"ProcessSet({shown(process_set_id)}): only global_process_set exists so far"
        )
    try:
        number = -1 if isinstance(process_set_id, bool) else operator.index(process_set_id)
    except TypeError:
        number = -1
    if number < 0:
        raise InvalidArgumentError(
            f"process_set_id={shown(process_set_id)} is no number of a process set; a whole "
            "number from 0 is wanted"
        )
    return number


global_process_set = ProcessSet(0)


def check_process_set(process_set: ProcessSet) -> None:
    """Refuses every set but the global one."""
    if process_set is global_process_set:
        return
    if not isinstance(process_set, ProcessSet):
        raise InvalidArgumentError(
            f"process_set must be a ProcessSet, not {type(process_set).__name__}"
        )
    raise UnsupportedError(f"{process_set}: only global_process_set exists so far")
