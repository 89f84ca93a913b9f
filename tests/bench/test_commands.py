"""What is given to other harnesses shows plain lines and fails where the job fails."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

pytestmark = pytest.mark.timeout(60)


def measured(*code: str) -> subprocess.CompletedProcess[str]:
    import run

    program = [sys.executable, "-c", "; ".join(("import os", *code))]
    command = run.plain(["farandolerun", "-np", "{n}", *program]).replace("{n}", "2")
    return subprocess.run(
        shlex.split(command), capture_output=True, text=True, timeout=50, check=False
    )


def test_rank_0_is_shown_as_it_wrote() -> None:
    result = measured("print('x,2,4,1.0,2.0,0.5,3.0,5,' + os.environ['FARANDOLE_RANK'])")
    assert (result.returncode, result.stdout) == (0, "x,2,4,1.0,2.0,0.5,3.0,5,0\n")


def test_a_job_that_fails_is_a_failure() -> None:
    assert measured("raise SystemExit(int(os.environ['FARANDOLE_RANK']))").returncode == 1
