"""Handles of operations in flight."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from farandole import _native
from farandole.arguments import check_timeout, shown
from farandole.errors import FarandoleError, InvalidArgumentError, MismatchError, PendingError
from farandole.small_floats import with_kinds
from farandole.uncompiled import uncompiled


class Handle:
    """One operation in flight, as the functions return it whose names end in ``_async``.

    Dropping it does not stop the operation, whose tensors stay alive until it has finished. Any
    number of threads may use one at once. It may be kept beyond ``shutdown()``, and gives the
    result or raises the error of its own operation then, too.
    """

    __slots__ = ("_finish", "_finished", "_native", "_result")

    def __init__(
        self, native: _native.Handle, finish: Callable[[_native.Handle], Any] | None = None
    ) -> None:
        self._native = native
        self._finish = finish
        self._finished = False
        self._result: Any = None

    def __repr__(self) -> str:
        return f"<farandole.{type(self).__name__} {self._description()}: {self._state()}>"

    def _description(self) -> str:
        text = self._native.description
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)

    def _state(self) -> str:
        try:
            if not self._finished and not self._settled(0):
                return "in flight"
        except FarandoleError as error:
            return f"failed: {error}"
        return "finished"

    @uncompiled
    def done(self) -> bool:
        """Whether the operation has finished or failed."""
        return self._native.done()

    @uncompiled
    def wait(self, timeout: float | None = None) -> Any:
        """The result, once it is there; raises how the operation failed. May be called again, and
        gives or raises the same.

        Blocks without the GIL and without using a core; Ctrl-C ends the wait, not the operation.

        timeout: seconds; None waits for as long as it takes. When they have passed raises
            PendingError, a builtin TimeoutError but no HorovodInternalError: the operation is in
            flight as before, and the job is well as far as anybody knows. Its ``handle`` is this.
        """
        limit = checked_limit(timeout)
        return self._wait_for(limit, limit)

    @uncompiled
    def _wait_for(self, left: float | None, limit: float | None) -> Any:
        try:
            return self._wait(left, limit)
        except PendingError as error:
            error.handle = self
            raise

    def _settled(self, left: float | None) -> bool:
        try:
            return self._native.wait(left)
        except MismatchError as error:
            raise with_kinds(error) from None

    def _wait(self, left: float | None, limit: float | None) -> Any:
        """Waits for what is left of the caller's limit, which the error names."""
        if not self._finished:
            if not self._settled(left):
                within = "" if limit is None else f" within {limit:g} s"
                raise PendingError(
                    f"{self._description()}: not finished{within}, and still in flight"
                )
            finish = self._finish
            result = finish(self._native) if finish else None
            if not self._finished:  # another thread may have waited, too
                self._result = result
                self._finished = True
                self._finish = None  # and what it holds
        return self._result


class GroupHandle(Handle):
    """Several operations as one; its result is the list of theirs, or what ``combine`` makes of
    it, once."""

    __slots__ = ("_combine", "_lock", "_members")

    def __init__(
        self, members: Sequence[Handle], combine: Callable[[list[Any]], Any] | None = None
    ) -> None:
        self._members = list(members)
        self._combine = combine
        self._finished = False
        self._lock = threading.RLock()  # a signal handler may wait, too
        self._result = None

    def _description(self) -> str:
        if len(self._members) == 1:
            return self._members[0]._description()
        first = f", the first {self._members[0]._description()}" if self._members else ""
        return f"of {len(self._members)} operations{first}"

    def _state(self) -> str:
        states = [member._state() for member in self._members]
        failed = next((state for state in states if state.startswith("failed")), None)
        flying = states.count("in flight")
        return f"{flying} in flight" if flying else failed or "finished"

    @uncompiled
    def done(self) -> bool:
        return all(member.done() for member in self._members)

    @uncompiled
    def wait(self, timeout: float | None = None) -> Any:
        """All results. Waits for every member before it raises the first failure, so that none is
        in flight afterwards; raises PendingError where one is, after ``timeout`` seconds."""
        return super().wait(timeout)

    def _wait(self, left: float | None, limit: float | None) -> Any:
        if not self._finished:
            results = self._wait_all(left, limit)
            with self._lock:
                if not self._finished:
                    self._result = self._combine(results) if self._combine else results
                    self._finished = True
                    self._combine = None
        return self._result

    def _wait_all(self, left: float | None, limit: float | None) -> list[Any]:
        deadline = None if left is None else time.monotonic() + left
        results = []
        failure: FarandoleError | None = None
        for member in self._members:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                results.append(member._wait(left, limit))
            except PendingError:
                raise  # this group's failure may be another one yet
            except FarandoleError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return results


class Deadline:
    """One limit for all that a call waits for.

    timeout: seconds from now on; None is no limit. Raises InvalidArgumentError for what is none.
    """

    __slots__ = ("_end", "_limit")

    def __init__(self, timeout: Any = None) -> None:
        self._limit = checked_limit(timeout)
        self._end = None if self._limit is None else time.monotonic() + self._limit

    def wait(self, handle: Handle) -> Any:
        """As ``handle.wait``; PendingError when the limit of the whole call has passed."""
        left = None if self._end is None else max(0.0, self._end - time.monotonic())
        return handle._wait_for(left, self._limit)


def checked_limit(timeout: Any) -> float | None:
    """For how long a caller waits at most, or None. Functions that start an operation and wait for
    it ask this before they start it."""
    return None if timeout is None else check_timeout(timeout)


def _checked(handle: object) -> Handle:
    if isinstance(handle, Handle):
        return handle
    raise InvalidArgumentError(
        f"{shown(handle)} is no handle; the functions that end in _async return one"
    )


def poll(handle: object) -> bool:
    """Whether ``synchronize`` would return, or raise, at once.

    handle: of a function that ends in ``_async`` or ``_async_``. Never blocks; for any thread.
    """
    return _checked(handle).done()


def synchronize(handle: object, *, timeout: float | None = None) -> Any:
    """Waits for the operation and returns its result; raises how it failed, as ``Handle.wait``.

    handle: of a function that ends in ``_async`` or ``_async_``.
    timeout: seconds to wait at most, with what ``Handle.wait`` says of them; None: no limit.
    """
    limit = checked_limit(timeout)
    return _checked(handle).wait(limit)
