"""The quick starts of the README run as they are printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from installation import ROOT, Installation

README = (ROOT / "README.md").read_text()


def code_after(title: str, language: str) -> str:
    section = README[README.index(f"## Quick start: {title}") :]
    found = re.search(rf"```{language}\n(.*?)```", section, flags=re.DOTALL)
    assert found, title
    return found.group(1)


def test_numpy(installation: Installation, tmp_path: Path) -> None:
    script = tmp_path / "start.py"
    script.write_text(code_after("NumPy", "python"))
    output = installation.run("farandolerun", "-np", "2", "python", str(script))
    assert "[3. 3. 3. 3.] [1. 2. 2.]" in output


def test_c(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "train.c").write_text(code_after("C", "c"))
    commands = re.findall(r"^    ((?:cc|farandolerun) .*train.*)$", README, flags=re.MULTILINE)
    build, start = (c for c in commands if "train.py" not in c)
    output = installation.run("bash", "-euc", f"{build}\n{start}", cwd=tmp_path)
    assert "1 2 3" in output


def test_torch(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    script = tmp_path / "train.py"
    script.write_text(code_after("PyTorch", "python"))
    result = subprocess.run(
        ["farandolerun", "-np", "2", sys.executable, str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    loss = re.search(r"loss ([\d.]+)", result.stdout)
    assert loss
    assert float(loss.group(1)) < 2
