"""The Python examples run from the installed package, alone and on two ranks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LAUNCHER = ("farandolerun", "-np", "2")


def run(*command: str, cwd: Path) -> str:
    result = subprocess.run(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    # The launcher begins each line with the rank that wrote it.
    return re.sub(r"^\[[^\]]*\] ?", "", result.stdout, flags=re.MULTILINE)


def test_numpy_statistics_do_not_depend_on_the_ranks(tmp_path: Path) -> None:
    script = str(EXAMPLES / "numpy/climate.py")
    alone = run(sys.executable, script, cwd=tmp_path)
    assert "JAN" in alone
    assert "warmest years: 1997" in alone
    together = run(*LAUNCHER, sys.executable, script, cwd=tmp_path)
    assert together == alone


def test_output_that_nobody_reads_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        result = subprocess.run(
            [sys.executable, str(EXAMPLES / "numpy/climate.py")],
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("launcher", [(), LAUNCHER], ids=["alone", "two ranks"])
def test_gpt_learns_and_stays_one_model(tmp_path: Path, launcher: tuple[str, ...]) -> None:
    pytest.importorskip("torch")
    script = str(EXAMPLES / "torch/train_gpt.py")
    output = run(*launcher, sys.executable, script, "--quick", cwd=tmp_path)
    losses = [float(x) for x in re.findall(r"validation loss \w+: ([\d.]+)", output)]
    assert len(losses) == 2
    assert losses[1] < losses[0] - 1
    assert re.search(r"step +\d+ +loss [\d.]+ +\d+ tokens/s +communicating +[\d.]+ % +ETA", output)
    digests = re.findall(r"parameters of rank \d+: (\w{64})", output)
    assert len(digests) == (2 if launcher else 1)
    assert len(set(digests)) == 1
    assert "all ranks hold the same parameters" in output
    assert "--- a sample\ndef " in output


@pytest.mark.timeout(600)
def test_gpt_is_reproducible(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    script = str(EXAMPLES / "torch/train_gpt.py")
    command = (*LAUNCHER, sys.executable, script, "--quick", "--steps", "5")
    first, second = (
        re.findall(r"parameters of rank 0: (\w{64})", run(*command, cwd=tmp_path)) for _ in range(2)
    )
    assert first == second
    assert len(first) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--steps", "0"], "--steps 0: more than 0 is wanted"),
        (["--width", "50"], "--width 50 is not a multiple of --heads 6"),
        (["--batch", "many"], "invalid int value: 'many'"),
    ],
)
def test_gpt_refuses_nonsense(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    pytest.importorskip("torch")
    result = subprocess.run(
        [sys.executable, str(EXAMPLES / "torch/train_gpt.py"), *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 2
    assert complaint in result.stderr


def test_gpt_explains_itself(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    text = run(sys.executable, str(EXAMPLES / "torch/train_gpt.py"), "--help", cwd=tmp_path)
    for flag in ("--seconds", "--steps", "--seed", "--batch", "--quick"):
        assert flag in text
