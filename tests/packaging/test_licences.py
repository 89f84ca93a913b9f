"""Whose licences the wheel brings: of the packages that the copied libraries really came from."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from installation import ROOT

# Of the path of a library, as dpkg-query answers: it knows the names under which packages list
# their files, and fails after its answers where one of those asked for is none of them.
DPKG_QUERY = """#!/bin/bash
declare -A owners=(
  [/usr/lib/x/libcrypto.so.3]=libssl3:amd64
  [/lib/x/libnl-3.so.200.26.0]=libnl-3-200:amd64
  [/opt/other/libcrypto.so.3]=other
)
[ "$1" = --search ] || exit 2
shift
code=0
for pattern; do
  known=
  for path in "${!owners[@]}"; do
    # A pattern with an asterisk matches; any other is a path.
    [[ $path == $pattern ]] && echo "${owners[$path]}: $path" && known=1
  done
  [ -n "$known" ] || { echo "dpkg-query: no path found matching pattern $pattern" >&2; code=1; }
done
exit $code
"""


@pytest.fixture
def licences() -> ModuleType:
    spec = importlib.util.spec_from_file_location("add_licenses", ROOT / ".ci/add_licenses.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def dpkg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "dpkg-query"
    program.write_text(DPKG_QUERY)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


@pytest.mark.parametrize(
    ("library", "package"),
    [
        ("/usr/lib/x/libcrypto.so.3", "libssl3"),
        ("/usr/lib/x/libnl-3.so.200.26.0", "libnl-3-200"),
        ("/opt/other/libcrypto.so.3", "other"),
    ],
)
def test_the_owner_is_that_of_the_path(
    licences: ModuleType, dpkg: None, library: str, package: str
) -> None:
    assert licences.package_of(Path(library)) == package


def test_a_library_of_nobody_ends_the_build(licences: ModuleType, dpkg: None) -> None:
    with pytest.raises(SystemExit, match=r"/usr/lib/x/libz\.so\.1 is of one package, not of \[\]"):
        licences.package_of(Path("/usr/lib/x/libz.so.1"))


def test_debian_knows_what_a_program_is_linked_with(licences: ModuleType, tmp_path: Path) -> None:
    """One library that is listed under /lib and one under /usr/lib, by the real commands."""
    source = tmp_path / "program.cc"
    source.write_text("#include <iostream>\nint main() { std::cout << 1; }\n")
    program = tmp_path / "program"
    subprocess.run(["c++", source, "-o", program], check=True, timeout=60)
    with zipfile.ZipFile(tmp_path / "wheel.whl", "w") as wheel:
        wheel.write(program, "package/program")
        wheel.write(source, "package/program.cc")
    found = licences.libraries_of(tmp_path / "wheel.whl")
    packages = {name.split(".so")[0]: licences.package_of(path) for name, path in found.items()}
    assert packages["libc"] == "libc6"
    assert packages["libstdc++"] == "libstdc++6"
