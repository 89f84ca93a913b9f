"""Timelines of several ranks: each by itself, and merged on one clock."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jobs import launch
from timelines import Timeline, read

from farandole.timeline import merge

pytestmark = pytest.mark.timeout(120)


def record(folder: Path, ranks: int, **settings: Any) -> list[Path]:
    launch(ranks, "timeline.py", str(folder / "trace.{rank}.json"), **settings)
    return [folder / f"trace.{rank}.json" for rank in range(ranks)]


def check_order(timeline: Timeline, ranks: int, slack: float) -> None:
    """No rank has a tensor agreed upon before another has submitted it; in microseconds."""
    for number in range(3):
        negotiated = [
            [s for s in timeline.spans[rank, f"tensor/{number}"] if s.name == "NEGOTIATE_ALLREDUCE"]
            for rank in range(ranks)
        ]
        assert {len(spans) for spans in negotiated} == {4 * ranks}
        for spans in zip(*negotiated, strict=True):
            assert len({span.args["round"] for span in spans}) == 1
            assert max(s.begin for s in spans) <= min(s.end for s in spans) + slack


def check_ready(own: Timeline, rank: int, ranks: int) -> None:
    """Rank 0 has seen each rank announce each tensor before it was agreed upon; other ranks see
    nothing of that."""
    ready = [mark for mark in own.marks if mark["name"] == "RANK_READY"]
    if rank != 0:
        assert ready == []
        return
    spans = [s for s in own.spans[0, "tensor/1"] if s.name == "NEGOTIATE_ALLREDUCE"]
    track = own.tracks[0, "tensor/1"]
    ticks = [(m["ts"], m["args"]["rank"]) for m in ready if m["tid"] == track]
    assert len(ticks) == ranks * len(spans)
    for step, span in enumerate(spans):
        these = ticks[step * ranks : (step + 1) * ranks]
        assert {tick[1] for tick in these} == set(range(ranks))
        assert max(these)[0] <= span.end


@pytest.mark.parametrize(("ranks", "communicator"), [(2, "shm"), (4, "gloo")])
def test_merged(tmp_path: Path, ranks: int, communicator: str) -> None:
    paths = record(tmp_path, ranks, FARANDOLE_COMMUNICATOR=communicator)
    for rank, path in enumerate(paths):
        own = read(path)
        assert set(own.about) == {rank}
        check_ready(own, rank, ranks)
        moved = {f"{communicator.upper()}_ALLREDUCE", "NEGOTIATE_ALLREDUCE", "ALLREDUCE", "QUEUE"}
        assert moved <= set(own.names(rank, "tensor/1"))
        assert (rank, "before") not in own.spans
    merged = tmp_path / "merged.json"
    alignments = merge(paths, merged)
    assert {a.by for a in alignments.values()} == {"clock"}
    timeline = read(merged)
    assert set(timeline.about) == set(range(ranks))
    check_order(timeline, ranks, slack=0)
    # Cycles are rounds of agreement: each rank has had the same.
    rounds = [
        [m["args"]["round"] for m in timeline.marks if m["name"] == "CYCLE_START" and m["pid"] == r]
        for r in range(ranks)
    ]
    assert all(set(rounds[0]) & set(other) for other in rounds)
    assert all(own == sorted(own) for own in rounds)


def shifted(path: Path, by: float) -> None:
    """As if it were of another machine, whose clock differs by so many microseconds."""
    events = json.loads(path.read_text())
    for event in events:
        if "ts" in event:
            event["ts"] += by
        if event.get("name") == "farandole_timeline":
            event["args"]["clock"] = f"another {by}"
    path.write_text(json.dumps(events))


def test_clocks_of_other_machines_are_found_out(tmp_path: Path) -> None:
    paths = record(tmp_path, 3)
    shifted(paths[1], 5e6)
    shifted(paths[2], -7e9)
    merged = tmp_path / "merged.json"
    alignments = merge([paths[2], paths[0], paths[1]], merged)
    assert list(alignments) == [0, 1, 2]
    for rank, truth in ((1, -5e6), (2, 7e9)):
        offset, error, by = alignments[rank]
        assert by == "causality"
        assert error is not None and 0 <= error < 20_000
        assert abs(offset - truth) <= error + 0.01
    check_order(read(merged), 3, slack=max(a.error or 0 for a in alignments.values()))


def test_what_shares_nothing_is_left_as_it_is(tmp_path: Path) -> None:
    paths = record(tmp_path, 2)
    events = json.loads(paths[1].read_text())
    paths[1].write_text(json.dumps([e for e in events if e["ph"] == "M"]))
    shifted(paths[1], 1)
    assert merge(paths, tmp_path / "m.json")[1] == (0.0, None, "nothing")


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "farandole.timeline", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_from_the_command_line(tmp_path: Path) -> None:
    paths = record(tmp_path, 2)
    said = command(tmp_path / "m.json", *paths)
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout == "rank 0: the same clock\nrank 1: the same clock\n"
    assert set(read(tmp_path / "m.json").about) == {0, 1}
    for number, text in enumerate(['{"traceEvents": []}', "[1]", "{}", "[", "\x00"]):
        other = tmp_path / f"other{number}.json"
        other.write_text(text)
        said = command(tmp_path / "m.json", other)
        assert (said.returncode, said.stdout) == (1, "")
        assert said.stderr == f"farandole.timeline: {other} is no timeline of Farandole\n"
    twice, merged = paths[0], tmp_path / "m.json"
    for words, why in {
        (twice, twice): f"{twice} and {twice} are both of rank 0; give one of each rank",
        (merged,): f"{merged} is to be read and written; name the merged file first, and another "
        "one",
    }.items():
        said = command(tmp_path / "m.json", *words)
        assert (said.returncode, said.stdout) == (1, "")
        assert said.stderr == f"farandole.timeline: {why}\n"
    before = paths[0].read_bytes()  # as where the merged file's name is forgotten
    said = command(*paths)
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr == (
        f"farandole.timeline: {paths[0]} is what a rank recorded, and would be lost; name the "
        f"merged file first: python -m farandole.timeline merged.json {paths[0]} ...\n"
    )
    assert paths[0].read_bytes() == before


def test_one_path_for_all_is_that_of_rank_0(tmp_path: Path) -> None:
    launch(2, "timeline.py", str(tmp_path / "trace.json"))
    assert [path.name for path in tmp_path.iterdir()] == ["trace.json"]
    assert set(read(tmp_path / "trace.json").about) == {0}
