"""The figures of a benchmark are put together rightly."""

from __future__ import annotations

import table
import workloads


def test_mood_needs_both_probes() -> None:
    assert table.mood(50, 60, 100) == "near"
    assert table.mood(150, 200, 100) == "far"
    assert table.mood(50, 200, 100) == "mixed"
    assert table.mood(-1, 50, 100) == "unknown"


def test_moods_and_ranks_stay_apart() -> None:
    text = table.markdown(
        "near,ours,2,1024,10,0,0,0,5\nnear,ours,2,1024,30,0,0,0,5\nnear,ours,2,1024,20,0,0,0,5\n"
        "far,ours,2,1024,99,0,0,0,5\nnear,peer,2,1048576,1234.5,0,0,0,5\nnear,ours,4,4,1.234,0,0,0,5\n"
    )
    near = text[text.index("2 ranks, near") : text.index("4 ranks, near")]
    assert "| | 1 KiB | 1 MiB |" in near
    assert "| ours | 20.0 (3) |  |" in near
    assert "| peer |  | 1234 (1) |" in near
    assert "| ours | 99.0 (1) |" in text[text.index("2 ranks, far") : text.index("2 ranks, near")]
    assert "| ours | 1.23 (1) |" in text[text.index("4 ranks, near") :]


def test_workloads_have_the_models_sizes() -> None:
    counts = {name: shapes() for name, shapes in workloads.WORKLOADS.items()}
    assert (len(counts["resnet50"]), sum(counts["resnet50"])) == (161, 25_557_032)
    assert (len(counts["gpt2"]), sum(counts["gpt2"])) == (148, 124_439_808)
    assert counts["resnet50"][:2] == [1000, 2048000]
