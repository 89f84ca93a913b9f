"""The guide's programs do what it says of them, started as it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import timelines

pytestmark = pytest.mark.timeout(200)

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/guide.md").read_text()
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", GUIDE, re.DOTALL | re.MULTILINE))
PROGRAMS = dict(
    re.findall(r"Save this as `(\S+)`:\n\n```python\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
)


def started(title: str, folder: Path) -> tuple[str, str]:
    """Saves the section's program and types its commands; what came of it, after a look that what
    is promised is there."""
    pytest.importorskip("torch")
    text = SECTIONS[title]
    (name,) = re.findall(r"Save this as `(\S+)`:", text)
    (folder / name).write_text(PROGRAMS[name])
    commands = re.findall(r"^    (\S.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.M)
    assert any(command.startswith("farandolerun -np ") for command in commands)
    stdout = stderr = ""
    for command in commands:
        words = [sys.executable if word == "python" else word for word in command.split()]
        result = subprocess.run(
            words,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        stdout, stderr = stdout + result.stdout, stderr + result.stderr
    promised = re.findall(r"`(\[\d\] .*?)`(?=[ ,.;])", text)
    assert promised
    assert [line for line in promised if line not in stdout.splitlines()] == []
    return stdout, stderr


def test_every_program_has_a_name() -> None:
    assert len(PROGRAMS) == GUIDE.count("```python") == GUIDE.count("```") / 2 == 3


def test_process_sets(tmp_path: Path) -> None:
    stdout, stderr = started("Process sets", tmp_path)
    assert (len(stdout.splitlines()), stderr) == (6, "")
    assert {"[1] the mean of [1, 3] is 2", "[0] rank 0 is number 0 of [0, 3]"} <= set(
        stdout.splitlines()
    )


def test_joins(tmp_path: Path) -> None:
    stdout, stderr = started("Joins", tmp_path)
    assert sorted(stdout.splitlines()) == [
        "[0] 40 steps here, the last on rank 1; weight 3.0",
        "[1] 60 steps here, the last on rank 1; weight 3.0",
    ]
    assert stderr == ""


def test_observing(tmp_path: Path) -> None:
    _, stderr = started("Observing", tmp_path)
    (warning,) = re.findall(r"`(allreduce \"loss\" has waited .*?)`", SECTIONS["Observing"])
    what, who = warning.split(" 1 s: ")  # where the program is slow it is a later look's
    assert re.search(re.escape(what) + r" \d+ s: " + re.escape(who), stderr), stderr
    assert 'watch.py", line 12, in <module>' in stderr
    assert "time.sleep(5)  # a checkpoint, say" in stderr
    merged = timelines.read(tmp_path / "merged.json")
    assert {(rank, name) for rank in (0, 1) for name in ("gradient", "loss")} <= set(merged.spans)
    first, second = (merged.spans[rank, "loss"][0] for rank in (0, 1))
    assert first.name == second.name == "NEGOTIATE_ALLREDUCE"
    assert first.end - first.begin > max(1_000_000, second.end - second.begin)


@pytest.mark.parametrize("check", [("check",), ("format", "--check")])
def test_the_programs_are_as_the_linter_wants_them(tmp_path: Path, check: tuple[str, ...]) -> None:
    pytest.importorskip("ruff")
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "ruff", *check, "--no-cache"]
    command += ["--config", str(ROOT / "pyproject.toml"), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
