"""Handles: poll, synchronize, wait with a deadline."""

from __future__ import annotations

import inspect
import re
import threading
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

import farandole as fdl
from farandole import handles
from farandole.handles import Deadline, GroupHandle

try:
    import farandole.torch as hvd
except ImportError:  # this Python has no torch
    hvd = None  # type: ignore[assignment]

MODULES = [fdl] if hvd is None else [fdl, hvd]
pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("session")]


def test_result_is_the_same_each_time() -> None:
    handle = fdl.allreduce_async(np.arange(3.0), op=fdl.Sum)
    first = fdl.synchronize(handle)
    assert fdl.synchronize(handle) is first
    assert fdl.poll(handle)
    assert handle.wait(timeout=0) is first


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_timeout_must_have_a_meaning(timeout: float) -> None:
    handle = fdl.barrier_async()
    with pytest.raises(ValueError, match="timeout"):
        handle.wait(timeout)
    with pytest.raises(ValueError, match="timeout"):
        GroupHandle([handle]).wait(timeout)
    assert handle.wait(30) is None


def test_several_threads_wait_for_one_handle() -> None:
    handle = fdl.allgather_async(np.arange(3))
    results: list[list[int]] = []

    def wait() -> None:
        results.append(handle.wait(30).tolist())

    threads = [threading.Thread(target=wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[0, 1, 2]] * 4


def test_many_in_flight_in_any_order_of_waiting() -> None:
    handles = [fdl.allreduce_async(np.full(4, i), op=fdl.Sum, name=f"t{i}") for i in range(2000)]
    for i in reversed(range(2000)):
        assert fdl.synchronize(handles[i]).tolist() == [i] * 4


def test_a_handle_shows_what_it_is_and_how_it_stands() -> None:
    handle = fdl.allreduce_async(np.ones(1), name="grad/1")
    assert re.fullmatch(
        r'<farandole.Handle allreduce "grad/1": (in flight|finished)>', repr(handle)
    )
    handle.wait(30)
    assert repr(handle) == '<farandole.Handle allreduce "grad/1": finished>'
    group = fdl.grouped_allreduce_async([np.ones(1), np.ones(2)], name="a\nb")
    group.wait(30)
    first = r'allreduce "a\nb [1/2]"'
    assert repr(group) == f"<farandole.GroupHandle of 2 operations, the first {first}: finished>"
    none = fdl.grouped_allreduce_async([])
    assert repr(none) == "<farandole.GroupHandle of 0 operations: finished>"
    barrier = fdl.barrier_async()
    barrier.wait(30)
    assert repr(barrier) == "<farandole.Handle barrier: finished>"


class Stuck:
    """A native handle whose operation never ends, or ends badly."""

    description = 'allgather "x"'

    def __init__(self, failure: fdl.FarandoleError | None = None) -> None:
        self.failure = failure

    def wait(self, _: float) -> bool:
        if self.failure:
            raise self.failure
        return False


def test_a_handle_shows_why_it_failed() -> None:
    flying: Any = fdl.Handle(Stuck())  # type: ignore[arg-type]
    failed: Any = fdl.Handle(Stuck(fdl.PeerLostError("rank 1 died", 1)))  # type: ignore[arg-type]
    assert repr(flying) == '<farandole.Handle allgather "x": in flight>'
    assert repr(failed) == '<farandole.Handle allgather "x": failed: rank 1 died>'
    first = 'of 2 operations, the first allgather "x"'
    assert repr(GroupHandle([flying, failed])) == f"<farandole.GroupHandle {first}: 1 in flight>"
    both = repr(GroupHandle([failed, failed]))
    assert both == f"<farandole.GroupHandle {first}: failed: rank 1 died>"


def test_waiting_longer_than_the_callers_limit_is_no_failure() -> None:
    lost = fdl.PeerLostError("rank 1 died", 1)
    flying: Any = fdl.Handle(Stuck())  # type: ignore[arg-type]
    failed: Any = fdl.Handle(Stuck(lost))  # type: ignore[arg-type]
    for handle in (flying, GroupHandle([flying]), GroupHandle([failed, flying])):
        with pytest.raises(TimeoutError) as caught:
            handle.wait(0)
        assert type(caught.value) is fdl.PendingError
        assert str(caught.value) == 'allgather "x": not finished within 0 s, and still in flight'
    with pytest.raises(fdl.PeerLostError):
        GroupHandle([failed, failed]).wait(0)


@pytest.mark.parametrize("limit", [0.25, Fraction(1, 4), Decimal("0.25")])
def test_the_limit_is_told_as_it_was_given(limit: Any) -> None:
    flying: Any = fdl.Handle(Stuck())  # type: ignore[arg-type]
    for handle in (flying, GroupHandle([flying]), GroupHandle([GroupHandle([flying])])):
        with pytest.raises(fdl.PendingError, match=r"not finished within 0\.25 s, "):
            handle.wait(limit)
    finished = fdl.barrier_async()
    finished.wait(30)
    assert GroupHandle([finished]).wait(limit) == [None]


def test_group_in_place() -> None:
    arrays = [np.ones(3), np.ones((4, 6))[:, ::2], np.full((), 2.0)]
    results = fdl.grouped_allreduce_(arrays, op=fdl.Sum, prescale_factor=3.0)
    assert all(result is array for result, array in zip(results, arrays, strict=True))
    assert [np.unique(array).tolist() for array in arrays] == [[3], [3], [6]]
    handle = fdl.grouped_allreduce_async_(arrays[:1], op=fdl.Sum, prescale_factor=2.0)
    assert handle.wait(30)[0] is arrays[0]
    assert arrays[0].tolist() == [6, 6, 6]


def test_one_limit_for_several_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gets what the ones before have left; the error names what the caller gave."""
    now = [100.0]
    monkeypatch.setattr(handles, "time", SimpleNamespace(monotonic=lambda: now[0]))

    class Asked:
        def _wait_for(self, left: float | None, limit: float | None) -> Any:
            return left, limit

    handle = cast(fdl.Handle, Asked())
    deadline = Deadline(10)
    assert deadline.wait(handle) == (10.0, 10.0)
    now[0] = 107.0
    assert deadline.wait(handle) == (3.0, 10.0)
    now[0] = 120.0
    assert deadline.wait(handle) == (0.0, 10.0)
    assert Deadline().wait(handle) == (None, None)
    with pytest.raises(ValueError, match="timeout=-1 is no number of seconds"):
        Deadline(-1)


def test_every_call_that_waits_has_a_limit() -> None:
    """By name: whoever adds one thinks of it."""
    waiting = ("join", "barrier", "process_set", "object", "parameters", "state", "metrics")
    for module in MODULES:
        for name in module.__all__:
            function = getattr(module, name)
            waits = name.endswith(waiting) and callable(function) and name != "global_process_set"
            if waits and inspect.isfunction(function):
                limit = inspect.signature(function).parameters["timeout"]
                assert limit.kind is limit.KEYWORD_ONLY, name
                assert limit.default is None, name
