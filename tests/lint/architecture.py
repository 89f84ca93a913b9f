"""The rules of the tree, checked on its text: who may include whom, where things may stand, how
long files and functions may be. Every rule takes a root folder, so that the tests can try it on a
tree that breaks it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCE_SUFFIXES = {".h", ".hpp", ".cc", ".c"}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 70
# Functions that are one long table of data, not of steps.
TABLES = {
    ("core/base/config_table.cc", "config_table()"),
    ("controller/launch/flag_table.cc", "own_flags()"),
}


@dataclass(frozen=True)
class Layer:
    """What files below a folder may include: of the project, of packages, and never `banned`."""

    folder: str
    project: tuple[str, ...]
    packages: tuple[str, ...] = ()
    banned: tuple[str, ...] = ()


# The most specific folder that holds a file gives its rule. A project entry that ends in '/' is a
# whole folder, another one a single header; "core" alone stands for the files directly in core.
LAYERS = (
    Layer("core/base", ("core/base/",), ("fmt/", "sanitizer/", "spdlog/")),
    Layer("core", ("core/base/", "core"), ("fmt/",)),
    Layer(
        "core/net", ("core/base/", "core/net/", "core/event_loop.h"), ("boost/", "openssl/", "fmt/")
    ),
    Layer(
        "controller/protocol",
        ("core/base/", "core", "controller/protocol/"),
        ("flatbuffers/", "fmt/"),
        # Pure: what happens depends on the input and on the time it is given, on nothing else.
        banned=(
            "arpa/",
            "condition_variable",
            "filesystem",
            "fstream",
            "future",
            "mutex",
            "netdb.h",
            "netinet/",
            "poll.h",
            "pthread.h",
            "random",
            "stop_token",
            "sys/",
            "thread",
            "unistd.h",
        ),
    ),
    Layer("controller", ("core/", "controller/"), ("fmt/",)),
    Layer("controller/launch", ("core/", "controller/"), ("fmt/", "CLI/", "hwloc.h", "yaml-cpp/")),
    Layer("collectives", ("core/base/", "core", "collectives/"), ("fmt/",)),
    Layer("collectives/cpu", ("core/base/", "core", "collectives/"), ("fmt/", "hwy/")),
    Layer(
        "collectives/gloo",
        ("core/base/", "core", "core/net/auth.h", "collectives/"),
        ("fmt/", "gloo/"),
    ),
    Layer("collectives/hierarchical", ("core/base/", "core", "collectives/"), ("fmt/",)),
    Layer(
        "bindings", ("core/", "controller/", "collectives/", "bindings/", "farandole/"), ("fmt/",)
    ),
    Layer("bindings/c/include", ("farandole/",)),
    Layer(
        "bindings/python",
        ("bindings/python/", "core/base/hardened.h", "farandole/"),
        ("pybind11/", "Python.h"),
    ),
    Layer("examples", ("farandole/",)),
)

# What may be written in one place only: pattern, the places, why.
ONLY_IN = (
    (
        r"\b(secure_)?getenv\s*\(",
        # A failpoint's order is no setting: a release knows none.
        ("core/base/config.cc", "core/base/failpoint.cc", "examples/", "tests/"),
        "settings are read by core/base/config.cc alone",
    ),
    (
        r"\benviron\b",
        ("core/base/config.cc", "controller/launch/main.cc", "tests/"),
        "the environment is read by core/base/config.cc alone",
    ),
    (r"boost[/:]+asio", ("core/net/", "tests/net/"), "Asio stays in core/net"),
    (
        r"\b(__lsan_\w+|no_sanitize\w*|__asan_(un)?poison\w*|AnnotateIgnore\w*)",
        ("core/base/abandon.h",),
        "no sanitizer looks away but where core/base/abandon.h says why",
    ),
    (
        r"\b(usleep|(clock_)?nanosleep|sleep_for|sleep_until)\s*\(|(::|\b)sleep\(\d",
        ("tests/",),
        "nothing waits by sleeping",
    ),
)


# The folders of the tree; those that hold sources are the layers, with their tests and examples.
FOLDERS = {"core", "collectives", "bindings", "controller", "tests", "examples", "docs"}
TOOL_FOLDERS = {"cmake", ".ci"}


def stray_folders(names: Iterable[str]) -> list[str]:
    """Folders at the top of the tree that have no business there."""
    found = {name.split("/")[0] for name in names if "/" in name}
    return sorted(found - FOLDERS - TOOL_FOLDERS)


def sources(root: Path, *folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in SOURCE_SUFFIXES and path.is_file():
                yield path


def without_comments(text: str) -> str:
    """The text with comments and string literals blanked; lines keep their numbers."""
    pattern = re.compile(
        r'R"(?P<d>[^(\s]*)\(.*?\)(?P=d)"|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"'
        r"|'(?:\\.|[^'\\\n])'",
        re.DOTALL,
    )

    def blank(match: re.Match[str]) -> str:
        line_start = text.rfind("\n", 0, match.start()) + 1
        if text[line_start : match.start()].lstrip().startswith("#include"):
            return match.group()
        return re.sub(r"[^\n]", " ", match.group())

    return pattern.sub(blank, text)


def layer_of(name: str) -> Layer | None:
    holding = [layer for layer in LAYERS if name.startswith(layer.folder + "/")]
    return max(holding, key=lambda layer: len(layer.folder), default=None)


def allows_project(layer: Layer, header: str) -> bool:
    for entry in layer.project:
        if entry.endswith("/") and header.startswith(entry):
            return True
        if header == entry or ("." not in entry and header.rpartition("/")[0] == entry):
            return True
    return False


def include_faults(root: Path) -> list[str]:
    """Includes that their folder may not make."""
    top = ("core/", "controller/", "collectives/", "bindings/", "farandole/", "tests/", "examples/")
    faults = []
    for path in sources(root, "core", "controller", "collectives", "bindings", "examples"):
        name = path.relative_to(root).as_posix()
        layer = layer_of(name)
        assert layer is not None, f"{name}: no layer has this folder"
        for number, line in enumerate(without_comments(path.read_text()).splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if not match:
                continue
            header = match.group(2)
            if header.startswith(top):
                allowed = allows_project(layer, header)
            elif header.endswith("_generated.h"):
                allowed = "flatbuffers/" in layer.packages
            elif header.startswith(layer.banned):
                allowed = False
            elif match.group(1) == '"' and "/" not in header:
                faults.append(
                    f'{name}:{number}: "{header}": includes start at the root of the tree'
                )
                continue
            else:
                allowed = is_system(header) or header.startswith(layer.packages)
            if not allowed:
                faults.append(f"{name}:{number}: {layer.folder} may not include {header}")
    return faults


def is_system(header: str) -> bool:
    """C++ standard headers have no suffix and no slash; POSIX and Linux ones are named here."""
    if "/" not in header:
        return "." not in header or header in C_HEADERS
    return header.startswith(("sys/", "arpa/", "net/", "netinet/", "linux/"))


C_HEADERS = {
    "assert.h",
    "dirent.h",
    "dlfcn.h",
    "errno.h",
    "fcntl.h",
    "float.h",
    "ifaddrs.h",
    "immintrin.h",
    "inttypes.h",
    "limits.h",
    "link.h",
    "math.h",
    "netdb.h",
    "poll.h",
    "pthread.h",
    "pty.h",
    "sched.h",
    "signal.h",
    "spawn.h",
    "stdbool.h",
    "stddef.h",
    "stdint.h",
    "stdio.h",
    "stdlib.h",
    "string.h",
    "termios.h",
    "time.h",
    "unistd.h",
}


def placement_faults(root: Path) -> list[str]:
    """Things written outside the one place where they may stand."""
    faults = []
    for path in sources(root, "core", "controller", "collectives", "bindings", "examples", "tests"):
        name = path.relative_to(root).as_posix()
        lines = without_comments(path.read_text()).splitlines()
        for pattern, places, reason in ONLY_IN:
            if name.startswith(places):
                continue
            for number, line in enumerate(lines, 1):
                if re.search(pattern, line):
                    faults.append(f"{name}:{number}: {reason}: {line.strip()}")
    return faults


def size_faults(root: Path) -> list[str]:
    """Files and functions that are too long."""
    faults = []
    for path in sources(root, "core", "controller", "collectives", "bindings", "examples", "tests"):
        name = path.relative_to(root).as_posix()
        lines = without_comments(path.read_text()).splitlines()
        if len(lines) >= MAX_FILE_LINES:
            faults.append(f"{name}: {len(lines)} lines; fewer than {MAX_FILE_LINES} are wanted")
        for start, end in functions(lines):
            if any(name == file and head in lines[start - 1] for file, head in TABLES):
                continue
            if end - start + 1 > MAX_FUNCTION_LINES:
                length = end - start + 1
                faults.append(
                    f"{name}:{start}: a function of {length} lines, over {MAX_FUNCTION_LINES}"
                )
    return faults + python_size_faults(root)


def python_size_faults(root: Path) -> list[str]:
    """The same of Python. A docstring does not make a function long."""
    faults = []
    for folder in (".ci", *sorted(FOLDERS)):
        for path in sorted((root / folder).rglob("*.py")):
            name, text = path.relative_to(root).as_posix(), path.read_text()
            lines = len(text.splitlines())
            if lines >= MAX_FILE_LINES:
                faults.append(f"{name}: {lines} lines; fewer than {MAX_FILE_LINES} are wanted")
            for node in ast.walk(ast.parse(text)):
                if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    continue
                docstring = len((ast.get_docstring(node) or "").splitlines())
                length = (node.end_lineno or node.lineno) - node.lineno + 1 - docstring
                if length > MAX_FUNCTION_LINES:
                    faults.append(
                        f"{name}:{node.lineno}: a function of {length} lines, over "
                        f"{MAX_FUNCTION_LINES}"
                    )
    return faults


def functions(lines: list[str]) -> Iterator[tuple[int, int]]:
    """First and last line of each function body: what a line that ends in '{' after a ')' opens,
    unless it is a statement or a type."""
    keyword = re.compile(
        r"\b(if|for|while|switch|catch|else|do|namespace|struct|class|enum|union|extern)\b"
    )
    for index, line in enumerate(lines):
        if not re.search(r"\)[^;=(){}]*\{$", line) or keyword.search(line):
            continue
        depth = 0
        for end in range(index, len(lines)):
            depth += lines[end].count("{") - lines[end].count("}")
            if depth <= 0:
                yield index + 1, end + 1
                break


def cmake_faults(root: Path) -> list[str]:
    """Sources that no CMakeLists.txt names, globs, and folder files that are too long."""
    faults = []
    listed: set[Path] = set()
    scripts = (path for folder in FOLDERS for path in (root / folder).rglob("CMakeLists.txt"))
    for path in [*root.glob("CMakeLists.txt"), *sorted(scripts)]:
        name = path.relative_to(root).as_posix()
        text = re.sub(r"#[^\n]*", "", path.read_text())
        if len(text.splitlines()) > 60:
            faults.append(f"{name}: {len(text.splitlines())} lines; 60 are the limit")
        for banned in (
            "GLOB",
            "include_directories(",
            "add_definitions(",
            "CMAKE_CXX_FLAGS",
            "ENV{",
        ):
            if re.search(rf"(?<![\w]){re.escape(banned)}", text) and "target_" + banned not in text:
                faults.append(f"{name}: {banned.rstrip('(')} is not used here")
        for word in re.findall(r"[\w./-]+\.(?:cc|c)\b", text):
            listed.add((path.parent / word).resolve())
    for path in sources(root, *FOLDERS):
        if path.suffix in {".cc", ".c"} and path.resolve() not in listed:
            faults.append(f"{path.relative_to(root).as_posix()}: no CMakeLists.txt names it")
    return faults
