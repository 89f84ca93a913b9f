"""Members of a group that share memory: what has no right result is refused, and says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import farandole

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("session")]

WRONG = 'it shares memory with "x [{}/2]", and a result goes there; give each tensor of a group '


def refused(call: Any, member: int, other: int, kind: str = "allreduce") -> None:
    with pytest.raises(farandole.InvalidArgumentError) as caught:
        call()
    text = f'{kind} "x [{member}/2]": {WRONG.format(other)}memory of its own'
    assert str(caught.value) == text


def check(hvd: Any, ten: Any, empty: Any) -> None:
    """ten: ten numbers, none of which is twice; anew at each call."""
    values, other = ten(), ten()
    in_place = hvd.grouped_allreduce_
    refused(lambda: in_place([values, values], name="x"), 2, 1)
    refused(lambda: in_place([values[2:6], values[:3]], name="x"), 1, 2)
    reduce_in_place = hvd.grouped_reduce_
    refused(lambda: reduce_in_place([values[:4], values[3:]], 0, name="x"), 2, 1, "reduce")
    refused(lambda: hvd.grouped_allreduce([values, ten()], name="x", out=[other, other]), 2, 1)
    crossed, halves = [values[5:], values[:5]], [values[:5], values[5:]]
    refused(lambda: hvd.grouped_allreduce(halves, name="x", out=crossed), 2, 1)
    into_input = [None, values[:5]]
    refused(lambda: hvd.grouped_broadcast(halves, 0, "x", out=into_input), 2, 1, "broadcast")
    assert values.tolist() == ten().tolist()  # nothing has been sent


def allowed(hvd: Any, ten: Any, empty: Any) -> None:
    values, other = ten(), ten()
    doubled = {"op": hvd.Sum, "prescale_factor": 2.0}
    results = hvd.grouped_allreduce_([values[:5], values[5:], values[3:3], empty], **doubled)
    assert [len(result) for result in results] == [5, 5, 0, 0]
    assert values.tolist() == (2 * ten()).tolist()
    # Both are sent alone, and one result goes to what its own tensor was.
    first, second = hvd.grouped_allreduce([other, other], **doubled)
    assert first.tolist() == second.tolist() == (2 * ten()).tolist()
    hvd.grouped_allreduce([other, ten()], out=[other, None], **doubled)
    assert other.tolist() == (2 * ten()).tolist()
    # A model's state may have a tensor twice.
    hvd.grouped_broadcast_([other, other], 0)
    # Columns travel as copies.
    table = ten().reshape(5, 2)
    hvd.grouped_allreduce_([table[:, 0], table[:, 1]], **doubled)
    assert table.tolist() == (2 * ten()).reshape(5, 2).tolist()


def test_arrays() -> None:
    empty = np.zeros(0, "f4")
    check(farandole, lambda: np.arange(10, dtype="f4"), empty)
    allowed(farandole, lambda: np.arange(10, dtype="f4"), empty)


def test_tensors() -> None:
    torch = pytest.importorskip("torch")
    hvd = pytest.importorskip("farandole.torch")
    check(hvd, lambda: torch.arange(10.0), torch.zeros(0))
    allowed(hvd, lambda: torch.arange(10.0), torch.zeros(0))


def test_buffers() -> None:
    memory = bytearray(8)
    parts = [memory, memoryview(memory)[4:]]
    refused(lambda: farandole.grouped_allreduce_(parts, name="x"), 2, 1)
