"""What a rank that is waited for says of its threads."""

from __future__ import annotations

import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import farandole as fdl
from farandole._frames import shortened
from farandole._stacks import Call, Thread, all_stacks

HERE = Path(__file__)
PACKAGE = Path(fdl.__file__).parent
OURS: Call = (str(PACKAGE / "uncompiled.py"), 1, "call")
WRAPPER: Call = ("/site-packages/torch/_dynamo/eval_frame.py", 1, "_fn")


def told(threads: list[Thread]) -> str:
    """On a thread of its own, as always."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(all_stacks, threads).result()


def test_the_main_thread_comes_first_and_the_innermost_call_last() -> None:
    main, other = threading.main_thread().ident, -5
    assert main is not None
    calls = [("lost.py", 3, "inner"), (str(HERE), 1, "outer")]
    lines = told([(other, [("x.py", 1, "f")], 0, []), (main, calls, 0, [])]).splitlines()
    assert lines == [
        "thread MainThread:",
        f'  File "{HERE}", line 1, in outer',
        f"    {HERE.read_text().splitlines()[0]}",
        '  File "lost.py", line 3, in inner',
        "thread -5:",
        '  File "x.py", line 1, in f',
    ]


def test_many_threads_and_long_names_are_cut() -> None:
    threads: list[Thread] = [(-n, [("x" * 2000, 1, "f")], 0, []) for n in range(1, 40)]
    assert len(told(threads).encode()) == 15_000
    assert told([(-n, [], 0, []) for n in range(1, 40)]).endswith("and 23 more threads")


def functions(calls: list[Call], left_out: int = 0, outer: list[Call] | None = None) -> list[str]:
    """What is told of a thread in so many lines, without the places."""
    lines = told([(-1, calls, left_out, outer or [])]).splitlines()[1:]
    return [line.rpartition(", in ")[2] for line in lines]


def test_calls_within_farandole_are_left_out() -> None:
    program: list[Call] = [("a.py", 2, "inner"), ("a.py", 1, "<module>")]
    waits = [OURS, WRAPPER, OURS, WRAPPER, OURS]
    runpy: list[Call] = [OURS, ("<frozen runpy>", 8, "run"), ("<frozen runpy>", 9, "main")]
    assert functions([*waits, *program, *runpy]) == ["<module>", "inner"]
    # A compiled model of the program is its own, and so is what it calls in between.
    assert functions([program[0], OURS, WRAPPER, program[1]]) == ["<module>", "inner"]
    assert functions([program[0], WRAPPER, program[1]]) == ["<module>", "_fn", "inner"]
    assert functions([OURS])[0] == "call"  # a thread of Farandole's own
    begins: list[Call] = [(threading.__file__, 10**6, f"begin{n}") for n in range(3)]
    waits = [(threading.__file__, 10**6, "wait")]
    assert functions([*waits, *program, *begins]) == ["<module>", "inner", "wait"]
    assert functions([*waits, *begins]) == ["begin2", "begin1", "begin0", "wait"]


def test_the_outermost_calls_are_told_and_those_between_counted() -> None:
    calls: list[Call] = [("a.py", n, f"f{n}") for n in range(30)]  # f29 began it
    own = [f"f{n}" for n in range(29, 21, -1)]
    innermost = [f"f{n}" for n in range(15, -1, -1)]
    assert functions(calls[:24]) == [f"f{n}" for n in range(23, -1, -1)]
    assert functions(calls) == [*own, "  ... 6 calls", *innermost]
    outer = [*calls[20:], OURS]
    assert functions(calls[:20], 7, outer) == [*own, "  ... 13 calls", *innermost]


def test_the_traceback_of_an_error_has_the_calls_of_the_program_alone(session: None) -> None:
    def program() -> None:
        fdl.allreduce(np.ones(2), op=9)

    with pytest.raises(fdl.InvalidArgumentError) as caught:
        program()
    shown = "".join(traceback.format_exception(caught.value))
    frames = [(Path(f.filename).name, f.name) for f in traceback.extract_tb(caught.tb)][1:]
    assert frames == [(HERE.name, "program"), ("uncompiled.py", "call")], shown
    defect = fdl.InternalError("x")
    assert shortened(defect) is defect
