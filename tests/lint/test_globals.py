"""No mutable state outlives a session: the object code defines no global or static variable of ours
but those named here, each with its reason."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

BUILD = Path(__file__).resolve().parents[2] / "build"
ALLOWED = {
    "farandole::config_table()::rows": "built once, read only",
    "farandole::launch::flag_table()::rows": "likewise",
    "farandole::launch::(anonymous namespace)::groups()::all": "likewise",
    "farandole::launch::(anonymous namespace)::sections()::all": "likewise",
    "farandole::(anonymous namespace)::state()::instance": "the log of the process",
    "farandole::(anonymous namespace)::fork_registry": "of the process: what its children close",
    "farandole::(anonymous namespace)::thread_label": "whose lines a thread writes",
    "farandole::(anonymous namespace)::thread_roll": "what it starts meanwhile",
    "farandole::capi::(anonymous namespace)::documentation()::rows": "built once, read only",
    "farandole::capi::(anonymous namespace)::last_error": "per thread, of fdl_last_error()",
    "farandole::capi::(anonymous namespace)::first_buckets": "what callers hold by pointer",
    "farandole::capi::(anonymous namespace)::first_table": "likewise",
    "farandole::failpoint::(anonymous namespace)::order()::order": "of a process under test",
    "farandole::failpoint::(anonymous namespace)::obeys(char const*, bool)::passages": "likewise",
}
# Value, seven flags, section, size, name.
SYMBOL = re.compile(r"^[0-9a-f]+ (.{7}) (\.\S+)\s+[0-9a-f]+\s+(?:\.hidden )?(.*)$")
WRITABLE = re.compile(r"\.(data|bss|tdata|tbss)(?!\.rel)")


def writable_variables(table: str) -> set[str]:
    """Names of the project's writable variables in what `objdump --syms --demangle` prints."""
    found = set()
    for line in table.splitlines():
        match = SYMBOL.match(line)
        if not match or "d" in match.group(1) or not WRITABLE.match(match.group(2)):
            continue
        name = match.group(3)
        if "farandole::" in name and not name.startswith(("guard variable", "typeinfo", "vtable")):
            found.add(name)
    return found


def strangers(objects: list[Path]) -> dict[str, list[str]]:
    """Variables in each of `objects` that nobody has allowed."""
    found = {}
    for file in objects:
        table = subprocess.run(
            ["objdump", "--syms", "--demangle", str(file)],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        names = writable_variables(table) - ALLOWED.keys()
        if names:
            found[file.name] = sorted(names)
    return found


def test_no_library_has_mutable_globals() -> None:
    tests = BUILD / "dev/tests"
    libraries = [p for p in BUILD.glob("dev/**/libfarandole*.a") if not p.is_relative_to(tests)]
    assert libraries, "nothing is built: make build"
    assert strangers(libraries) == {}


def test_nor_has_the_c_interface() -> None:
    objects = list(BUILD.glob("dev/bindings/**/*.o"))
    names = {path.name for path in objects}
    assert {"error.cc.o", "library.cc.o", "session_factory.cc.o"} <= names, "make build"
    assert strangers(objects) == {}


def test_nor_has_the_extension_module() -> None:
    objects = list(BUILD.glob("wheel/*/bindings/python/**/*.o"))
    if not objects:
        pytest.skip("the module is built with the wheel: make wheel")
    assert strangers(objects) == {}


@pytest.mark.parametrize(
    "code",
    [
        "namespace farandole { int counter = 1; }",
        "namespace farandole { namespace { long last; } long next() { return ++last; } }",
        "namespace farandole { int next() { static int n = 0; return ++n; } }",
        "namespace farandole { thread_local int depth; int up() { return ++depth; } }",
    ],
)
def test_a_global_is_noticed(tmp_path: Path, code: str) -> None:
    source = tmp_path / "a.cc"
    source.write_text(code)
    subprocess.run(["g++", "-std=c++20", "-c", "a.cc"], cwd=tmp_path, check=True, timeout=60)
    table = subprocess.run(
        ["objdump", "--syms", "--demangle", "a.o"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert len(writable_variables(table)) == 1


def test_a_constant_is_none() -> None:
    line = "0000000000000000 l     O .rodata\t0000000000000004 farandole::kLimit"
    assert writable_variables(line) == set()
