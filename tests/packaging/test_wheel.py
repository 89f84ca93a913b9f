"""The wheel holds all that was promised and needs nothing of the machine but libc and libstdc++."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from installation import ROOT, Installation

# What any Linux with that libc has; all else must come with the wheel.
SYSTEM_LIBRARIES = re.compile(
    r"(linux-vdso|ld-linux-[\w-]+|libc|libm|libstdc\+\+|libgcc_s|libpthread|libdl|librt)\.so\b"
)
VERSION = (ROOT / "VERSION").read_text().strip()


def binaries(installation: Installation) -> list[Path]:
    """Extension module, library and launcher: what we built ourselves."""
    package = installation.packages / "farandole"
    (module,) = package.glob("_native*.so")
    return [module, package / "lib/libfarandole.so", installation.folder / "bin/farandolerun"]


def all_elf_files(installation: Installation) -> list[Path]:
    grafted = installation.packages / "farandole.libs"
    return binaries(installation) + sorted(grafted.glob("*.so*"))


def tool(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_it_holds_everything(installation: Installation) -> None:
    names = zipfile.ZipFile(installation.wheel).namelist()
    for pattern in (
        r"farandole/__init__\.py",
        r"farandole/py\.typed",
        r"farandole/_native\.pyi",
        r"farandole/_native[\w.-]*\.so",
        r"farandole/torch/__init__\.py",
        r"farandole/lib/libfarandole\.so",
        r"farandole/include/farandole/enums\.h",
        r"farandole/include/farandole/farandole\.h",
        r"farandole/include/farandole/elements\.hpp",
        r"farandole/include/farandole/farandole\.hpp",
        r"farandole/include/farandole/operations\.hpp",
        r"farandole/include/farandole/process_sets\.h",
        r"farandole/lib/cmake/farandole/farandole-config\.cmake",
        r"farandole/lib/pkgconfig/farandole\.pc",
        rf"farandole-{VERSION}\.data/scripts/farandolerun",
        rf"farandole-{VERSION}\.dist-info/licenses/LICENSE",
    ):
        assert any(re.fullmatch(pattern, name) for name in names), pattern
    strangers = [name for name in names if not re.match(r"farandole(/|-|\.libs/)", name)]
    assert strangers == []


def test_everything_of_others_brings_its_licence(installation: Installation) -> None:
    with zipfile.ZipFile(installation.wheel) as wheel:
        names = wheel.namelist()
        folder = f"farandole-{VERSION}.dist-info"
        metadata = wheel.read(f"{folder}/METADATA").decode()
        listed = re.findall(r"^License-File: (\S+)$", metadata, flags=re.MULTILINE)
        texts = {name: wheel.read(f"{folder}/licenses/{name}").decode() for name in listed}
    copied = {name.split("/")[1] for name in names if re.match(r"farandole\.libs/.", name)}
    assert copied
    libraries = {re.sub(r"-[0-9a-f]{8}\.so[\d.]*$", "", name) for name in copied}
    compiled_in = {"cli11", "flatbuffers", "fmt", "hwloc", "pybind11", "spdlog", "yaml-cpp"}
    assert set(texts) == {"LICENSE"} | {f"third_party/{n}.txt" for n in libraries | compiled_in}
    for name, text in texts.items():
        assert (
            re.search("license|redistribution", text, flags=re.IGNORECASE) and len(text) > 1000
        ), name
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in texts["third_party/libnl-3.txt"]


def test_it_lists_what_it_contains(installation: Installation) -> None:
    """A bill of materials, with the version of each library that was copied."""
    with zipfile.ZipFile(installation.wheel) as wheel:
        names = wheel.namelist()
        (name,) = (n for n in names if re.search(r"\.dist-info/sboms/.+\.json$", n))
        listed = json.loads(wheel.read(name))
    components = {part["name"]: part["version"] for part in listed["components"]}
    metadata = listed["metadata"]["component"]
    assert (metadata["name"], metadata["version"]) == ("farandole", VERSION)
    copied = {name.split("/")[1] for name in names if re.match(r"farandole\.libs/.", name)}
    libraries = {re.sub(r"-[0-9a-f]{8}\.so[\d.]*$", "", name) for name in copied}
    compiled_in = {
        "boost",
        "cli11",
        "flatbuffers",
        "fmt",
        "hwloc",
        "pybind11",
        "spdlog",
        "yaml-cpp",
    }
    # Debian's name of the package, the library's own being of OpenSSL.
    for library in {*libraries - {"libcrypto"}, *compiled_in, "libssl"}:
        assert any(library in part for part in components), (library, components)
    assert len(components) == 1 + len(libraries) + len(compiled_in), components
    assert all(re.match(r"\d", version) for version in components.values()), components


def test_its_record_is_right(installation: Installation) -> None:
    with zipfile.ZipFile(installation.wheel) as wheel:
        record = f"farandole-{VERSION}.dist-info/RECORD"
        rows = dict(row.split(",", 1) for row in wheel.read(record).decode().splitlines())
        files = {name for name in wheel.namelist() if not name.endswith("/")}
        assert len(files) == sum(not name.endswith("/") for name in wheel.namelist())
        assert set(rows) == files
        for name in files - {record}:
            data = wheel.read(name)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
            assert rows[name] == f"sha256={digest},{len(data)}", name


def test_the_docs_name_the_oldest_libc_that_its_tag_admits(installation: Installation) -> None:
    oldest = min(map(int, re.findall(r"manylinux_2_(\d+)_", installation.wheel.name)))
    for page in ("README.md", "docs/building.md"):
        assert re.findall(r"glibc (\S+) or newer", (ROOT / page).read_text()) == [f"2.{oldest}"]


def test_its_tag_is_right(installation: Installation) -> None:
    assert re.search(r"manylinux_2_\d\d_(x86_64|aarch64)\.whl$", installation.wheel.name)
    shown = tool(sys.executable, "-m", "auditwheel", "show", str(installation.wheel))
    policy = re.search(r'"manylinux_2_(\d+)_', shown)
    assert policy, shown
    assert int(policy.group(1)) <= 36, shown


def test_no_framework_is_a_dependency(installation: Installation) -> None:
    with zipfile.ZipFile(installation.wheel) as wheel:
        (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = wheel.read(name).decode()
    needed = re.findall(r"^Requires-Dist: ([\w.-]+)(?!.*extra ==)", metadata, flags=re.MULTILINE)
    assert set(needed) == {"cloudpickle", "numpy"}


def test_it_needs_nothing_of_the_machine(installation: Installation) -> None:
    files = all_elf_files(installation)
    assert len(files) >= 3
    for path in files:
        for line in tool("ldd", str(path)).splitlines():
            name, _, rest = line.strip().partition(" => ")
            where = rest.split(" ")[0]
            inside = where and Path(where).resolve().is_relative_to(installation.folder.resolve())
            system = SYSTEM_LIBRARIES.match(Path(name.split(" ")[0]).name)
            assert inside or system or "statically linked" in name, f"{path.name}: {line.strip()}"


def test_it_is_hardened(installation: Installation) -> None:
    for path in binaries(installation):
        segments = tool("readelf", "-lW", str(path))
        dynamic = tool("readelf", "-dW", str(path))
        (stack,) = (line for line in segments.splitlines() if "GNU_STACK" in line)
        assert "E" not in stack.split()[-2], f"{path.name}: executable stack"
        assert "GNU_RELRO" in segments, path.name
        assert re.search(r"\(FLAGS\).*BIND_NOW|FLAGS_1\).*NOW", dynamic), f"{path.name}: lazy"
        assert "TEXTREL" not in dynamic, path.name
        assert "Elf file type is DYN" in segments, f"{path.name}: not position independent"
        assert b"FDL_FAILPOINT" not in path.read_bytes(), f"{path.name} has failpoints"
        assert "__stack_chk_fail" in tool("readelf", "--dyn-syms", "-W", str(path)), path.name
        assert not re.search(r"RWE", segments), f"{path.name}: writable and executable"


def test_calls_of_libc_are_checked(installation: Installation) -> None:
    """_FORTIFY_SOURCE=3: memcpy and the like know how much room there is."""
    for path in binaries(installation):
        table = tool("nm", "--dynamic", "--undefined-only", str(path))
        checked = set(re.findall(r"__(\w+)_chk@", table)) - {"stack"}
        # The module has no call of whose room the compiler knows, and how strictly the others
        # check does not show: see the next test.
        assert checked or path.name.startswith("_native"), f"{path.name}: no call is checked"


def test_binaries_are_compiled_with_checked_calls_or_not_at_all() -> None:
    guard = "core/base/hardened.h"
    for source in (
        "bindings/python/module/module.cc",
        "bindings/c/library.cc",
        "controller/launch/main.cc",
    ):
        assert f'#include "{guard}"' in (ROOT / source).read_text(), source
    checked = "-D_FORTIFY_SOURCE=3"
    for flags, compiles in (
        (["-DNDEBUG", "-O3", checked], True),
        (["-DNDEBUG", "-O3"], False),
        (["-DNDEBUG", "-O3", "-D_FORTIFY_SOURCE=2"], False),
        (["-DNDEBUG", "-O0", checked], False),
        (["-O1"], True),
    ):
        command = [
            "c++",
            "-x",
            "c++",
            "-fsyntax-only",
            "-U_FORTIFY_SOURCE",
            *flags,
            str(ROOT / guard),
        ]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (ended.returncode == 0) == compiles, (flags, ended.stderr)
        assert compiles or "a release is compiled with" in ended.stderr


def test_the_library_shows_only_its_interface(installation: Installation) -> None:
    library = installation.packages / "farandole/lib/libfarandole.so"
    table = tool("nm", "--dynamic", "--defined-only", "--extern-only", str(library))
    names = [line.split()[-1] for line in table.splitlines()]
    assert names
    assert [name for name in names if not name.startswith("fdl_")] == []


def test_it_works_alone(installation: Installation) -> None:
    text = (
        "import farandole, numpy as np; farandole.init(); "
        "print(farandole.size(), farandole.allreduce(np.ones(3), op=farandole.Sum).sum()); "
        "farandole.shutdown(); print(farandole.__version__)"
    )
    assert installation.run("python", "-c", text).split() == ["1", "3.0", VERSION]


def test_importing_it_imports_no_framework(installation: Installation) -> None:
    text = "import farandole, sys; farandole.init(); print('torch' in sys.modules)"
    assert installation.run("python", "-c", text).split() == ["False"]


# Takes the right to open sockets from this process, whatever code asks for one: it dies of SIGSYS.
WITHOUT_SOCKETS = """
import ctypes, platform, struct
number = {"x86_64": 41, "aarch64": 198}[platform.machine()]
load, equal, give_back = 0x20, 0x15, 0x06
allow, kill = 0x7FFF0000, 0x80000000
steps = [(load, 0, 0, 0), (equal, 0, 1, number), (give_back, 0, 0, kill), (give_back, 0, 0, allow)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
no_new_privileges, seccomp, filters = 38, 22, 2
assert libc.prctl(no_new_privileges, 1, 0, 0, 0) == 0
if libc.prctl(seccomp, filters, program, 0, 0) != 0:
    raise SystemExit("no seccomp here")
print("armed", flush=True)
"""


@pytest.mark.parametrize("what", ["import farandole", "import socket; socket.socket()"])
def test_importing_it_opens_no_socket(installation: Installation, what: str) -> None:
    result = subprocess.run(
        [installation.folder / "bin/python", "-c", f"{WITHOUT_SOCKETS}\n{what}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "no seccomp here" in result.stderr:
        pytest.skip("the kernel has no seccomp")
    assert result.stdout == "armed\n", result.stderr
    assert result.returncode == (0 if "farandole" in what else -signal.SIGSYS), result.stderr


def test_the_launcher_is_on_the_path(installation: Installation) -> None:
    assert VERSION in installation.run("farandolerun", "--version")


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_find_each_other(installation: Installation, ranks: int) -> None:
    text = (
        "import farandole, numpy as np; farandole.init(); "
        "print('sum', farandole.allreduce(np.array([farandole.rank() + 1]), op=farandole.Sum)[0])"
    )
    output = installation.run("farandolerun", "-np", str(ranks), "python", "-c", text)
    assert output.count(f"sum {ranks * (ranks + 1) // 2}") == ranks


def test_python_tells_where_things_are(installation: Installation) -> None:
    for flag, wanted in (
        ("--cmake-dir", "farandole-config.cmake"),
        ("--pkgconfig-dir", "farandole.pc"),
        ("--include-dir", "farandole/farandole.h"),
        ("--lib-dir", "libfarandole.so"),
    ):
        folder = Path(installation.run("python", "-m", "farandole", flag).strip())
        assert (folder / wanted).is_file()
        assert folder.resolve().is_relative_to(installation.folder.resolve())
