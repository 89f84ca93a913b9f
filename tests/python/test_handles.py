"""Handles: poll, synchronize, wait with a deadline."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import farandole as fdl

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
