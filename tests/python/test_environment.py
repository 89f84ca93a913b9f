"""What init says of an environment that means something else than what comes of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.timeout(120)


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-c", program, **environment)


ALONE = "import farandole; farandole.init(); print(farandole.size())"


@pytest.mark.parametrize("prefix", ["OMPI_COMM_WORLD_", "HOROVOD_", "WORLD_"])
def test_processes_of_another_launcher_are_told_that_each_is_alone(prefix: str) -> None:
    size, rank = f"{prefix}SIZE", "RANK" if prefix == "WORLD_" else f"{prefix}RANK"
    results = [python(ALONE, **{size: "2", rank: str(number)}) for number in range(2)]
    assert [result.stdout for result in results] == ["1\n", "1\n"]
    assert results[0].stderr.count("\n") == 1
    assert f"{size}=2, but FARANDOLE_SIZE is not set" in results[0].stderr
    assert "farandolerun -np 2" in results[0].stderr
    assert results[1].stderr == ""
    silent = python(ALONE, **{size: "2", rank: "0"}, FARANDOLE_LOG_LEVEL="error")
    assert (silent.stdout, silent.stderr) == ("1\n", "")


def test_variables_of_horovod_without_effect_are_named_by_init() -> None:
    given = {"HOROVOD_CYCLE_TIME": "3", "HOROVOD_FOO": "1", "HOROVOD_CACHE_CAPACITY": "64"}
    lines = python(ALONE, **given).stderr.splitlines()
    assert [line.partition(" warning: ")[2].partition(":")[0] for line in lines] == [
        "variable HOROVOD_CYCLE_TIME has no effect",
        "variable HOROVOD_FOO means nothing here",
    ]


def test_unknown_variables_are_named_by_a_start_that_fails() -> None:
    """Whatever its rank: they may be why."""
    failed = python(ALONE, FARANDOLE_RANK="1", FARANDOLE_SISE="2")
    assert "FARANDOLE_RANK=1 is not below FARANDOLE_SIZE=1" in failed.stderr
    text = "warning: unknown variable FARANDOLE_SISE is ignored; did you mean FARANDOLE_SIZE?\n"
    assert failed.stderr.count(text) == 1


def test_variables_without_effect_are_named_once_in_a_job() -> None:
    """By rank 0, and not by the launcher, which cannot know what the program sets by itself."""
    names = ("HOROVOD_FOO", "FARANDOLE_FOO")
    program = f"import os; os.environ.update(dict.fromkeys({names!r}, '1')); {ALONE}"
    command = ("farandolerun", "-np", "2", sys.executable, "-c", program)
    result = run(*command, HOROVOD_CYCLE_TIME="3", FARANDOLE_FUSION_BITES="1")
    assert sorted(result.stdout.splitlines()) == ["[0] 2", "[1] 2"]
    said = re.findall(
        r"^\[(\d)\] .*\[(.*)\] warning: (.*variable \w+)", result.stderr, re.MULTILINE
    )
    assert sorted(said) == [
        ("0", "farandole rank 0", "unknown variable FARANDOLE_FOO"),
        ("0", "farandole rank 0", "unknown variable FARANDOLE_FUSION_BITES"),
        ("0", "farandole rank 0", "variable HOROVOD_CYCLE_TIME"),
        ("0", "farandole rank 0", "variable HOROVOD_FOO"),
    ]
    assert result.stderr.count("\n") == len(said)
