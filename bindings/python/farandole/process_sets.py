"""Groups of ranks. So far there is one, that of all ranks."""

from __future__ import annotations

from farandole import _session
from farandole.errors import InvalidArgumentError, UnsupportedError


class ProcessSet:
    """A set of ranks among which collectives run."""

    def __init__(self, process_set_id: int) -> None:
        self.process_set_id = process_set_id

    @property
    def ranks(self) -> list[int]:
        return list(range(_session.size()))

    def rank(self) -> int:
        """This process's place in the set."""
        return _session.rank()

    def size(self) -> int:
        return _session.size()

    def included(self) -> bool:
        """Whether this process belongs to the set."""
        return True

    def __repr__(self) -> str:
        return f"ProcessSet(process_set_id={self.process_set_id})"


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
