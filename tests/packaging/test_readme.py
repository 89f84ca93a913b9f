"""The README's commands and programs, typed as they are printed by somebody who has nothing else:
the system's own tools, and a terminal that knows no environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from installation import ROOT

pytestmark = pytest.mark.timeout(200)

README = (ROOT / "README.md").read_text()
ENTER = "cd ~/quick-start && . v/bin/activate"


def section(title: str) -> str:
    """What stands below a heading, up to the next one."""
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", README, flags=re.DOTALL | re.MULTILINE)
    return str(found)


def commands(text: str) -> list[str]:
    return re.findall(
        r"^    (\S.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE
    )


def files(text: str) -> dict[str, str]:
    """What the reader is asked to save, and under which name."""
    found = re.findall(
        r"^Save this as `(\S+)`:\n\n```\w+\n(.*?)^```", text, re.DOTALL | re.MULTILINE
    )
    assert len(found) == text.count("```") / 2, "a program has no name"
    return dict(found)


def promised(text: str) -> list[str]:
    """Lines of output that the text announces."""
    return re.findall(r"it prints `(.*?)`", text)


@dataclass(frozen=True)
class Terminal:
    """A shell in the copy of the repository, with the system's programs and the chosen interpreter
    as python3."""

    home: Path
    clone: Path
    tools: Path
    wheels: Path

    @property
    def started(self) -> Path:
        """Where the quick starts are typed."""
        return self.home / "quick-start"

    def type(self, *lines: str, timeout: float = 120) -> str:
        environment = {
            "HOME": str(self.home),
            "PATH": f"{self.tools}:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            # No test needs the network: what would come from an index lies here.
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        result = subprocess.run(
            ["bash", "-c", "set -euo pipefail\n" + "\n".join(lines)],
            cwd=self.clone,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert result.returncode == 0, f"{lines}: {result.stdout}{result.stderr}"
        return result.stdout

    def save(self, programs: dict[str, str]) -> None:
        for name, text in programs.items():
            (self.started / name).write_text(text)

    def has(self, name: str, body: str) -> None:
        """Puts a program before those of the system."""
        (self.tools / name).write_text(f"#!/bin/sh\nexec {body}\n")
        (self.tools / name).chmod(0o755)


def pack(name: str, to: Path) -> None:
    """A wheel of the package as this environment has it."""
    source = Path(sysconfig.get_path("platlib"))
    (info,) = source.glob(f"{name}-*.dist-info")
    tag = re.findall(r"^Tag: (\S+)$", (info / "WHEEL").read_text(), re.MULTILINE)[0]
    stem = info.name.removesuffix(".dist-info")
    with zipfile.ZipFile(to / f"{stem}-{tag}.whl", "w") as wheel:
        for folder in sorted(source.glob(f"{name}*")):
            for path in sorted(folder.rglob("*")):
                if path.is_file() and path.suffix != ".pyc":
                    wheel.write(path, path.relative_to(source).as_posix())


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """After the commands of "Installing", with the wheel that `make test` has made."""
    made = Terminal(*(tmp_path_factory.mktemp(n) for n in ("home", "clone", "tools", "index")))
    interpreter = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    made.has("python3", f'"{interpreter}" "$@"')
    stamp = "build/stamps/wheel-cp{}{}".format(*sys.version_info)
    options = f'--no-print-directory -C "{ROOT}" -o build/stamps/packages -o {stamp}'
    made.has("make", f'/usr/bin/make {options} "$@"')
    for name in ("cloudpickle", "numpy"):
        pack(name, made.wheels)
    made.type(
        "if command -v farandolerun; then exit 1; fi",
        *commands(section("Installing")),
    )
    assert f"`{ENTER}`" in section("Installing")
    return made


def quick_start(terminal: Terminal, title: str) -> str:
    text = section(f"Quick start: {title}")
    terminal.save(files(text))
    typed = [line for line in commands(text) if not line.startswith("pip install torch")]
    assert any(line.startswith("farandolerun -np 2 ") for line in typed)
    output = terminal.type(ENTER, *typed)
    for line in promised(text):
        assert line in output.splitlines()
    # What lies in the repository is the business of its linters.
    assert list(terminal.clone.iterdir()) == []
    return output


def test_numpy(terminal: Terminal) -> None:
    assert promised(section("Quick start: NumPy"))
    quick_start(terminal, "NumPy")


def test_c(terminal: Terminal) -> None:
    assert promised(section("Quick start: C"))
    quick_start(terminal, "C")


def test_torch(terminal: Terminal) -> None:
    """With this environment's torch instead of a download."""
    torch = pytest.importorskip("torch")
    assert any(c.startswith("pip install torch") for c in commands(section("Quick start: PyTorch")))
    version = "python{}.{}".format(*sys.version_info)
    packages = terminal.started / "v/lib" / version / "site-packages"
    (packages / "torch_of_the_tests.pth").write_text(f"{Path(torch.__file__).parents[1]}\n")
    loss = re.search(r"^\[0\] loss ([\d.]+)$", quick_start(terminal, "PyTorch"), re.MULTILINE)
    assert loss
    assert float(loss.group(1)) < 2


@pytest.mark.parametrize("check", [("check",), ("format", "--check")])
def test_the_programs_are_as_the_linter_wants_them(tmp_path: Path, check: tuple[str, ...]) -> None:
    pytest.importorskip("ruff")
    programs = {n: text for n, text in files(README).items() if n.endswith(".py")}
    assert set(programs) == {"train.py", "sums.py"}
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "ruff", *check, "--no-cache"]
    command += ["--config", str(ROOT / "pyproject.toml"), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_two_commands_are_targets() -> None:
    typed = [line.split("#")[0].strip() for line in commands(section("Two commands"))]
    assert typed == ["make demo", "make test"]
