"""The tree keeps its rules, and each rule notices a tree that does not."""

from __future__ import annotations

from pathlib import Path

import architecture
import pytest
from test_tools import tracked

ROOT = Path(__file__).resolve().parents[2]


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_folders_are_the_layers_and_nothing_else() -> None:
    assert architecture.stray_folders(tracked()) == []
    assert architecture.stray_folders(["Makefile", "core/a.cc", "scripts/b.sh"]) == ["scripts"]


def test_includes_follow_the_layers() -> None:
    assert architecture.include_faults(ROOT) == []


def test_things_stand_where_they_may() -> None:
    assert architecture.placement_faults(ROOT) == []


def test_files_and_functions_are_short() -> None:
    assert architecture.size_faults(ROOT) == []


def test_cmake_names_every_source() -> None:
    assert architecture.cmake_faults(ROOT) == []


@pytest.mark.parametrize(
    ("name", "include"),
    [
        ("core/base/log.h", '"core/session.h"'),
        ("core/engine.h", '"controller/protocol/worker.h"'),
        ("core/engine.h", '"core/net/connection.h"'),
        ("core/engine.h", "<boost/asio.hpp>"),
        ("core/net/framing.h", '"core/session.h"'),
        ("controller/protocol/worker.cc", '"core/net/connection.h"'),
        ("controller/protocol/worker.cc", "<thread>"),
        ("controller/protocol/worker.cc", "<sys/socket.h>"),
        ("controller/protocol/worker.cc", "<random>"),
        ("controller/tcp/plane.cc", '"collectives/shm/segment.h"'),
        ("controller/tcp/plane.cc", "<boost/asio.hpp>"),
        ("collectives/shm/segment.cc", '"controller/tcp/plane.h"'),
        ("collectives/shm/segment.cc", '"gloo/context.h"'),
        ("collectives/gloo/pair.cc", '"core/net/connection.h"'),
        ("bindings/c/include/farandole/farandole.h", '"core/session.h"'),
        ("bindings/python/module.cc", '"core/session.h"'),
        ("bindings/c/farandole.cc", "<pybind11/pybind11.h>"),
        ("examples/c/train.c", '"core/session.h"'),
        ("core/engine.cc", '"engine.h"'),
    ],
)
def test_a_forbidden_include_is_found(tmp_path: Path, name: str, include: str) -> None:
    write(tmp_path, name, f"// A file.\n#include {include}\n")
    (fault,) = architecture.include_faults(tmp_path)
    assert fault.startswith(f"{name}:2: ")
    assert include.strip('<>"') in fault


@pytest.mark.parametrize(
    ("name", "include"),
    [
        ("core/base/log.h", "<spdlog/spdlog.h>"),
        ("core/engine.h", '"core/base/status.h"'),
        ("core/engine.h", '"core/ticket.h"'),
        ("core/net/framing.h", "<boost/asio.hpp>"),
        ("controller/protocol/worker.h", '"core/agreement.h"'),
        ("controller/tcp/plane.cc", '"core/net/connection.h"'),
        ("collectives/gloo/pair.cc", '"core/net/auth.h"'),
        ("collectives/gloo/pair.cc", '"gloo/context.h"'),
        ("bindings/session_factory.cc", '"collectives/registry.h"'),
        ("bindings/python/module.cc", '"farandole/farandole.h"'),
    ],
)
def test_an_allowed_include_passes(tmp_path: Path, name: str, include: str) -> None:
    write(tmp_path, name, f"#include {include}\n// #include <boost/asio.hpp> in a comment\n")
    assert architecture.include_faults(tmp_path) == []


@pytest.mark.parametrize(
    "line",
    [
        'auto v = std::getenv("X");',
        "for (char** e = environ; *e;) {",
        "boost::asio::post(f);",
        "usleep(10);",
        "__lsan_ignore_object(p);",
        '__attribute__((no_sanitize("undefined"))) int f();',
    ],
)
def test_a_misplaced_thing_is_found(tmp_path: Path, line: str) -> None:
    write(
        tmp_path,
        "core/lane.cc",
        f'// getenv() and usleep() are not called here\nlog("getenv(");\n{line}\n',
    )
    (fault,) = architecture.placement_faults(tmp_path)
    assert fault.startswith("core/lane.cc:3: ")


def test_a_long_file_and_a_long_function_are_found(tmp_path: Path) -> None:
    body = "  work();\n" * architecture.MAX_FUNCTION_LINES
    write(tmp_path, "core/a.cc", f"Status run(int x) {{\n{body}}}\n")
    write(tmp_path, "core/b.cc", f"class B {{\n  int f() const override {{\n{body}  }}\n}};\n")
    write(tmp_path, "core/c.cc", "int x;\n" * architecture.MAX_FILE_LINES)
    write(tmp_path, "core/d.cc", "namespace d {\n" + "int f() {\n  return 1;\n}\n" * 30 + "}\n")
    steps = "    work()\n" * (architecture.MAX_FUNCTION_LINES - 1)
    write(tmp_path, "tests/a.py", f"class A:\n  def f():\n{steps}    work()\n")
    write(tmp_path, "tests/b.py", f'def f():\n    """One\n    two."""\n{steps}')
    write(tmp_path, "docs/c.py", "x = 1\n" * architecture.MAX_FILE_LINES)
    faults = architecture.size_faults(tmp_path)
    found = [fault.split(":")[0] for fault in faults]
    assert found == ["core/a.cc", "core/b.cc", "core/c.cc", "docs/c.py", "tests/a.py"]


def test_an_unlisted_source_and_a_glob_are_found(tmp_path: Path) -> None:
    write(tmp_path, "core/CMakeLists.txt", "add_library(x a.cc) # b.cc\nfile(GLOB all *.cc)\n")
    write(tmp_path, "core/a.cc", "")
    write(tmp_path, "core/b.cc", "")
    faults = architecture.cmake_faults(tmp_path)
    assert any("GLOB" in fault for fault in faults)
    assert any(fault.startswith("core/b.cc") for fault in faults)
    assert not any(fault.startswith("core/a.cc") for fault in faults)
