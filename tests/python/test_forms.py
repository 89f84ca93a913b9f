"""Every form of every collective on one rank: what `out` and `timeout` do, and automatic names."""

from __future__ import annotations

import pickle
from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import farandole as fdl
from farandole import _native, _session

try:
    import torch

    import farandole.torch as hvd
except ImportError:  # this Python has none
    torch = hvd = None  # type: ignore[assignment]

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("session")]

MODULES = [fdl] if hvd is None else [fdl, hvd]
KINDS = {
    "allreduce": _native.ALLREDUCE,
    "allgather": _native.ALLGATHER,
    "broadcast": _native.BROADCAST,
    "alltoall": _native.ALLTOALL,
    "reducescatter": _native.REDUCESCATTER,
    "reduce": _native.REDUCE,
    "gather": _native.GATHER,
    "scatter": _native.SCATTER,
}
ROOTED = ("broadcast", "reduce", "gather", "scatter")


def forms() -> list[Any]:
    """The functions of all kinds, single and grouped."""
    others = ("object", "sparse", "parameters", "optimizer_state")
    found = []
    for module in MODULES:
        for name in module.__all__:
            kind = next((k for k in KINDS if k in name), None)
            if kind and not any(other in name for other in others):
                found.append(pytest.param(module, name, id=f"{module.__name__}.{name}"))
    return found


def tensor(module: ModuleType) -> Any:
    return np.ones((2, 3), "f4") if module is fdl else torch.ones(2, 3)


def arguments(module: ModuleType, name: str, given: Any) -> dict[str, Any]:
    grouped = name.startswith("grouped")
    kind = next(k for k in KINDS if k in name)
    root = {"root_rank": 0} if kind in ROOTED else {}
    return {("tensors" if grouped else "tensor"): [given] if grouped else given, **root}


def test_every_kind_has_every_form() -> None:
    for module in MODULES:
        names = set(module.__all__)
        for kind in KINDS:
            assert {f"{g}{kind}{a}" for g in ("", "grouped_") for a in ("", "_async")} <= names
        for kind in ("allreduce", "broadcast", "reduce"):
            assert {f"{g}{kind}{a}_" for g in ("", "grouped_") for a in ("", "_async")} <= names


@pytest.mark.parametrize(("module", "name"), forms())
def test_a_call_that_raises_takes_one_automatic_name(module: ModuleType, name: str) -> None:
    """Whatever is wrong: another rank's call may be right, and the next ones have to match."""
    kind = KINDS[next(k for k in KINDS if k in name)]

    def count() -> int:
        return int(_session.current().next_name(kind).rpartition(".")[2])

    good = arguments(module, name, tensor(module))
    wrong: list[dict[str, Any]] = [arguments(module, name, None)]
    if "reduce" in name:
        wrong += [{**good, "op": 9}, {**good, "prescale_factor": "2"}]
    if not name.endswith("_"):
        wrong.append({**good, "out": 3})
    if not name.endswith(("_async", "_async_")):
        wrong.append({**good, "timeout": -1})
    if "root_rank" in good:
        wrong.append({**good, "root_rank": 5})
    call = getattr(module, name)
    for mistake in wrong:
        before = count()
        with pytest.raises(fdl.FarandoleError):
            call(**mistake)
        assert count() == before + 2, mistake
    before = count()
    with pytest.raises(fdl.InvalidArgumentError):
        call(**good, process_set=fdl.ProcessSet([7]))
    assert count() == before + 1, "what names no process set counts in none"


@pytest.mark.parametrize(("module", "name"), [p for p in forms() if not p.values[1].endswith("_")])
def test_results_go_where_the_caller_wants_them(module: ModuleType, name: str) -> None:
    given = tensor(module)
    for view in (False, True):
        out = given * 0
        if view:
            out = (np.zeros((2, 3, 2), "f4") if module is fdl else torch.zeros(2, 3, 2))[:, :, 0]
        grouped = name.startswith("grouped")
        made = getattr(module, name)(
            **arguments(module, name, given), out=[out] if grouped else out
        )
        made = made.wait(30) if isinstance(made, fdl.Handle) else made
        assert (made[0] if grouped else made) is out
        assert out.tolist() == given.tolist()


def test_an_operation_outlives_the_callers_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = iter([False])
    wait = fdl.Handle._wait

    def impatient(self: Any, left: Any, limit: Any) -> Any:
        if next(waits, True):
            return wait(self, left, limit)
        raise fdl.PendingError("not yet")

    monkeypatch.setattr(fdl.Handle, "_wait", impatient)
    with pytest.raises(fdl.PendingError) as caught:
        fdl.allgather(np.arange(3), timeout=0.0)
    assert caught.value.handle is not None
    assert caught.value.handle.wait(30).tolist() == [0, 1, 2]
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.handle) == ("not yet", None)


def test_small_floats_travel_where_nothing_is_computed() -> None:
    array = np.array([1, 2, -4], ml_dtypes.float8_e5m2)
    for result in (
        fdl.allgather(array),
        fdl.broadcast(array, 0),
        fdl.broadcast_(array, 0),
        *fdl.grouped_alltoall([array]),
        fdl.allgather(array, out=np.zeros_like(array)),
        fdl.broadcast(array, 0, out=np.zeros_like(array)),
    ):
        assert result.dtype == array.dtype
        assert result.astype("f4").tolist() == [1, 2, -4]
    with pytest.raises(ValueError, match="float8_e5m2 is not supported"):
        fdl.allreduce(array)


def test_groups_with_an_entry_for_each() -> None:
    arrays = [np.arange(2.0), np.arange(3)]
    out = np.zeros(3, "i8")
    first, second = fdl.grouped_alltoall(arrays, [[2], None], out=[None, out])
    assert first[0].tolist() == [0, 1]
    assert first[1].tolist() == [2]
    assert second is out
    with pytest.raises(ValueError, match="a sequence of 2, one for each tensor, is wanted"):
        fdl.grouped_alltoall(arrays, [[2]])
    assert fdl.grouped_broadcast([], 0) == []


def test_splits_that_do_not_fit_leave_nothing_of_a_group_in_flight() -> None:
    for module in MODULES:
        good = tensor(module)
        for wrong in ([3], [1, 1], [-2]):
            before = fdl.counters()["submitted"]
            with pytest.raises(ValueError, match=r'"g \[2/2\]": .*splits'):
                module.grouped_alltoall([good, good], [[2], wrong], "g")
            assert fdl.counters()["submitted"] == before
        assert len(module.grouped_alltoall([good, good], [[2], None], "g")) == 2
    first, second = fdl.grouped_alltoall([b"ab", b"c"], [[2], None], "g")
    assert (first[0].tobytes(), second.tobytes()) == (b"ab", b"c")


def test_a_warning_names_the_line_of_the_program() -> None:
    for module in MODULES:
        for call in (module.allreduce, module.allreduce_, module.allreduce_async):
            with pytest.warns(DeprecationWarning, match="op=") as caught:
                call(tensor(module), True)
            assert [w.filename for w in caught] == [__file__]


def test_functions_are_found_by_those_who_pickle_them() -> None:
    for module in MODULES:
        call = pickle.loads(pickle.dumps(module.allgather))
        assert call(tensor(module)).tolist() == [[1] * 3] * 2
