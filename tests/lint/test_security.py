"""SECURITY.md is in step with the tests: each row of its table names tests, and those exist."""

from __future__ import annotations

import re
from pathlib import Path

from test_tools import ROOT, tracked

TEST_MACRO = re.compile(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", re.MULTILINE)
PYTHON_TEST = re.compile(r"^def (test_\w+)\(", re.MULTILINE)


def known_tests(paths: list[Path]) -> set[str]:
    known = set()
    for path in paths:
        text = path.read_text()
        known |= {f"{suite}.{name}" for suite, name in TEST_MACRO.findall(text)}
        known |= set(PYTHON_TEST.findall(text))
    return known


def rows(page: str) -> list[list[str]]:
    """The cells of each row of the table, without its head."""
    lines = [line for line in page.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def faults(page: str, known: set[str]) -> list[str]:
    found = []
    for threat, _, tests in rows(page):
        names = re.findall(r"`([^`]+)`", tests)
        if not names:
            found.append(f"no test: {threat}")
        missing = [n for n in names if n not in known and not (ROOT / n).is_file()]
        found += [f"no such test: {name}" for name in missing]
    return found


def test_every_threat_has_tests_that_exist() -> None:
    sources = [ROOT / name for name in tracked("tests/*.cc", "tests/*.py")]
    page = (ROOT / "SECURITY.md").read_text()
    assert len(rows(page)) > 20
    assert faults(page, known_tests(sources)) == []


def test_the_checks_notice(tmp_path: Path) -> None:
    source = tmp_path / "a_test.cc"
    source.write_text("TEST_F(Suite, Name) {\n}\nTEST(\n    Other, Long) {}\n")
    table = "| threat | answer | tests |\n|---|---|---|\n| a | b | {} |\n"
    known = known_tests([source])
    assert faults(table.format("`Suite.Name`"), known) == []
    assert faults(table.format("`Suite.Gone`"), known) == ["no such test: Suite.Gone"]
    assert faults(table.format("by hand"), known) == ["no test: a"]


def test_nothing_else_unpickles() -> None:
    """Pickle is read in one place: where objects of users come from other ranks."""
    reads = re.compile(r"\b(?:pickle\.(?:loads?|Unpickler)|torch\.load)\b")
    readers = {
        name
        for name in tracked("bindings/*.py", "controller/*.py", "collectives/*.py", "core/*.py")
        if reads.search((ROOT / name).read_text())
    }
    assert readers == {"bindings/python/farandole/objects.py"}
