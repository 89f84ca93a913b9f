"""farandole.run(): functions called on every rank of a job that a program starts."""

from __future__ import annotations

import io
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
from marked import left_after

import farandole
from farandole import _result_lines

pytestmark = pytest.mark.timeout(150)
LIMIT = 60.0


def test_results_come_by_rank_and_prints_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """The function closes over what it needs, and begins with init(), as a program does."""
    offset = 10

    def train(factor: float, *, size: int) -> Any:
        import sys

        import numpy as np

        import farandole as fdl

        fdl.init()
        total = fdl.allreduce(np.full(2, factor * (fdl.rank() + 1)), op=fdl.Sum)
        print("epoch 1\nunfinished \u00fc", end="")
        print("warned", file=sys.stderr)
        return fdl.rank() + offset, total.tolist(), "x" * size, sys.stdin.read()

    results = farandole.run(train, (2.0,), {"size": 100_000}, np=2)
    assert results == [(rank + 10, [6.0, 6.0], "x" * 100_000, "") for rank in range(2)]
    shown = capsys.readouterr()
    assert sorted(shown.out.splitlines()) == sorted(
        f"[{rank}] {line}" for rank in range(2) for line in ("epoch 1", "unfinished \u00fc")
    )
    assert sorted(shown.err.splitlines()) == ["[0] warned", "[1] warned"]


def test_who_failed_by_itself_is_blamed_with_its_traceback() -> None:
    def fail() -> None:
        import numpy as np

        import farandole as fdl

        fdl.init()
        if fdl.rank() == 1:
            raise KeyError("no such batch")
        fdl.allreduce(np.ones(2))

    with pytest.raises(farandole.RunError) as caught:
        farandole.run(fail, np=2)
    error = caught.value
    lines = str(error).splitlines()
    assert lines[0] == "rank 1 of 2 raised KeyError: 'no such batch'"
    assert lines[2] == "Traceback (most recent call last):"
    assert lines[3].endswith(", in fail")
    assert f'File "{__file__}"' in lines[3]
    assert lines[-1] == "KeyError: 'no such batch'"
    assert (error.rank, error.exit_code) == (1, 1)
    assert isinstance(error.__cause__, KeyError)
    assert error.__cause__.args == ("no such batch",)
    assert 1 in error.tracebacks
    assert "PeerLostError" in error.tracebacks.get(0, "PeerLostError")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.rank, again.tracebacks) == (str(error), 1, error.tracebacks)


def test_a_result_that_is_too_large_says_what_to_do() -> None:
    most = _result_lines.MOST_BYTES

    def give(size: int) -> bytes:
        return bytes(size)

    with pytest.raises(farandole.RunError) as caught:
        farandole.run(give, (most,), np=1)  # with what pickle puts around it
    text = str(caught.value).splitlines()[0]
    assert "raised farandole.errors.InvalidArgumentError: run(): the function's result has " in text
    assert f"at most {most} (64 MiB) go back from each rank; write what is large to a file" in text
    assert isinstance(caught.value.__cause__, farandole.InvalidArgumentError)


def test_the_text_of_an_error_is_bounded() -> None:
    def fail() -> None:
        raise ValueError("x" * (8 << 20) + "end")

    with pytest.raises(farandole.RunError, match="raised ValueError: xxx") as caught:
        farandole.run(fail, np=1)
    assert len(str(caught.value)) < 1 << 20
    assert str(caught.value).endswith("xend")
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.__cause__.args[0].endswith("xend")


def test_a_record_without_end_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_result_lines, "MOST_BYTES", 3 * 1000 - (4 << 20))
    record = _result_lines.Record()
    for _ in range(10_000):
        record.add(b"AAAA" * 100)
    assert len(record._bytes) <= 3000 + 300
    assert record.whole is None


def test_a_rank_that_dies_is_named() -> None:
    def die() -> None:
        import os

        import numpy as np

        import farandole as fdl

        fdl.init()
        if fdl.rank() == 1:
            os.kill(os.getpid(), 9)
        fdl.allreduce(np.ones(2))

    with pytest.raises(farandole.RunError, match=r"rank 1 \(.*\) was ended by SIGKILL") as caught:
        farandole.run(die, np=2)
    assert (caught.value.rank, caught.value.exit_code) == (1, 137)


