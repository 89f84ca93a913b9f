"""What a rank that is waited for says of its threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from farandole._stacks import Call, all_stacks

HERE = Path(__file__)


def told(threads: list[tuple[int, list[Call], bool]]) -> str:
    """On a thread of its own, as always."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(all_stacks, threads).result()


def test_the_main_thread_comes_first_and_the_innermost_call_last() -> None:
    main, other = threading.main_thread().ident, -5
    assert main is not None
    calls = [("lost.py", 3, "inner"), (str(HERE), 1, "outer")]
    lines = told([(other, [("x.py", 1, "f")], False), (main, calls, True)]).splitlines()
    assert lines == [
        "thread MainThread:",
        "  ... calls before",
        f'  File "{HERE}", line 1, in outer',
        f"    {HERE.read_text().splitlines()[0]}",
        '  File "lost.py", line 3, in inner',
        "thread -5:",
        '  File "x.py", line 1, in f',
    ]


def test_many_threads_and_long_names_are_cut() -> None:
    threads = [(-n, [("x" * 2000, 1, "f")], False) for n in range(1, 40)]
    assert len(told(threads).encode()) == 15_000
    assert told([(-n, [], False) for n in range(1, 40)]).endswith("and 23 more threads")
