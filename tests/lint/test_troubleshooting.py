"""Every message that docs/troubleshooting.md quotes is one that the source has."""

from __future__ import annotations

import re

import pytest
from test_tools import ROOT, tracked

PAGE = ROOT / "docs/troubleshooting.md"


def messages(text: str) -> list[str]:
    """What stands in code type in the first column of the tables."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| ")]
    return [message for cell in rows for message in re.findall(r"`([^`]+)`", cell)]


def parts(message: str) -> list[str]:
    """What of a message is the same whatever it is about."""
    return [part.strip() for part in message.split("…") if len(part.strip()) > 3]


def literals() -> str:
    """The source as its messages read: literals that are one behind the other are one."""
    names = tracked("bindings/*.py", "bindings/*.cc", "controller/*.cc", "core/*.cc")
    names += tracked("collectives/*.cc")
    text = "\n".join((ROOT / name).read_text() for name in names)
    return re.sub(r'"\s*f?"', "", text)


SOURCE = literals()


@pytest.mark.parametrize("message", messages(PAGE.read_text()))
def test_a_quoted_message_exists(message: str) -> None:
    assert parts(message), "nothing of it could be found"
    assert [part for part in parts(message) if part not in SOURCE] == []


def test_the_check_reads_the_page() -> None:
    table = "| message | what |\n|---|---|\n| `no … such message` and `x` | `y` |\n"
    assert messages(table) == ["no … such message", "x"]
    assert parts("no … such message") == ["such message"]
    assert "no such message whatever" not in SOURCE
    assert len(messages(PAGE.read_text())) > 30
