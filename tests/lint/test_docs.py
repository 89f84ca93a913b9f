"""What the docs say is there is there: links, commands, targets, settings; and nothing leaks in."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from test_tools import ROOT, tracked

PAGES = [name for name in tracked("*.md") if not name.startswith("tests/")]


def links(text: str) -> list[str]:
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", text)


def missing_links(page: Path) -> list[str]:
    found = [link for link in links(page.read_text()) if not re.match(r"[a-z]+:", link)]
    return [link for link in found if not (page.parent / link.split("#")[0]).exists()]


def paths_named(text: str) -> set[str]:
    """Files and folders of the tree that a page names in code type."""
    top = r"(?:core|controller|collectives|bindings|tests|examples|docs|cmake|\.ci)"
    return set(re.findall(rf"`({top}/[\w./-]+)`", text))


def make_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text()
    return {
        target
        for line in re.findall(r"^([a-z][a-z -]*):.*## ", text, flags=re.MULTILINE)
        for target in line.split()
    }


def make_commands(text: str) -> set[str]:
    return set(re.findall(r"(?:`|^\s+|&& )make ([a-z][a-z-]+)", text, flags=re.MULTILINE))


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    assert missing_links(ROOT / page) == []


@pytest.mark.parametrize("page", PAGES)
def test_named_files_exist(page: str) -> None:
    names = paths_named((ROOT / page).read_text())
    assert [name for name in sorted(names) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_named_targets_exist(page: str) -> None:
    assert make_commands((ROOT / page).read_text()) - make_targets() == set()


def test_help_lists_every_target() -> None:
    command = ["make", "--no-print-directory", "help"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    listed = {word for line in result.stdout.splitlines()[1:] for word in line[:14].split()}
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    (phony,) = re.findall(r"^\.PHONY:(.*)$", makefile, re.MULTILINE)
    wanted = set(phony.split()) - {"FORCE"}
    assert {"help", "demo", "test"} < wanted
    assert listed == wanted


def test_settings_page_is_the_table() -> None:
    # The tree's own, not an installed one, which may be older or not there yet.
    launcher = ROOT / "build/dev/controller/launch/farandolerun"
    result = subprocess.run(
        [launcher, "--help-env=markdown"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert (ROOT / "docs/config.md").read_text() == result.stdout, (
        "stale: build/dev/controller/launch/farandolerun --help-env=markdown > docs/config.md"
    )


def help_of_the_launcher() -> str:
    launcher = ROOT / "build/dev/controller/launch/farandolerun"
    result = subprocess.run(
        [launcher, "--help"], capture_output=True, text=True, check=True, timeout=30
    )
    return result.stdout


def flags_of_help(text: str) -> set[str]:
    rows = [line for line in text.splitlines() if line.startswith("  -")]
    names = {name for row in rows for name in row.split()[0].split(",")}
    return names | {name for row in rows for name in re.findall(r"also written (-[-\w]+)", row)}


def flags_of_page(text: str) -> set[str]:
    """Those of the first column of the table that begins the page."""
    table = text.partition("| flag | meaning |")[2].partition("\n\n")[0]
    cells = " ".join(row.split(" | ")[0] for row in table.splitlines()[2:])
    return set(re.findall(r"`(--?[a-zA-Z][-\w]*)", cells))


def test_the_launchers_page_has_every_flag() -> None:
    page = (ROOT / "docs/launcher.md").read_text()
    shown = flags_of_help(help_of_the_launcher())
    assert len(shown) > 40
    # The page says of two spellings of -np in a sentence what they are.
    assert "`-n` and `--np` say the same as `-np`" in page
    assert flags_of_page(page) | {"-n", "--np"} == shown


def test_help_names_every_level_of_the_log() -> None:
    accepted = re.search(
        r"`FARANDOLE_LOG_LEVEL`.*?one of ([a-z ]+)", (ROOT / "docs/config.md").read_text()
    )
    named = re.search(r"--log-level LEVEL +(.*) \(", help_of_the_launcher())
    assert accepted
    assert named
    assert re.split(r", | or ", named[1]) == accepted[1].split()


def test_no_path_of_a_machine_is_written_down() -> None:
    # /proc, /dev and /usr are the same everywhere; homes and work folders are not.
    pattern = re.compile(r"(?<![\w.])/(?:root|home/\w+|work|Users)(?:/|\b)")
    faults = []
    for name in tracked():
        if name in {"LICENSE", "tests/lint/test_docs.py"}:
            continue
        try:
            text = (ROOT / name).read_text()
        except UnicodeDecodeError:
            continue
        faults += [f"{name}: {match.group()}" for match in pattern.finditer(text)]
    assert faults == []


def test_the_checks_notice(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "[here](page.md) [gone](gone.md#part) [web](https://example.org) `core/gone.h`\n"
    )
    assert missing_links(page) == ["gone.md#part"]
    assert paths_named(page.read_text()) == {"core/gone.h"}
    assert make_commands("Run `make test`, then\n\n    make no-such\n") == {"test", "no-such"}
    assert "no-such" not in make_targets()


def test_every_page_is_listed() -> None:
    for folder in (ROOT / "docs", ROOT / "docs/decisions"):
        listed = set(links((folder / "README.md").read_text()))
        pages = {page.name for page in folder.glob("*.md")} - {"README.md"}
        assert pages - listed == set(), folder
