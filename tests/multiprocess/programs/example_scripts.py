"""Runs the examples that are written as scripts for Horovod are, each with either line of import,
in one process, and reports what they printed. Run it with python -m farandole.horovod."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

from common import report

import farandole.torch as hvd

EXAMPLES = Path(__file__).resolve().parents[3] / "examples/torch"
OURS = "\nimport farandole.torch as hvd\n"
HOROVODS = "\nimport horovod.torch as hvd\n"
SCRIPTS = {
    "digits": "--epochs 3",
    "gpt_bf16": "--steps 11",
    "words": "--steps 41",
    "squares": "--steps 41",
}


def output_of(name: str, line: str) -> str:
    path = EXAMPLES / f"{name}.py"
    source = path.read_text()
    assert source.count(OURS) == 1
    code = compile(source.replace(OURS, line), str(path), "exec")
    sys.argv = [str(path), *SCRIPTS[name].split()]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {"__name__": "__main__", "__file__": str(path)})
    return printed.getvalue()


def main() -> None:
    hvd.init()
    for name in SCRIPTS:
        print("script", name, flush=True)
        ours, horovods = (output_of(name, line) for line in (OURS, HOROVODS))
        report(hvd.rank(), **{name: {"ours": ours, "horovods": horovods}})


main()