def failure_of(function: Any, np: int = 1, **given: Any) -> farandole.RunError:
    with pytest.raises(farandole.RunError) as caught:
        farandole.run(function, np=np, **given)
    return caught.value


def test_a_result_that_cannot_travel_says_so() -> None:
    error = failure_of(lambda: (number for number in range(3)))
    assert str(error).startswith(
        "rank 0 of 1 raised farandole.errors.InvalidArgumentError: run(): the function's result, "
        "of type generator, cannot be pickled to go back: cannot pickle 'generator' object; return "
    )

    class Absent:
        def __reduce__(self) -> Any:
            return os.listdir, ("/no/such/folder",)

    error = failure_of(Absent)
    assert str(error).startswith(
        "run(): the result of rank 0 of 1 cannot be made of its pickle here: FileNotFoundError: "
    )
    assert (error.rank, error.exit_code) == (0, 0)
    assert isinstance(error.__cause__, FileNotFoundError)


def test_an_error_that_only_ranks_know_keeps_its_text() -> None:
    def fail() -> None:
        import sys
        import types

        module = types.ModuleType("known_to_ranks")
        sys.modules["known_to_ranks"] = module
        exec("class Odd(Exception): pass", module.__dict__)
        raise module.Odd("very")

    error = failure_of(fail)
    assert str(error).splitlines()[0] == "rank 0 of 1 raised known_to_ranks.Odd: very"
    assert error.__cause__ is None


def test_what_is_no_exception_has_its_traceback_too() -> None:
    def fail() -> None:
        error = KeyboardInterrupt("pressed")
        vars(error)["__notes__"] = ["a note", "of two lines"]  # as add_note() leaves them
        raise error

    error = failure_of(fail)
    lines = str(error).splitlines()
    assert lines[0] == "rank 0 of 1 raised KeyboardInterrupt: pressed"
    assert lines[2] == "Traceback (most recent call last):"
    assert lines[3].endswith(", in fail")
    assert isinstance(error.__cause__, KeyboardInterrupt)


def test_where_all_follow_the_one_that_ended_first_says_why() -> None:
    """A rank's function returned early, which is no failure of it; the other has lost it."""

    def fail() -> None:
        import numpy as np

        import farandole as fdl

        fdl.init()
        if fdl.rank() == 0:
            fdl.allreduce(np.ones(2), name="alone")

    error = failure_of(fail, np=2)
    lines = str(error).splitlines()
    assert lines[0].startswith('rank 0 of 2 raised farandole.errors.PeerLostError: allreduce "al')
    assert lines[0].endswith("left the job: its program ended without shutdown")
    assert lines[3].endswith(", in fail")
    assert (error.rank, error.exit_code) == (0, 1)


def test_a_function_may_take_the_streams_away() -> None:
    def close() -> int:
        import sys

        sys.stdout.close()
        sys.stderr = None
        return 5

    assert farandole.run(close, np=1) == [5]


def test_what_a_stream_cannot_hold_is_shown_in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    held = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(held, encoding="ascii"))
    monkeypatch.setattr(sys, "stderr", None)  # as of a program without a terminal

    def show() -> None:
        import sys

        print("Zo\u00eb")
        print("warned", file=sys.stderr)

    assert farandole.run(show, np=1) == [None]
    assert held.getvalue() == b"[0] Zo\\xeb\n"


def test_the_folder_of_the_caller_may_be_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    assert farandole.run(abs, (-1,), np=1) == [1]


def test_errors_of_the_launcher_name_parameters() -> None:
    error = failure_of(print, output_filename="/proc/none")
    assert str(error).startswith("run(): output_filename: the folder /proc/none/rank.0 cannot be ")
    error = failure_of(time.sleep, args=(1000,), timeout=1)
    assert "was ended after 1.00 s (timeout); " in str(error)


