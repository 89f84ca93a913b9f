"""The deliberate bugs of the protocol, by which the nets are tried, are in nothing shipped."""

from __future__ import annotations

import re
import subprocess

from installation import ROOT, Installation

PROTOCOL = ROOT / "controller/protocol"
HEADER = PROTOCOL / "mutation.h"
LIST = ROOT / "tests/mutation/mutations.h"
LISTED = re.compile(r'{"(\w+)", "([^"]+)"[,}]')
NAME = re.compile(r"FARANDOLE_MUTATE\((\w+)\)")


def names() -> set[str]:
    return {name for path in PROTOCOL.glob("*.cc") for name in NAME.findall(path.read_text())}


def bugs_in(content: bytes) -> set[str]:
    return {name for name in names() if name.encode() in content}


def test_every_bug_is_in_the_copy_that_is_tried() -> None:
    library = ROOT / "build/dev/tests/mutation/libmutated_protocol.a"
    assert len(names()) >= 20
    assert bugs_in(library.read_bytes()) == names()


def test_the_page_has_every_bug_and_each_is_caught() -> None:
    rows = (ROOT / "docs/mutations.md").read_text().split("|---|---|---|---|\n")[1].splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    listed = dict(LISTED.findall(LIST.read_text()))
    assert {name: bug for name, bug, _, _ in cells} == listed
    assert listed.keys() == names()
    assert [row for row in cells if row[2] == "-" and row[3] == "-"] == []


def test_no_bug_is_shipped(installation: Installation) -> None:
    package = installation.packages / "farandole"
    (module,) = package.glob("_native*.so")
    for path in (
        module,
        package / "lib/libfarandole.so",
        installation.folder / "bin/farandolerun",
        ROOT / "build/dev/controller/protocol/libfarandole_protocol.a",
    ):
        assert bugs_in(path.read_bytes()) == set(), path


def test_a_release_with_bugs_does_not_compile() -> None:
    command = ["c++", "-std=c++20", "-fsyntax-only", "-DFARANDOLE_MUTATIONS=1", "-x", "c++"]
    assert subprocess.run([*command, HEADER], timeout=60, check=False).returncode == 0
    refused = subprocess.run(
        [*command, "-DNDEBUG", HEADER], capture_output=True, text=True, timeout=60, check=False
    )
    assert refused.returncode != 0
    assert "cannot be part of a release" in refused.stderr
