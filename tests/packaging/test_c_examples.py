"""The C and C++ examples build against the installed wheel, as their README says, and learn."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from installation import ROOT, Installation

TABLE = str(ROOT / "examples/data/sea_temperature.csv")
COLUMNS = ("DEC", "SEP", "OCT", "NOV")
Builder = Callable[[Installation, str, Path], Path]
LANGUAGES = {
    "c": ("cc", "-std=c11", "train.c", "-lm"),
    "cpp": ("c++", "-std=c++17", "train.cc", ""),
}


def build_with_cmake(installation: Installation, language: str, folder: Path) -> Path:
    prefix = installation.run("python", "-m", "farandole", "--cmake-dir").strip()
    source = str(folder)
    installation.run(
        "cmake", "-S", source, "-B", f"{source}/build", f"-DCMAKE_PREFIX_PATH={prefix}"
    )
    installation.run("cmake", "--build", f"{source}/build", timeout=120)
    return folder / "build/train"


def build_with_pkg_config(installation: Installation, language: str, folder: Path) -> Path:
    compiler, standard, source, library = LANGUAGES[language]
    command = (
        'export PKG_CONFIG_PATH="$(python -m farandole --pkgconfig-dir)"; '
        f"{compiler} {standard} -Wall -Wextra -Werror -pedantic {source} -o train "
        f"$(pkg-config --cflags --libs farandole) {library}"
    )
    installation.run("bash", "-euc", command, cwd=folder, timeout=120)
    return folder / "train"


@pytest.fixture(params=[build_with_cmake, build_with_pkg_config], ids=["cmake", "pkg-config"])
def builder(request: pytest.FixtureRequest) -> Builder:
    build: Builder = request.param
    return build


def result_of(output: str) -> tuple[float, float]:
    found = re.search(r"held out: ([\d.]+), of the mean alone: ([\d.]+)", output)
    assert found, output
    return float(found.group(1)), float(found.group(2))


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_builds_and_learns(
    installation: Installation, builder: Builder, language: str, tmp_path: Path
) -> None:
    folder = tmp_path / language
    shutil.copytree(ROOT / "examples" / language, folder)
    program = builder(installation, language, folder)
    alone = installation.run(str(program), TABLE, *COLUMNS)
    error, error_of_mean = result_of(alone)
    assert error < error_of_mean / 2
    together = installation.run("farandolerun", "-np", "2", str(program), TABLE, *COLUMNS)
    # The rows are shared out differently, so the sums round differently; nothing else changes.
    assert result_of(together) == pytest.approx((error, error_of_mean), abs=2e-4)
    model = re.compile(r"DEC = .*")
    assert model.search(together).group() == model.search(alone).group()  # type: ignore[union-attr]
