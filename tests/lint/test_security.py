"""SECURITY.md is in step with the tests: its table answers every threat of the model, and each row
names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from test_tools import ROOT, tracked

TEST_MACRO = re.compile(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", re.MULTILINE)
PYTHON_TEST = re.compile(r"^def (test_\w+)\(", re.MULTILINE)
THREATS = [f"T{number}" for number in range(1, 24)]
# What is shipped, but failpoints, which no release has (test_it_is_hardened).
SHIPPED = [f"{top}/*{end}" for top in ("bindings", "collectives", "controller", "core")
           for end in (".cc", ".h", ".hpp", ".py", ".fbs")]  # fmt: skip
NOT_SHIPPED = {"core/base/failpoint.cc"}

# What never stands in it, by what it would be.
ABSENT = {
    "a shell": r"\b(?:system|popen|wordexp)\(|\bshell\s*=\s*True|\bos\.system\b|\"/bin/(?:ba)?sh\"",
    "a file that is written": r"\bO_CREAT\b|\bO_TMPFILE\b|\bofstream\b|\bfopen\(|\bfreopen\(|"
    r"\bcreat\(|\bmko?stemps?\(|\bmktemp\(|\bmkdtemp\(|\btmp(?:file|nam)\b|\btempfile\b|\bshm_open\(|"
    r"\bmkfifo|\bmkdir|\bmakedirs\b|\bwrite_(?:text|bytes)\(|\bopen\([^)]*[\"'][rwxab+]*[wxa+]",
    "HTTP or a service of its own": r"(?i)\bhttps?\b(?!://)|\bhttp\.server\b|\bsocketserver\b",
    "NCCL": r"\bnccl[A-Z]|\bnccl\.h\b|\b(?:l|lib)nccl\b",  # its names, not talk of it
}


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
    for threat, what, _, tests in rows(page):
        names = re.findall(r"`([^`]+)`", tests)
        if not names:
            found.append(f"no test: {what}")
        missing = [n for n in names if n not in known and not (ROOT / n).is_file()]
        found += [f"no such test: {name}" for name in missing]
        found += [f"no such threat: {t}" for t in threat.split(", ") if t not in THREATS]
    answered = {threat for row in rows(page) for threat in row[0].split(", ")}
    return found + [f"no answer: {threat}" for threat in THREATS if threat not in answered]


def holders(what: str, names: list[str]) -> set[str]:
    """The files that contain what never stands in one that is shipped."""
    pattern = re.compile(ABSENT[what])
    return {n for n in names if n not in NOT_SHIPPED and pattern.search((ROOT / n).read_text())}


def test_every_threat_has_tests_that_exist() -> None:
    sources = [ROOT / name for name in tracked("tests/*.cc", "tests/*.py")]
    page = (ROOT / "SECURITY.md").read_text()
    assert len(rows(page)) >= len(THREATS)
    assert faults(page, known_tests(sources)) == []


def test_the_checks_notice(tmp_path: Path) -> None:
    source = tmp_path / "a_test.cc"
    source.write_text("TEST_F(Suite, Name) {\n}\nTEST(\n    Other, Long) {}\n")
    known = known_tests([source])
    row = "| {} | a | b | {} |\n"
    table = "| | threat | answer | tests |\n|---|---|---|---|\n" + "".join(
        row.format(threat, "`Suite.Name`") for threat in THREATS[1:]
    )
    assert faults(table + row.format("T1, T2", "`Suite.Name`"), known) == []
    assert faults(table, known) == ["no answer: T1"]
    assert faults(table + row.format("T1", "`Suite.Gone`"), known) == ["no such test: Suite.Gone"]
    assert faults(table + row.format("T1", "by hand"), known) == ["no test: a"]
    assert faults(table + row.format("T1, T24", "`Suite.Name`"), known) == ["no such threat: T24"]


def test_nothing_starts_a_shell() -> None:
    assert holders("a shell", tracked(*SHIPPED)) == set()


def test_no_file_is_written() -> None:
    """But those that the user asks for by name, with --output-filename or output_filename, and as a
    timeline."""
    asked_for = {
        "bindings/python/farandole/running.py",
        "bindings/python/farandole/timeline.py",
        "controller/launch/output_files.cc",
        "core/timeline_file.cc",
    }
    assert holders("a file that is written", tracked(*SHIPPED)) == asked_for


def test_what_does_not_apply_is_not_there() -> None:
    """Who brings it brings the row of SECURITY.md as well."""
    assert holders("HTTP or a service of its own", tracked(*SHIPPED)) == set()
    assert holders("NCCL", tracked(*SHIPPED)) == set()


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("a shell", "  system(command.c_str());"),
        ("a shell", "subprocess.run(command, shell=True)"),
        ("a shell", '  execl("/bin/sh", "sh", "-c", text);'),
        ("a file that is written", "  open(path, O_CREAT | O_WRONLY, 0600);"),
        ("a file that is written", "  std::ofstream out(path);"),
        ("a file that is written", "  char* name = mktemp(pattern), *other = mkstemp(pattern);"),
        ("a file that is written", 'with open(path, "wb") as file:'),
        ("a file that is written", "folder = tempfile.mkdtemp()"),
        ("HTTP or a service of its own", "from http.server import HTTPServer"),
        ("NCCL", "  ncclGetUniqueId(&id);"),
    ],
)
def test_what_is_absent_would_be_seen(
    what: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.cc").write_text(f"{line}\n")
    (tmp_path / "b.cc").write_text("open(path, O_RDONLY); subsystem(1); // https://example.org\n")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert holders(what, ["a.cc", "b.cc"]) == {"a.cc"}


def test_what_it_is_built_with_is_pinned() -> None:
    for name in tracked("requirements-*.txt"):
        for line in (ROOT / name).read_text().splitlines():
            wanted = line.partition("#")[0].partition(";")[0].strip()
            if wanted and not wanted.startswith("-r "):
                assert re.fullmatch(r"[\w.-]+==[\w.]+", wanted), f"{name}: {line}"


def test_nothing_else_unpickles() -> None:
    """Pickle is read where objects of users come from other ranks, and at both ends of run()."""
    reads = re.compile(r"\b(?:pickle\.(?:loads?|Unpickler)|torch\.load)\b")
    readers = {
        name
        for name in tracked("bindings/*.py", "controller/*.py", "collectives/*.py", "core/*.py")
        if reads.search((ROOT / name).read_text())
    }
    names = ("objects", "running", "_rank_of_run")
    assert readers == {f"bindings/python/farandole/{name}.py" for name in names}
