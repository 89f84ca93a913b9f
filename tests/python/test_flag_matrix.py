"""Every flag of farandolerun with whatever could be wrong about it, and every wrong program.

Flags come from `farandolerun --help`: one that is not in the tables below fails a test.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from flag_mistakes import WRONG

pytestmark = pytest.mark.timeout(60)


class Answer(NamedTuple):
    code: int
    out: str
    err: str


def run(*arguments: str | bytes, **environment: str) -> Answer:
    result = subprocess.run(
        ["farandolerun", *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return Answer(result.returncode, result.stdout, result.stderr)


def refusal(message: str, code: int = 2) -> Answer:
    """One line on stderr, before anything has started."""
    return Answer(code, "", f"farandolerun: {message}\n")


CPUS = re.findall(r"Cpus_allowed_list:\t(.*)", Path("/proc/self/status").read_text())[0]


class Flag(NamedTuple):
    names: tuple[str, ...]
    takes_value: bool

    @property
    def long(self) -> str:
        return self.names[-1]


def flags() -> list[Flag]:
    found = []
    groups = run("--help").out.partition("Options:\n")[2].partition("\nExit code:")[0]
    for line in groups.splitlines():
        if not line.startswith("  "):
            assert not line or line.endswith(":")  # of a group
            continue
        match = re.match(r"  (-\S+)( [^ -]\S*)? {2,}(.*)", line)
        assert match, line
        also = re.findall(r"also written (-[-\w]+)", match[3])
        found.append(Flag((*also, *match[1].split(",")), bool(match[2])))
    return found


FLAGS = flags()
SPELLINGS = [(flag, name) for flag in FLAGS for name in flag.names]
# Values of flags that may stand without one are joined to them.
OPTIONAL = {"--help-env"}


def test_every_flag_that_takes_a_value_has_wrong_ones() -> None:
    assert {flag.long for flag in FLAGS if flag.takes_value} == set(WRONG)
    assert len(FLAGS) >= 10


@pytest.mark.parametrize("flag", WRONG)
def test_wrong_value(flag: str) -> None:
    before = [] if flag in ("--num-proc", "--help-env") else ["-np", "1"]
    for value, message in WRONG[flag].items():
        shown = message.format(flag="-np" if flag == "--num-proc" else flag)
        expected = refusal(shown, code=1 if flag == "--output-filename" else 2)
        assert run(*before, f"{flag}={value}", "true") == expected, value
        if flag not in OPTIONAL:
            assert run(*before, flag, value, "true") == expected, value


@pytest.mark.parametrize(("flag", "name"), SPELLINGS, ids=lambda x: x if type(x) is str else "")
def test_missing_empty_or_unwanted_value(flag: Flag, name: str) -> None:
    if flag.takes_value:
        assert run(f"{name}=", "true") == refusal(f"{name} needs a value")
        if flag.long not in OPTIONAL:
            assert run(name) == refusal(f"{name} needs a value")
            assert run(name, "", "true") == refusal(f"{name} needs a value")
    else:
        for value in ("", "1", "true"):
            assert run(f"{name}={value}", "true") == refusal(f"{name} takes no value")


RIGHT = {"--hosts": "localhost:1", "--help-env": "markdown"}


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.long)
def test_given_twice_in_whatever_spelling(flag: Flag) -> None:
    value = "=" + RIGHT.get(flag.long, "1") if flag.takes_value else ""
    for first in flag.names:
        for second in flag.names:
            given = run(first + value, second + value, "true")
            assert given == refusal(f"{second} is given twice")


def misspelt(name: str) -> Iterator[str]:
    yield name + name[-1]
    yield name.replace(name[-2], "", 1)
    yield name[:-2] + name[-1] + name[-2]
    yield name.upper()[:3] + name[3:]


LONG = [(flag, name) for flag, name in SPELLINGS if name.startswith("--") and name != "--np"]


@pytest.mark.parametrize(("flag", "name"), LONG, ids=lambda x: x if type(x) is str else "")
def test_misspelt_with_the_nearest(flag: Flag, name: str) -> None:
    known = {name for _, name in SPELLINGS}
    for wrong in set(misspelt(name)) - known:
        # Of two spellings of one flag either is near.
        proposals = [
            f"unknown flag {wrong}; did you mean {near}? (farandolerun --help lists all)"
            for near in flag.names
        ]
        assert run(wrong, "-np", "1", "true") in map(refusal, proposals)


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("--timelne", "--timeline-filename"),
        ("--timeline", "--timeline-filename"),
        ("--host", "--hosts"),
        ("--stall-check-warn", "--stall-check-warning-time-seconds"),
    ],
)
def test_cut_short_with_the_nearest(word: str, near: str) -> None:
    text = f"unknown flag {word}; did you mean {near}? (farandolerun --help lists all)"
    assert run(word, "-np", "1", "true") == refusal(text)


@pytest.mark.parametrize("word", ["-x", "-N", "-hv", "--x", "--frobnicate-everything", "-\x1b[2J"])
def test_unknown_without_a_near_one(word: str) -> None:
    shown = word.replace("\x1b", "\\x1b")
    expected = refusal(f"unknown flag {shown} (farandolerun --help lists all)")
    assert run("-np", "1", word, "true") == expected


CONFLICTS = {
    "no flag at all": (
        [],
        "-np is missing: how many ranks? As in farandolerun -np 2 PROGRAM",
    ),
    "no number of ranks": (
        ["--verbose", "true"],
        "-np is missing: how many ranks? As in farandolerun -np 2 PROGRAM",
    ),
    "ranks named behind the program": (
        ["./average", "-np", "2"],
        "-np is missing: the -np behind ./average is an argument of that program; flags of "
        "farandolerun stand before it, as in farandolerun -np 2 PROGRAM",
    ),
    "no program": (
        ["-np", "2"],
        "the program is missing: farandolerun -np N PROGRAM [ARGUMENTS...]",
    ),
    "no program after --": (
        ["-np", "2", "--"],
        "the program is missing: farandolerun -np N PROGRAM [ARGUMENTS...]",
    ),
    "colours": (
        ["-np", "1", "--color", "--no-color", "true"],
        "--color and --no-color contradict each other: give one of them",
    ),
    "stall checks": (
        ["-np", "1", "--no-stall-check", "--stall-check", "true"],
        "--no-stall-check and --stall-check contradict each other: give one of them",
    ),
    "marks": (
        ["-np", "1", "--timeline-mark-cycles", "--no-timeline-mark-cycles", "true"],
        "--no-timeline-mark-cycles and --timeline-mark-cycles contradict each other: give one of "
        "them",
    ),
    "interfaces": (
        ["-np", "1", "--network-interfaces", "a", "--network-interface", "b", "true"],
        "--network-interface is given twice",
    ),
    "no program of Python": (
        ["-np", "1", "--horovod", "./train.py"],
        '--horovod runs programs of Python, and "./train.py" is none; as in farandolerun '
        "--horovod -np 2 python train.py",
    ),
    "hosts": (
        ["-H", "localhost:1", "-hostfile", "x", "true"],
        "-H and -hostfile contradict each other: give one of them",
    ),
    "cores of threads and ranks": (
        ["-np", "3", "--thread-affinity", "0,0", "true"],
        "--thread-affinity (FARANDOLE_THREAD_AFFINITY): 0,0 names 2 cores, but 3 ranks "
        "run on this host; name one for each",
    ),
    "cores of threads and the machine": (
        ["-np", "1", "--thread-affinity", "1048575", "true"],
        "--thread-affinity (FARANDOLE_THREAD_AFFINITY): core 1048575 of local rank 0 is not among "
        f"CPUs {CPUS}, which may be used here; name one of these",
    ),
    "ranks and slots": (
        ["-np", "3", "-H", "localhost:2", "true"],
        "-np 3 is more than the 2 slots of the hosts; give them more slots or start at most 2 "
        "ranks",
    ),
}


@pytest.mark.parametrize("case", CONFLICTS)
def test_what_does_not_fit_together(case: str) -> None:
    arguments, message = CONFLICTS[case]
    assert run(*arguments) == refusal(message)


def test_an_interface_that_no_other_host_reaches() -> None:
    answer = run("-np", "1", "--network-interface", "lo", "true")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(
        "farandolerun: --network-interface: host localhost has none of the interfaces named, or "
        "none that other hosts reach (no loopback is); it has "
    )


def test_start_timeout_against_its_variable() -> None:
    """The flag goes before the variable, which is then not even read."""
    assert run(
        "-np", "1", "--start-timeout", "7", "printenv", "FARANDOLE_START_TIMEOUT",
        FARANDOLE_START_TIMEOUT="soon",
    ) == Answer(0, "[0] 7\n", "")  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything that cannot be executed, and why."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain").write_text("echo\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "executable").write_text("#!/bin/sh\n")
    (tmp_path / "executable").chmod(0o755)
    os.mkfifo(tmp_path / "fifo", 0o755)
    return tmp_path


PROGRAMS = {
    "": (127, "the program's name is empty"),
    "no-such-program": (127, "program no-such-program was not found in PATH"),
    "executable": (
        127,
        "program executable was not found in PATH; there is a file of that name here: did you "
        "mean ./executable?",
    ),
    "./missing": (127, "program ./missing was not found"),
    "./plain/inside": (127, "program ./plain/inside was not found"),
    "./dangling": (127, "program ./dangling was not found"),
    "./loop": (126, "cannot start ./loop: Too many levels of symbolic links"),
    "./" + "n" * 300: (126, f"cannot start ./{'n' * 254}…: File name too long"),
    "./plain": (
        126,
        "cannot start ./plain: it is not executable (chmod +x would make it so)",
    ),
    "./folder": (126, "cannot start ./folder: it is a folder"),
    "./folder/": (126, "cannot start ./folder/: it is a folder"),
    "./fifo": (126, "cannot start ./fifo: it is not a file"),
    "/dev/null": (126, "cannot start /dev/null: it is not a file"),
    "./\udcff\x1b[2J": (127, "program ./\\xff\\x1b[2J was not found"),
    "-": (127, "program - was not found in PATH"),
}


@pytest.mark.parametrize("program", PROGRAMS, ids=ascii)
@pytest.mark.usefixtures("folder")
def test_program_that_cannot_be_started(program: str) -> None:
    code, message = PROGRAMS[program]
    assert run("-np", "2", program) == refusal(message, code)
    assert run("-np", "2", "--verbose", "--", program, "-np") == refusal(message, code)


def test_program_in_a_path_that_holds_nothing_executable(folder: Path) -> None:
    name = "plain"
    launcher = subprocess.check_output(["sh", "-c", "command -v farandolerun"], text=True).strip()
    result = subprocess.run(
        [launcher, "-np", "1", name],
        env={**os.environ, "PATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    expected = f"cannot start {folder}/plain: it is not executable (chmod +x would make it so)"
    assert Answer(*(result.returncode, result.stdout, result.stderr)) == refusal(expected, 126)
