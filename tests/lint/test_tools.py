"""Formatters, linters and the type checker find nothing."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# mypy takes scripts of one name in several folders only one folder at a time.
TYPED = (
    "bindings/python/farandole",
    ".ci",
    "examples/numpy",
    "examples/torch",
    "tests/bench",
    "tests/chaos",
    "tests/examples",
    "tests/failpoints",
    "tests/fuzz",
    "tests/hosts",
    "tests/lint",
    "tests/multiprocess",
    "tests/packaging",
    "tests/python",
    "tests/soak",
)


def tracked(*patterns: str) -> list[str]:
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listing.stdout.splitlines() if (ROOT / name).is_file()]


def complaints(command: list[str]) -> str:
    result = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    return "" if result.returncode == 0 else result.stdout + result.stderr


def test_cpp_is_formatted() -> None:
    files = tracked("*.h", "*.hpp", "*.cc", "*.c")
    assert files
    program = shutil.which("clang-format")
    assert program, "clang-format is not installed"
    assert not complaints([program, "--dry-run", "-Werror", *files])


def test_python_is_formatted() -> None:
    assert not complaints([sys.executable, "-m", "ruff", "format", "--check", "."])


def test_ruff_finds_nothing() -> None:
    assert not complaints([sys.executable, "-m", "ruff", "check", "."])


def needs_torch(folder: Path) -> bool:
    """Whether its types are known only where torch is."""
    pattern = re.compile(r"^\s*(?:import|from) torch\b", re.MULTILINE)
    return any(pattern.search(path.read_text()) for path in folder.rglob("*.py"))


@pytest.mark.parametrize("folder", TYPED)
def test_types_are_right(folder: str) -> None:
    if needs_torch(ROOT / folder) and importlib.util.find_spec("torch") is None:
        pytest.skip("no torch for this Python")
    assert not complaints([sys.executable, "-m", "mypy", folder])


def test_shell_scripts_parse() -> None:
    files = [*tracked("*.sh"), ".ci/run"]
    for name in files:
        assert not complaints(["bash", "-n", name])
        assert "set -euo pipefail" in (ROOT / name).read_text(), name
