"""The long run, for some seconds; and what it judges by."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import re
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import churn
import numpy as np
import pytest
import survivors
from growth import MEBIBYTE, growth

import farandole as fdl

SOAK = Path(__file__).with_name("soak.py")
MULTIPROCESS = Path(__file__).parents[1] / "multiprocess"
PROGRAMS = MULTIPROCESS / "programs"
# Operations of all ranks, but for a barrier, which the programs call where they need one.
NO_RESULT = re.compile(r"barrier_async|(grouped_)?(send|recv)_async")


def samples(**slopes: float) -> list[dict[str, float]]:
    """One hour, a sample a minute; what is named grows by so much in that hour."""
    still = {"memory": 50.0 * MEBIBYTE, "mappings": 300.0, "descriptors": 20.0, "threads": 6.0}
    return [
        {"at": t * 60.0} | {what: v + slopes.get(what, 0) * t / 60 for what, v in still.items()}
        for t in range(61)
    ]


def test_what_stays_is_no_growth() -> None:
    assert growth(samples()).complaints() == []


@pytest.mark.parametrize(
    ("what", "more"),
    [
        ("memory", 2.5 * MEBIBYTE),
        ("mappings", 25.0),
        ("descriptors", 5.0),
        ("threads", 5.0),
    ],
)
def test_growth_is_told(what: str, more: float) -> None:
    (complaint,) = growth(samples(**{what: more})).complaints()
    assert what in complaint


@pytest.mark.timeout(150)
def test_some_seconds_of_soak() -> None:
    result = subprocess.run(
        [sys.executable, str(SOAK), "--minutes", "0.25", "--seed", "20"],
        capture_output=True,
        text=True,
        timeout=140,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.rstrip().endswith("0 wrong"), result.stdout
    marathons = re.findall(
        r"^marathon over (\w+), rank \d: (\d+) lives, (\d+) rec", result.stdout, re.M
    )
    assert [over for over, *_ in marathons] == ["shm"] * 2 + ["gloo"] * 2 + ["hierarchical"] * 3
    (fates,) = re.findall(r"^survivors: (.*)$", result.stdout, re.MULTILINE)
    lived = dict(one.split(" x ")[::-1] for one in fates.split(", "))
    assert set(lived) == set(survivors.FATES), fates


def test_a_few_samples_tell_nothing_and_are_wrong_of_a_long_run() -> None:
    assert growth(samples(threads=60.0)[:1]).complaints() == []
    with pytest.raises(ValueError, match="only 1 samples"):
        growth([samples()[0], samples()[-1]])


def test_what_lies_around_is_no_growth() -> None:
    noisy = samples()
    for number, sample in enumerate(noisy):
        sample["memory"] += number % 5 * 2 * MEBIBYTE
    assert growth(noisy).complaints() == []


def test_what_a_marathon_leaves_behind_is_told(tmp_path: Path) -> None:
    (tmp_path / "forgotten").touch()
    mark = f"FDL_TEST_MARK={uuid.uuid4().hex}"
    name, _, value = mark.partition("=")
    with subprocess.Popen(
        ["cat"],
        env={**os.environ, name: value},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    ) as left:
        assert left.stdin is not None and left.stdout is not None
        left.stdin.write(b"!")
        assert left.stdout.read(1) == b"!"  # from now on it can be found
        found = churn.left_behind(mark, str(tmp_path), 0.1)
        left.kill()
    assert found == [f"process {left.pid}", "file forgotten"]


@pytest.mark.parametrize(
    ("fate", "lost", "wrong"),
    [
        ("kill", {0: 1, 2: 1}, []),
        ("kill", {0: 1, 2: 0}, ["rank 2 blames rank 0, not 1"]),
        ("raise", {0: 1, 2: 0, 3: 2}, []),
        ("raise", {0: 2, 2: 0}, ["rank 0 blames rank 2, not 1", "rank 2 blames rank 0, not 1"]),
        ("exit", {0: 1, 2: None}, ["rank 2 reported nothing"]),
    ],
)
def test_only_after_one_that_leaves_others_may_be_named(
    fate: str,
    lost: dict[int, int | None],
    wrong: list[str],
) -> None:
    outcome = churn.Outcome(churn.Plan("", fate, 4, 1, 0, {}), code=1)
    outcome.reports = {rank: {"lost": who} for rank, who in lost.items() if who is not None}
    outcome.reports |= {rank: {} for rank, who in lost.items() if who is None}
    assert churn.judge_loss(outcome) == wrong


@pytest.mark.parametrize(
    ("leak", "what"),
    [
        ("kept.append(mmap.mmap(-1, 1 << 16))", "mappings"),
        ("kept.append(mmap.mmap(-1, 1 << 16)); kept[-1].write(b'x' * (1 << 16))", "memory"),
        ("kept.append(bytearray(b'x' * (1 << 16)))", "memory"),
        ("kept.append(os.memfd_create('leak'))", "descriptors"),
    ],
)
def test_usage_sees_whatever_leaks(leak: str, what: str) -> None:
    """mmap(-1) is shared memory: what segments are made of."""
    program = (
        f"import sys; sys.path.insert(0, {str(PROGRAMS)!r})\n"
        "import json, mmap, os\n"
        "from usage import usage\n"
        "kept = []\n"
        "before = usage()\n"
        f"for _ in range(40): {leak}\n"  # kernels count pages in bundles of each core
        "after = usage()\n"
        "print(json.dumps({what: after[what] - before[what] for what in after}))"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    more = json.loads(told.stdout)[what]
    assert more > (MEBIBYTE if what == "memory" else 10)


def life_with(fate: str, victim: int = 2) -> Any:
    lives = (survivors.life_of("some", number) for number in itertools.count())
    return next(life for life in lives if life.fate == fate and life.ranks[-1] == victim)


FINISHED = {"finished": True}
LOST = {"failed": "PeerLostError", "lost": 2, "text": "lost"}
MISSING = {"failed": "TimeoutError", "text": "did not form within 1 s: rank 2 is missing"}


@pytest.mark.parametrize(
    ("fate", "right", "wrong", "complaint"),
    [
        ("finish", FINISHED, LOST, "ended with PeerLostError: lost"),
        ("kill", LOST, FINISHED, "lost nobody, but rank 2 was lost: "),
        ("kill", LOST, LOST | {"lost": 1}, "blames rank 1, not 2: lost"),
        ("crash", LOST, MISSING, f"ended with TimeoutError: {MISSING['text']}"),
        ("absent", MISSING, LOST, "ended with PeerLostError: lost"),
        ("absent", MISSING, MISSING | {"text": "2"}, "does not name rank 2, which is missing: 2"),
        ("early", MISSING, LOST | {"lost": 0}, "blames rank 0, not 2: lost"),
        ("early", LOST, {"failed": "AbortedError", "text": "x"}, "ended with AbortedError: x"),
    ],
)
def test_a_survivor_that_was_told_wrongly_is_told(
    fate: str, right: Any, wrong: Any, complaint: str
) -> None:
    life = life_with(fate)
    assert survivors.judge(life, {0: right, 1: right}) == []
    (found,) = survivors.judge(life, {0: right, 1: wrong})
    assert found == f"{life}: process 1, {complaint}"


@pytest.mark.parametrize(
    ("fate", "right", "wrong"), [("freeze", LOST, FINISHED), ("leave", FINISHED, LOST)]
)
def test_a_victim_that_lives_is_judged(fate: str, right: Any, wrong: Any) -> None:
    life = life_with(fate)
    assert survivors.judge(life, {0: LOST, 2: right}) == []
    (found,) = survivors.judge(life, {0: LOST, 2: wrong})
    assert "process 2" in found


@pytest.mark.timeout(100)
@pytest.mark.parametrize(
    ("mistake", "complaint"),
    [("leak", "descriptors more at the end: +"), ("quit", "ended without a report")],
)
def test_what_a_survivor_does_wrong_is_told(mistake: str, complaint: str) -> None:
    run = survivors.Survivors(0, "1", lives=16, fates=("leave",), mistake=mistake)
    try:
        found = run.finish()
    finally:
        run.close()
    assert any(complaint in text for text in found), found
    assert run.lived == {"leave": 16 if mistake == "leak" else 1}


@pytest.fixture
def operations(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SOAK.parent / "programs"))
    return importlib.import_module("operations")


def test_every_collective_there_is_is_run(operations: ModuleType) -> None:
    there = {name for name in fdl.__all__ if name.endswith(("_async", "_async_"))}
    assert set(operations.KINDS) == {name for name in there if not NO_RESULT.fullmatch(name)}


def letters_of(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SOAK.parent / "programs"))
    return importlib.import_module("letters")


@pytest.mark.parametrize(
    ("rank", "got", "right"),
    [
        (2, [[2, 2], [2, 2]], True),
        (2, [[2, 2], [2, 3]], False),
        (2, [[2, 2]], False),
        (0, None, True),
        (0, [[2, 2], [2, 2]], False),
    ],
)
@pytest.mark.parametrize("grouped", [False, True])
def test_a_wrong_message_is_told(
    monkeypatch: pytest.MonkeyPatch, grouped: bool, rank: int, got: Any, right: bool
) -> None:
    letters = letters_of(monkeypatch)
    rows = (2, 2) if grouped else (2,)
    letter = letters.Letter("a", 0, 2, np.dtype("i4"), rows, grouped, None)
    one = None if got is None else np.array(got, "i4")
    monkeypatch.setattr(fdl, "synchronize", lambda handle: [one, one] if grouped else one)
    if right:
        letters.check(letter, rank, None)
    else:
        with pytest.raises(AssertionError):
            letters.check(letter, rank, None)


ALL = (0, 1, 2)


@pytest.mark.parametrize(
    ("kind", "op", "present", "right"),
    [
        ("allreduce_async", fdl.Sum, ALL, [6, 6]),
        ("allreduce_async", fdl.Average, ALL, [2, 2]),
        ("allreduce_async_", fdl.Average, (0, 1), [1.5, 1.5]),
        ("allreduce_async", fdl.Adasum, ALL, [2.25, 2.25]),
        ("allreduce_async", fdl.Adasum, (1, 2), [2.5, 2.5]),
        ("allreduce_async", fdl.Product, ALL, [6, 6]),
        ("allreduce_async", fdl.Min, (1, 2), [2, 2]),
        ("reduce_async", fdl.Max, ALL, [3, 3]),
        ("reducescatter_async", fdl.Sum, (0, 1), [3]),
        ("allgather_async", None, ALL, [1, 1, 2, 2, 2, 3, 3, 3, 3]),
        ("gather_async", None, (1, 2), [2, 2, 2, 3, 3, 3, 3]),
        ("broadcast_async_", None, ALL, [2, 2]),
        ("scatter_async", None, ALL, [2, 2, 2]),
        ("alltoall_async", None, ALL, [1, 1, 2, 2, 3, 3]),
    ],
)
def test_a_wrong_result_is_told(
    operations: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    op: Any,
    present: tuple[int, ...],
    right: list[float],
) -> None:
    """On rank 1 of three, the root, which brings two rows and more by its number."""
    operation = operations.Operation(
        name="x",
        kind=kind,
        dtype=np.dtype("float32"),
        rows=(2,),
        op=op,
        root=1,
        process_set=None,
        members=ALL,
        present=present,
        mistaken=-1,
    )
    column = np.array(right, "float32")
    result = np.stack([column, column], axis=1)
    monkeypatch.setattr(fdl, "synchronize", lambda handle: handle)
    operations.check(operation, 1, result)
    for wrong in (result + 1, result[1:], result.astype("float64")):
        with pytest.raises(AssertionError, match="not"):
            operations.check(operation, 1, wrong)


def test_a_result_where_none_belongs_and_a_mistake_that_passes_are_told(
    operations: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = operations.Operation(
        name="x",
        kind="grouped_gather_async",
        dtype=np.dtype("int32"),
        rows=(0, 0),
        op=None,
        root=0,
        process_set=None,
        members=(0, 1),
        present=(0, 1),
        mistaken=-1,
    )
    monkeypatch.setattr(fdl, "synchronize", lambda handle: handle)
    operations.check(operation, 1, [None, None])
    with pytest.raises(AssertionError, match="array"):
        operations.check(operation, 1, [None, np.zeros((1, 2), "int32")])
    with pytest.raises(AssertionError, match="1 results"):
        operations.check(operation, 1, [None])
    with pytest.raises(AssertionError, match="nobody noticed"):
        operations.check(replace(operation, mistaken=1), 1, [None, None])
