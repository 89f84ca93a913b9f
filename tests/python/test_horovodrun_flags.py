"""The flags of horovodrun: each acts, or is always so, or is refused with a reason, and
docs/horovod.md says which."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import farandole as fdl

pytestmark = pytest.mark.timeout(60)

HERE = Path(__file__).resolve()
DOCS = HERE.parents[2] / "docs"
HOROVODRUN = json.loads((HERE.parent / "horovod_facts.json").read_text())["flags"]

SUM = (
    "import farandole as f, numpy as n; f.init(); s = f.allreduce(n.ones(1), op=f.Sum)\n"
    "if f.rank() == 0: print(s[0])"
)


def table() -> dict[str, str]:
    """What the page says of each flag of horovodrun: acts, always so, refused."""
    rows = (
        (DOCS / "horovod.md").read_text().partition("| of `horovodrun` |")[2].partition("\n\n")[0]
    )
    said: dict[str, str] = {}
    for row in rows.splitlines()[2:]:
        flags, verdict = row.strip("| ").split(" | ")[:2]
        for flag in re.findall(r"`(-[-\w]+)`", flags):
            assert flag not in said, flag
            said[flag] = verdict
    return said


def launcher(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["farandolerun", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def shown() -> dict[str, str]:
    """What --help says of each flag."""
    groups = launcher("--help").stdout.partition("Options:\n")[2].partition("\nExit code:")[0]
    own, _, always = groups.partition("Of horovodrun, and always so here:\n")
    flag = r"(?<![\w-])-[-\w]+"
    return {
        **dict.fromkeys(re.findall(flag, own), "acts"),
        **dict.fromkeys(re.findall(flag, always), "always so"),
    }


def test_the_page_names_every_flag_once() -> None:
    said = table()
    assert set(said) == set(HOROVODRUN)
    assert set(said.values()) == {"acts", "always so", "refused"}


def test_what_is_there_is_shown() -> None:
    there = shown()
    said = {flag: verdict for flag, verdict in table().items() if verdict != "refused"}
    assert {flag: there.get(flag) for flag in said} == said


def test_what_is_not_there_is_refused_with_a_reason() -> None:
    there = shown()
    for flag in (flag for flag, verdict in table().items() if verdict == "refused"):
        for words in ([flag], [f"{flag}=1"], [flag, "1"]):
            given = launcher("-np", "1", *words, "true")
            assert (given.returncode, given.stdout) == (2, ""), words
            assert re.fullmatch(rf"farandolerun: {flag}: .+; .+\n", given.stderr), given.stderr
        assert flag not in there


def test_what_the_build_can_do_is_what_the_functions_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """The launcher is no Python, and says of frameworks what they need."""
    shown = launcher("--check-build")
    assert (shown.returncode, shown.stderr) == (0, "")
    parts = re.split(r"^Available (.*):$", shown.stdout, flags=re.MULTILINE)
    can = {
        part: {text: mark == "X" for mark, text in re.findall(r"\[(.)\] (.*)", lines)}
        for part, lines in zip(parts[1::2], parts[2::2], strict=True)
    }
    assert parts[0].strip() == f"Farandole v{fdl.__version__}:"
    assert can["Frameworks"] == {
        "TensorFlow": False,
        "PyTorch, where torch is installed": True,
        "MXNet": False,
        "NumPy, where numpy is installed": True,
    }
    served = [
        package
        for package in ("tensorflow", "torch", "mxnet")
        if importlib.util.find_spec(f"farandole.{package}")
    ]
    assert served == ["torch"]
    assert can["Controllers"] == {
        "MPI": fdl.mpi_built(),
        "TCP (where Horovod says Gloo)": fdl.gloo_enabled(),
    }
    assert can["Tensor Operations"] == {
        "NCCL": bool(fdl.nccl_built()),
        "DDL": fdl.ddl_built(),
        "CCL": fdl.ccl_built(),
        "MPI": fdl.mpi_built(),
        "Gloo": fdl.gloo_built(),
        "shared memory": True,
    }
    monkeypatch.setenv("FARANDOLE_COMMUNICATOR", "shm")
    assert launcher("-np", "2", sys.executable, "-c", SUM).stdout.splitlines() == ["[0] 2.0"]


def test_what_acts_reaches_the_ranks() -> None:
    flags = ["--fusion-threshold-mb", "2", "--cache-capacity", "7", "--log-level", "ERROR"]
    flags += ["--no-stall-check", "--stall-check-warning-time-seconds", "7"]
    flags += ["--stall-check-shutdown-time-seconds", "70"]
    flags += ["--timeline-filename", "a{rank}.json", "--timeline-mark-cycles"]
    flags += ["--no-hierarchical-allreduce", "--no-hierarchical-allgather"]
    flags += ["--gloo-timeout-seconds", "9", "--start-timeout", "8", "--gloo", "--disable-cache"]
    given = launcher("-np", "1", *flags, "env")
    assert given.returncode == 0, given.stderr
    found = dict(line[4:].split("=", 1) for line in given.stdout.splitlines() if "=" in line)
    for name, value in {
        "FUSION_BYTES": str(2 << 20),
        "COMMUNICATOR": "flat",
        "CACHE_CAPACITY": "7",
        "LOG_LEVEL": "ERROR",
        "DATA_TIMEOUT": "9",
        "START_TIMEOUT": "8",
        "STALL_CHECK_DISABLE": "1",
        "STALL_CHECK_TIME": "7",
        "STALL_SHUTDOWN_TIME": "70",
        "TIMELINE": "a{rank}.json",
        "TIMELINE_MARK_CYCLES": "1",
    }.items():
        assert found[f"FARANDOLE_{name}"] == value


def test_time_stands_before_each_line() -> None:
    given = launcher("-np", "1", "-prefix-timestamp", "echo", "x")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \[0\] x\n", given.stdout)


def test_output_goes_to_files_as_well(tmp_path: Path) -> None:
    script = 'echo "out $FARANDOLE_RANK"; echo err >&2; printf end'
    given = launcher("-np", "1", "--output-filename", str(tmp_path / "a/b"), "sh", "-c", script)
    assert (given.returncode, given.stdout, given.stderr) == (
        0,
        "[0] out 0\n[0] end\n",
        "[0] err\n",
    )
    assert (tmp_path / "a/b/rank.0/stdout").read_text() == "out 0\nend"
    assert (tmp_path / "a/b/rank.0/stderr").read_text() == "err\n"
    launcher("-np", "11", "--output-filename", str(tmp_path), "true")
    names = sorted(path.name for path in tmp_path.glob("rank.*"))
    assert names == [f"rank.{rank:02}" for rank in range(11)]


def test_files_may_have_as_many_bytes_as_the_page_says(tmp_path: Path) -> None:
    (most,) = re.findall(
        r"A hostfile may have (\d+) MiB, a configuration file (\d+) KiB",
        (DOCS / "launcher.md").read_text(),
    )
    for flag, begin, limit in (
        ("--hostfile", "localhost slots=1\n", int(most[0]) << 20),
        ("--config-file", "params:\n", int(most[1]) << 10),
    ):
        file = tmp_path / flag.lstrip("-")
        file.write_text(begin + "#" * (limit - len(begin) - 1) + "\n")
        given = launcher("-np", "1", flag, str(file), "true")
        assert given.returncode == 0, given.stderr
        file.write_text(file.read_text() + "\n")
        given = launcher("-np", "1", flag, str(file), "true")
        assert given.returncode == 2
        assert f"{file} has more than {limit} bytes; a smaller file is wanted" in given.stderr


def test_hosts_and_flags_come_from_files(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("# here\nlocalhost slots=2\n")
    config = tmp_path / "job.yaml"
    config.write_text("params:\n  cache_capacity: 5\nlogging:\n  level: info\n")
    flags = ["-hostfile", str(hosts), "--config-file", str(config), "--log-level", "debug"]
    script = "echo $FARANDOLE_SIZE $FARANDOLE_CACHE_CAPACITY $FARANDOLE_LOG_LEVEL"
    given = launcher(*flags, "sh", "-c", script)
    assert sorted(given.stdout.splitlines()) == ["[0] 2 5 debug", "[1] 2 5 debug"], given.stderr
    config.write_text("params:\n  cycle_time_ms: 5\n")
    given = launcher(*flags, "true")
    assert given.returncode == 2
    assert given.stderr.startswith(f"farandolerun: {config}:2: cycle_time_ms: there is no cycle")
    config.write_text("params:\n  hierarchical_allreduce: true\n  hierarchical_allgather: false\n")
    given = launcher(*flags, "true")
    assert given.returncode == 2
    assert given.stderr == (
        f"farandolerun: {config}:2: hierarchical_allreduce and {config}:3: hierarchical_allgather "
        "contradict each other: give one of them\n"
    )
