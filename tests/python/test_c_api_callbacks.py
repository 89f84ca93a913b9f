"""What a program gives fdl_init to be called: to give up, and to say where its threads are."""

from __future__ import annotations

import ctypes
import os
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from c_library import Library, c_library, struct
from c_scene import ABORTED
from ports import reserved_port

pytestmark = pytest.mark.timeout(60)

GIVE_UP = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
STACKS = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
CAPACITY = 16384
LINE = b"x" * 127 + b"\n"
SIZE_MAX = (1 << 64) - 1
USER = 4711  # what is given back to a callback


class Session:
    """One of a job of two ranks, which ends when the block does."""

    def __init__(self, library: Library, settings: dict[str, Any], **callbacks: Any) -> None:
        self.library = library
        self._kept = ((struct("fdl_setting") * len(settings))(), callbacks)
        for row, (key, value) in zip(self._kept[0], settings.items(), strict=True):
            row.key, row.value = key.encode(), str(value).encode()
        self.options = struct("fdl_options")()
        self.options.struct_size = ctypes.sizeof(self.options)
        self.options.settings = ctypes.addressof(self._kept[0])
        self.options.setting_count = len(settings)
        self.options.ignore_environment = 1
        self.options.user = USER
        for name, callback in callbacks.items():
            setattr(self.options, name, ctypes.cast(callback, ctypes.c_void_p).value)
        self.place = ctypes.c_void_p(0)

    def init(self) -> tuple[int, str]:
        options, place = ctypes.byref(self.options), ctypes.byref(self.place)
        code: int = self.library["fdl_init"](options, place)
        return code, self.library.error() if code else ""


@contextmanager
def job(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Settings of its ranks."""
    secret = tmp_path / "secret"
    secret.write_bytes(os.urandom(32))
    secret.chmod(0o600)
    with reserved_port() as port:
        yield {
            "size": 2,
            "controller": f"127.0.0.1:{port.getsockname()[1]}",
            "job": uuid.uuid4().hex,
            "secret_file": secret,
        }


@pytest.mark.parametrize("rank", [0, 1])
def test_who_gives_up_is_told_so(rank: int, tmp_path: Path) -> None:
    """While the other rank is missing, at once and not at the deadline."""
    asked: list[int | None] = []

    def give_up(user: int | None) -> int:
        asked.append(user)
        return int(len(asked) == 2)

    with job(tmp_path) as settings:
        given = {**settings, "rank": rank, "start_timeout": 600}
        session = Session(c_library(), given, give_up=GIVE_UP(give_up))
        assert session.init() == (ABORTED, "given up while the group formed")
    assert not session.place.value
    assert asked == [USER, USER]


@pytest.mark.parametrize(
    ("returned", "lines"),
    [(3, ["xxx"]), (0, []), (CAPACITY, ["x" * 127] * 128), (SIZE_MAX, ["x" * 127] * 128)],
    ids=("few", "none", "all", "more"),
)
def test_stacks_are_what_was_written(
    returned: int, lines: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """And no more than there was room for, whatever the callback returns."""
    library = c_library()
    told: list[tuple[int | None, int]] = []
    asked = threading.Event()

    def stacks(user: int | None, text: int, capacity: int) -> int:
        told.append((user, capacity))
        ctypes.memmove(text, LINE * (capacity // len(LINE)), capacity)
        if len(told) == 2:  # so the first answer has come to rank 0
            asked.set()
        return returned

    answers: dict[int, tuple[int, str]] = {}
    # Kept until every thread has ended: the sessions call it.
    callback = STACKS(stacks)

    def of_rank(rank: int, settings: dict[str, Any]) -> None:
        mine = {**settings, "rank": rank, "stall_check_time": 0.5, "communicator": "shm"}
        session = Session(library, mine, **({"stacks": callback} if rank else {}))
        answers[rank] = session.init()
        if answers[rank][0]:
            return
        if rank == 1:
            asked.wait(30)
        codes = [library["fdl_barrier"](session.place)]
        codes.append(library["fdl_destroy"](session.place))
        answers[rank] = (max(codes), library.error() if any(codes) else "")

    with job(tmp_path) as settings:
        threads = [threading.Thread(target=of_rank, args=(rank, settings)) for rank in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(50)
    assert answers == {0: (0, ""), 1: (0, "")}
    assert told[0] == (USER, CAPACITY)
    said = [line.partition("warning: ")[2] for line in capfd.readouterr().err.splitlines()]
    head = said.index("  rank 1, which is waited for:")
    waits = (
        r'barrier "barrier\.noname\.1" has waited for [\d.]+ s: rank 0 has submitted it, '
        "rank 1 has not"
    )
    assert len(said[:head]) == 1 and re.fullmatch(waits, said[0]), said
    found = said[head + 1 :]
    end = next(i for i, line in enumerate([*found, ""]) if not line.startswith("    "))
    assert found[:end] == ["    " + line for line in lines]
