"""Exit codes that the launcher and a rank have in common, and how the last line tells whose it is,
as docs/launcher.md says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from jobs import environment

pytestmark = pytest.mark.timeout(60)

ARGPARSE = "import argparse; argparse.ArgumentParser().parse_args(['--never'])"
OF_RANK = (
    r"farandolerun: rank [01] \(host \S+, pid \d+\) failed with exit code {}(?: \(.*\))? after "
)


def last_line(code: int, *arguments: str) -> str:
    """What a job of that exit code says last."""
    given = subprocess.run(
        ["farandolerun", *arguments],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert given.returncode == code, given.stderr
    return given.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ((sys.executable, "/no/script.py"), 2),
        ((sys.executable, "-c", ARGPARSE), 2),
        *((("sh", "-c", f"exit {code}"), code) for code in (1, 2, 124, 126, 127, 141, 255)),
    ],
)
def test_a_rank_s_own_names_the_rank(program: tuple[str, ...], code: int) -> None:
    assert re.match(OF_RANK.format(code), last_line(code, "-np", "2", *program))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ("-np", "x", "true"),
            2,
            '-np "x" is not valid: a whole number from 1 to 65536 is wanted',
        ),
        (
            ("-np", "2", "--no-such", "true"),
            2,
            "unknown flag --no-such (farandolerun --help lists all)",
        ),
        (("-np", "2", "nosuchprogram"), 127, "program nosuchprogram was not found in PATH"),
    ],
)
def test_the_launcher_s_own_says_what_is_wrong(
    arguments: tuple[str, ...], code: int, said: str
) -> None:
    assert last_line(code, *arguments) == f"farandolerun: {said}"


def test_the_launcher_s_own_of_a_running_job(tmp_path: Path) -> None:
    assert re.fullmatch(
        r"farandolerun: the job was ended after 0\.90 s \(--timeout\); ranks that were running: 0",
        last_line(124, "-np", "1", "--timeout", "0.9", "sleep", "40"),
    )
    script = tmp_path / "script"
    script.write_text("true\n")
    assert last_line(126, "-np", "2", str(script)) == (
        f"farandolerun: cannot start {script}: it is not executable (chmod +x would make it so)"
    )
