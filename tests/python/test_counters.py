"""counters(): the figures of a session of one rank."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
from c_library import struct

import farandole as fdl

pytestmark = pytest.mark.timeout(60)

FIELDS = [name for name, *_ in struct("fdl_counters")._fields_ if name != "struct_size"]


@pytest.mark.parametrize("again", [False, True])
def test_outside_of_a_session_there_are_none(again: bool) -> None:
    if again:
        fdl.init()
        fdl.shutdown()
    with pytest.raises(fdl.NotInitializedError, match="call init"):
        fdl.counters()


def test_they_are_those_of_the_c_interface(session: None) -> None:
    assert fdl.counters() == dict.fromkeys(FIELDS, 0)
    assert list(fdl.counters()) == FIELDS
    for name in FIELDS:
        assert f"``{name}``" in (fdl.counters.__doc__ or "")


def test_what_was_waited_for_is_counted(session: None) -> None:
    for _ in range(3):
        fdl.allreduce(np.ones(5), op=fdl.Sum)
    fdl.barrier()
    with pytest.raises(ValueError, match="root rank 5"):
        fdl.broadcast(np.ones(5), 5)
    counters = fdl.counters()
    assert counters.pop("busy_nanoseconds") > 0
    assert counters == {
        "submitted": 4,
        "agreed": 4,
        "rejected": 0,
        "settled_ok": 4,
        "settled_failed": 0,
        "buckets": 4,
        "bytes": 3 * 5 * 8,
    }


def test_every_session_begins_anew(session: None) -> None:
    fdl.barrier()
    assert fdl.counters()["submitted"] == 1
    fdl.shutdown()
    fdl.init()
    assert set(fdl.counters().values()) == {0}


def test_they_are_read_while_other_threads_work(session: None) -> None:
    seen: list[dict[str, int]] = []
    ready = threading.Barrier(2)

    def read() -> None:
        ready.wait(30)
        seen.extend(fdl.counters() for _ in range(1000))

    reader = threading.Thread(target=read)
    reader.start()
    ready.wait(30)
    for _ in range(200):
        fdl.allreduce(np.ones(5))
    reader.join(30)
    assert len(seen) == 1000
    for before, after in itertools.pairwise(seen):
        assert all(before[name] <= after[name] for name in FIELDS)
        assert after["settled_ok"] <= after["agreed"] <= after["submitted"]
    assert fdl.counters()["settled_ok"] == 200


def test_torch_has_them_too() -> None:
    pytest.importorskip("torch")
    import farandole.torch as hvd

    assert hvd.counters is fdl.counters
