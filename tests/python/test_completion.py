"""Command lines of farandolerun that bash and zsh complete, in the shells themselves."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(60)
LIMIT = 30.0

# Asks as bash does. What bash-completion would bring is not there.
BASH = """
source <(farandolerun --completion bash)
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_farandolerun
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logs").mkdir()
    (tmp_path / "hosts.txt").touch()
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/fdl-trainer"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path


# What stands there, as bash takes it apart, the last word unfinished -> what is offered.
CASES: dict[str, set[str]] = {
    "--prefix-o": {"--prefix-output-with-timestamp"},
    "-np 2 --no-c": {"--no-color"},
    "-np = 2 --verb": {"--verbose"},
    "--cycle": set(),  # is refused
    "--log-level w": {"warning"},
    "--log-level = w": {"warning"},
    "--log-level o": {"off"},
    "--completion ": {"bash", "zsh"},
    "--output-filename l": {"logs"},
    "-hostfile ho": {"hosts.txt"},
    "--network-interfaces lo,l": {"lo,lo"},
    "-np ": set(),
    "-np 2 fdl-tr": {"fdl-trainer"},
    "-H a : 4,b : 2 fdl-tr": {"fdl-trainer"},
    "-np 2 -- fdl-tr": {"fdl-trainer"},
    "--help-env = x fdl-tr": {"fdl-trainer"},
    "-np 2 fdl-trainer --prefix-o": set(),
    "-np 2 fdl-trainer ho": {"hosts.txt"},
    "-np 2 -- fdl-trainer -np ho": {"hosts.txt"},
}


@pytest.mark.parametrize("line", CASES)
def test_bash(folder: Path, line: str) -> None:
    words = ["farandolerun", *line.split(" ")]
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH, "bash", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert set(done.stdout.split()) == CASES[line]


def test_bash_passes_on_what_belongs_to_the_program(folder: Path) -> None:
    """As its own completion, where bash-completion is there."""
    script = "_command_offset() { COMPREPLY=(from $1); }\n" + BASH
    words = ["farandolerun", "-np", "2", "fdl-trainer", "--x"]
    done = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", *words],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    assert done.stdout.split() == ["from", "3"]


class Zsh:
    """A zsh at a terminal, without what its user has configured."""

    def __init__(self) -> None:
        pid, self.terminal = pty.fork()
        if pid == 0:
            # What a sanitizer preloads would look for leaks of zsh's own.
            own = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
            os.execvpe("zsh", ["zsh", "-f", "-i"], {**own, "TERM": "dumb"})
        self.pid = pid
        self.seen = ""
        self.type("PS1= RPS1= PROMPT_EOL_MARK=; unsetopt zle_bracketed_paste beep; stty cols 400\n")
        self.type("autoload -U compinit; compinit -u -D; zstyle ':completion:*' list-prompt ''\n")
        self.type('eval "$(farandolerun --completion zsh)"; print rea""dy\n')
        self.wait_for(r"ready\r")

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def wait_for(self, pattern: str) -> str:
        deadline = time.monotonic() + LIMIT
        while not (found := re.search(pattern, self.seen)):
            assert select.select([self.terminal], [], [], deadline - time.monotonic())[0], self.seen
            self.seen += os.read(self.terminal, 4096).decode(errors="replace")
        self.seen = self.seen[found.end() :]
        return found[1] if found.re.groups else found[0]

    def completed(self, line: str) -> str:
        """The line once Tab was typed behind it: it is printed, and not run."""
        self.type(f"farandolerun {line}\t\x01print -r -- '<''<' \x05 '>''>'\n")
        return self.wait_for(r"<< farandolerun (.*?) *>>\r").strip()

    def close(self) -> None:
        os.close(self.terminal)  # hangs up
        os.waitpid(self.pid, 0)


@pytest.fixture
def zsh(folder: Path) -> Iterator[Zsh]:
    shell = Zsh()
    yield shell
    shell.close()


def test_zsh(zsh: Zsh) -> None:
    for line, whole in {
        "--prefix-o": "--prefix-output-with-timestamp",
        "-np 2 --no-c": "-np 2 --no-color",
        "--log-level w": "--log-level warning",
        "--log-level=w": "--log-level=warning",
        "--output-filename l": "--output-filename logs",
        "-hostfile ho": "-hostfile hosts.txt",
        "-np 2 fdl-tr": "-np 2 fdl-trainer",
        "-np 2 -- fdl-tr": "-np 2 -- fdl-trainer",
        "-np 2 fdl-trainer ho": "-np 2 fdl-trainer hosts.txt",
        "-np 2 fdl-trainer --prefix-o": "-np 2 fdl-trainer --prefix-o",
    }.items():
        assert zsh.completed(line) == whole
