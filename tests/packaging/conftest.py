"""The repaired wheel in an empty environment, as a user has it after `pip install`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from installation import ROOT, Installation


def copy_numpy(to: Path) -> None:
    """NumPy as this environment has it, so that no test needs the network."""
    source = Path(sysconfig.get_path("platlib"))
    for item in source.glob("numpy*"):
        if item.is_dir():
            shutil.copytree(item, to / item.name, symlinks=True)


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    tag = "cp{}{}".format(*sys.version_info)
    wheels = sorted((ROOT / "dist").glob(f"farandole-*-{tag}-*.whl"))
    assert len(wheels) == 1, f"one wheel for {tag} is wanted in dist (make wheel): {wheels}"
    folder = tmp_path_factory.mktemp("wheel") / "environment"
    venv.create(folder, with_pip=True, symlinks=True)
    made = Installation(folder, wheels[0])
    pip = [str(folder / "bin/python"), "-m", "pip", "--disable-pip-version-check", "install"]
    environment = {**os.environ, "PYTHONPATH": ""}
    subprocess.run(
        [*pip, "--quiet", "--no-index", "--no-deps", str(wheels[0])],
        check=True,
        timeout=120,
        env=environment,
    )
    copy_numpy(made.packages)
    return made
