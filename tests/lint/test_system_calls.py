"""A failpoint stands at each call of the operating system, and the rule notices where none does."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import system_calls

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/dev"
MODULE = "bindings/python/module"


def objects() -> dict[str, Path]:
    """Object files by the names of their sources."""
    found = {}
    for folder in system_calls.FOLDERS:
        for path in sorted((BUILD / folder).rglob("*.cc.o")):
            name = re.sub(r"CMakeFiles/[^/]+\.dir/", "", path.relative_to(BUILD).as_posix())
            found[name.removesuffix(".o")] = path
    return {name: path for name, path in found.items() if (ROOT / name).exists()}


def faults(name: str, source: str, names: set[str]) -> list[str]:
    return system_calls.bare_calls(name, source, names) + system_calls.hidden_calls(
        name, source, names
    )


def test_a_failpoint_stands_at_each_call() -> None:
    found = objects()
    assert {"core/net/heartbeat.cc", "controller/launch/spawn.cc"} <= found.keys(), "make build"
    wrong = []
    for name, path in found.items():
        names = system_calls.imported([path])
        wrong += [f"{name}: is {n} a call?" for n in sorted(system_calls.unknown(names))]
        wrong += faults(name, (ROOT / name).read_text(), names)
    assert wrong == []


def sources(*folders: str) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob("*.cc")
    }


def test_every_source_has_been_looked_at() -> None:
    all_but_module = sources(*system_calls.FOLDERS) - sources(MODULE)
    assert all_but_module - objects().keys() == set(), "make build"


def of_module(path: Path) -> set[str]:
    """The sources of the module from which an object was made: one, or those of a unit."""
    unit = path.with_suffix("")
    text = unit.read_text() if unit.suffix == ".cxx" else f'"{MODULE}/{unit.name}"'
    return {f"{MODULE}/{name}" for name in re.findall(rf'{MODULE}/(\w+\.cc)"', text)}


def test_the_extension_module_calls_nothing() -> None:
    """It has no failpoints, where the wheel's own build is the one that there is."""
    found = {
        path: made
        for folder in (BUILD, *sorted(BUILD.parent.glob("wheel/*")))
        for path in (folder / "bindings/python").rglob("*.o")
        if (made := of_module(path))
    }
    if not found:
        pytest.skip("the module is built with the wheel: make wheel")
    assert sources(MODULE) - set().union(*found.values()) == set(), "make wheel"
    for path, made in found.items():
        # As a release calls what it checks.
        names = {re.sub("^__(.+)_chk$", r"\1", n) for n in system_calls.imported([path])}
        assert names & system_calls.WATCHED == set(), made


def test_exceptions_are_of_use() -> None:
    assert system_calls.idle_exceptions(ROOT) == []


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("  const int fd = open(path, O_RDONLY);", "open"),
        ("  return ::send(fd, data, size, 0) > 0;", "send"),
        ("  if (setsockopt(fd, a, b, &on, sizeof on) != 0)", "setsockopt"),
        ("  (void)::ioctl(fd, SIOCOUTQ, &bytes);", "ioctl"),
        ("  UniqueFd fd(socket(family, SOCK_STREAM, 0));", "socket"),
        ("  return a && connect(fd, to, size) == 0;", "connect"),
        ('  FARANDOLE_FAIL_CALL("a.open", open(path, 0)); read(fd, data, size);', "read"),
        ('  FARANDOLE_FAIL_CALL("a.read", 0);\n\n\n\n  read(fd, data, size);', "read"),
    ],
)
def test_a_bare_call_is_found(line: str, call: str) -> None:
    source = f"// open() is called below\nint f() {{\n{line}\n}}\n"
    (fault,) = system_calls.bare_calls("core/a.cc", source, {"open", "read", call})
    assert f"{call} has no failpoint" in fault


@pytest.mark.parametrize(
    "line",
    [
        '  UniqueFd fd(FARANDOLE_FAIL_CALL(\n      "a.open", open(path, O_RDONLY)));',
        '  return FARANDOLE_FAIL_CALL("a.open", 0) != 0\n ? -1\n : ::open(path);',
        "  file.open(path);\n  file->open(path);\n  Reader::open(path);",
        "  bool open(const char* path);\n  Result<int> open(int);",
        '  log("open(");  // open(path)',
    ],
)
def test_what_is_covered_or_no_call_passes(line: str) -> None:
    assert system_calls.bare_calls("core/a.cc", f"{line}\n", {"open"}) == []


def test_a_call_that_the_text_hides_is_found(tmp_path: Path) -> None:
    source = tmp_path / "a.cc"
    source.write_text(
        "#include <fcntl.h>\n#include <sys/inotify.h>\n"
        "int f(const char* path) { const auto call = ::open; return call(path, O_RDONLY); }\n"
        "int g() { return inotify_init1(0); }\n"
    )
    subprocess.run(["g++", "-std=c++20", "-c", "a.cc"], cwd=tmp_path, check=True, timeout=60)
    names = system_calls.imported([tmp_path / "a.o"])
    assert system_calls.unknown(names) == {"inotify_init1"}
    assert faults("core/a.cc", source.read_text(), names) == ["core/a.cc: calls open, unseen"]


@pytest.mark.parametrize(
    "line", ["std::thread t([] {});", "thread_ = std::thread(run);", "auto r = std::async(run);"]
)
def test_a_thread_from_elsewhere_is_found(line: str) -> None:
    (fault,) = system_calls.bare_calls("core/a.cc", line + "\n", set())
    assert fault == "core/a.cc:1: threads are started by core/base/thread.cc alone"