def test_a_rank_that_leaves_has_no_result() -> None:
    with pytest.raises(farandole.RunError, match="the program ended before the function did"):
        farandole.run(sys.exit, (0,), np=1)
    with pytest.raises(farandole.RunError, match="exit code 3"):
        farandole.run(sys.exit, (3,), np=1)


def test_flags_are_those_of_the_launcher(tmp_path: Path, capsys: Any) -> None:
    """A file of it holds what a rank prints; the time limit ends the job."""

    def show() -> str:
        import os

        print("printed")
        return os.environ["FARANDOLE_START_TIMEOUT"]

    folder = str(tmp_path / "out")
    given: dict[str, Any] = {"start_timeout": 77, "output_filename": folder, "verbose": 2}
    assert farandole.run(show, hosts="localhost:1", **given) == ["77"]
    assert "farandolerun: rank 0 started" in capsys.readouterr().err
    assert (tmp_path / "out/rank.0/stdout").read_text() == "printed\n"
    with pytest.raises(farandole.RunError, match="timeout"):
        farandole.run(time.sleep, (1000,), np=1, timeout=1)


def test_an_interpreter_that_is_not_there() -> None:
    with pytest.raises(farandole.RunError, match="/no/python was not found"):
        farandole.run(print, hosts="localhost:1", executable="/no/python")


def test_without_cloudpickle_functions_of_modules_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cloudpickle", None)

    def local() -> None: ...

    with pytest.raises(farandole.InvalidArgumentError, match="cloudpickle, once installed"):
        farandole.run(local, np=1)
    monkeypatch.setattr(sys.modules["__main__"], "of_main", FunctionType(local.__code__, {}), False)
    function = sys.modules["__main__"].of_main
    function.__module__, function.__qualname__ = "__main__", "of_main"
    function.__name__ = "of_main"
    with pytest.raises(farandole.InvalidArgumentError, match="which the ranks cannot import"):
        farandole.run(function, np=1)
    assert farandole.run(os.path.join, ("a", "b"), np=1) == ["a/b"]


CALLER = """
import sys, farandole
def stay():
    import time, farandole
    farandole.init()
    print("up")
    time.sleep(1000)
farandole.run(stay, np=2)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_job_ends_with_its_caller(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "caller.py"
    script.write_text(CALLER)
    mark = f"CALLER_MARK={tmp_path}"
    caller = subprocess.Popen(
        ["env", "--default-signal=INT", mark, sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert caller.stdout is not None and caller.stderr is not None
    assert sorted(caller.stdout.readline() for _ in range(2)) == ["[0] up\n", "[1] up\n"]
    caller.send_signal(number)
    assert caller.wait(LIMIT) == -number
    error = caller.stderr.read()
    caller.stdout.close()
    caller.stderr.close()
    assert ("KeyboardInterrupt" in error) == (number == signal.SIGINT), error
    assert left_after(mark, LIMIT) == {}


def sent(token: str, record: bytes) -> list[bytes]:
    """The lines of a record, as they leave the rank, without their marks."""
    source, target = os.pipe()
    sender = threading.Thread(target=_result_lines.send, args=(target, token, record))
    sender.start()
    text = b""
    while not text.endswith(b"\n") or b" end " not in text.splitlines()[-1]:
        text += os.read(source, 1 << 16)
    sender.join()
    os.close(source)
    os.close(target)
    mark = _result_lines.mark_of(token)
    lines = text.splitlines()
    assert all(line.startswith(mark) and len(line) < 4096 for line in lines)
    return [line.removeprefix(mark) for line in lines]


@pytest.mark.parametrize("size", [0, 1, 2880, 2881, 100_000])
def test_records_are_read_as_they_were_sent(size: int) -> None:
    record = os.urandom(size)
    lines = sent("ab12", record)
    read = _result_lines.Record()
    for line in lines:
        assert read.whole is None
        read.add(line)
    assert read.whole == record


def test_a_record_that_is_not_whole_is_none() -> None:
    lines = sent("ab12", bytes(10_000))
    for broken in (lines[1:], [*lines[:2], *lines[3:]], [lines[0][:-1], *lines[1:]], lines[:-1]):
        read = _result_lines.Record()
        for line in broken:
            read.add(line)
        assert read.whole is None
