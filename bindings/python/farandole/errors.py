"""What can go wrong, one class per cause.

Whoever retries after failures catches ``HorovodInternalError`` and lets ``MismatchError`` through:
a mismatch is a mistake in the program, which a retry repeats.
"""

from __future__ import annotations

import builtins
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from farandole.handles import Handle


class FarandoleError(RuntimeError):
    """Base of all."""


class InvalidArgumentError(FarandoleError, ValueError):
    """An argument is wrong on its own; found on this rank alone."""


class NotInitializedError(InvalidArgumentError):
    """A call that needs ``init()`` came before it or after ``shutdown()``."""


class UnsupportedError(FarandoleError, NotImplementedError):
    """Meaningful, but nothing here can do it."""


class PendingError(FarandoleError, builtins.TimeoutError):
    """The caller's own time limit passed: the operation is in flight, and nothing has failed."""

    handle: Handle | None = None
    """That of the operation, which may be waited for again. Stays behind when this is pickled."""

    def __reduce__(self) -> tuple[type[PendingError], tuple[str]]:
        return type(self), (str(self),)


class RunError(FarandoleError):
    """A rank of ``run()`` failed, or could not be started.

    message: which one, and how.
    rank: the one that failed first by itself; -1 where it is not known.
    exit_code: that of farandolerun.
    tracebacks: of all ranks that raised, by rank.
    """

    def __init__(
        self,
        message: str,
        rank: int = -1,
        exit_code: int = 1,
        tracebacks: dict[int, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.rank = rank
        self.exit_code = exit_code
        self.tracebacks = tracebacks or {}

    def __reduce__(self) -> tuple[type[RunError], tuple[str, int, int, dict[int, str]]]:
        return type(self), (str(self), self.rank, self.exit_code, self.tracebacks)


class HorovodInternalError(FarandoleError):
    """A collective failed: base of lost peer, time-out, abort and mismatch."""


class MismatchError(HorovodInternalError):
    """Ranks disagree about a tensor. The same text on all of them; the job stays usable."""


class PeerLostError(HorovodInternalError):
    """A rank died, froze, left or cannot be reached.

    message: the whole text.
    rank: the one that was lost; -1 where none is known.
    host: its host; "" where none is known.
    cause: what was seen of it; the message where nothing else is known.
    """

    def __init__(self, message: str, rank: int = -1, host: str = "", cause: str = "") -> None:
        super().__init__(message)
        self.rank = rank
        self.host = host
        self.cause = cause or message

    def __reduce__(self) -> tuple[type[PeerLostError], tuple[str, int, str, str]]:
        return type(self), (str(self), self.rank, self.host, self.cause)


class TimeoutError(HorovodInternalError, builtins.TimeoutError):
    """A deadline of the job passed."""


class AbortedError(HorovodInternalError):
    """Ended by this rank's own shutdown."""


class OperatingSystemError(FarandoleError):
    """The operating system refused."""


class InternalError(FarandoleError):
    """A defect of Farandole."""


# The codes of farandole.h.
_CLASSES: dict[int, type[FarandoleError]] = {
    1: InvalidArgumentError,
    2: MismatchError,
    3: PeerLostError,
    4: TimeoutError,
    5: AbortedError,
    6: UnsupportedError,
    7: OperatingSystemError,
    8: InternalError,
}


def from_code(code: int, message: str, rank: int, host: str) -> FarandoleError:
    """The exception for a code of the C interface."""
    kind = _CLASSES.get(code, InternalError)
    if issubclass(kind, PeerLostError):
        seen = re.search(r"rank \d+ \(host [^)]*\) (.+)$", message)
        return kind(message, rank, host, seen.group(1) if seen else "")
    return kind(message)


_MOST_SHOWN = 512  # characters of a name in an error


def named_error(kind: str, name: str, error: Exception) -> Exception:
    """The error of an argument of an operation, with kind and name in front as the core has them:
    what is named already, and every other error, as it is."""
    begin = f'{kind} "'
    ours = type(error) in (InvalidArgumentError, UnsupportedError)
    if not ours or str(error).startswith(begin):
        return error
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)
    if len(shown) > _MOST_SHOWN:
        shown = f"{shown[:_MOST_SHOWN]}…"
    return type(error)(f'{begin}{shown}": {error}').with_traceback(error.__traceback__)
