"""python -m farandole._rank_of_run: a rank of ``farandole.run()``, started by farandolerun.

Rank 0 gets the call through its standard input and passes it on to the others. That input stays
open as long as the caller is there; when it ends the rank ends, and with it the job.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import sys
import threading
import traceback
from types import TracebackType
from typing import Any

import farandole
from farandole import _result_lines
from farandole.objects import dumps

_HEAD = 8  # bytes of the length that stands before what the caller sends
_TEXT_CHARACTERS = 256 << 10  # of what an error says: its end, which names it


def _read(fd: int, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        piece = os.read(fd, min(size - len(found), 1 << 20))
        if not piece:
            sys.exit("farandole: the caller of run() is gone")
        found += piece
    return bytes(found)


def _end_with_caller(fd: int) -> None:
    if not os.read(fd, 1):
        os.kill(os.getpid(), signal.SIGTERM)


def _take_streams() -> tuple[int, int]:
    """Copies of standard input and output; the function's own input is empty."""
    source, channel = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return source, channel


def _receive(source: int) -> tuple[bytes, int, int]:
    """The call, this rank's number and how many there are."""
    farandole.init()
    call = b""
    if farandole.rank() == 0:
        call = _read(source, int.from_bytes(_read(source, _HEAD), "little"))
        threading.Thread(target=_end_with_caller, args=(source,), daemon=True).start()
    call = farandole.broadcast_object(call, 0)
    where = farandole.rank(), farandole.size()
    farandole.shutdown()  # the function begins with init(), as any program does
    return call, *where


def _without_own_frames(error: BaseException) -> TracebackType | None:
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace


def _what(error: BaseException) -> str:
    """Class and text, without the notes that a traceback has behind them."""
    summary = traceback.TracebackException(type(error), error, None)
    vars(summary)["__notes__"] = None
    return list(summary.format_exception_only())[-1].strip()


def _failure(error: BaseException) -> dict[str, Any]:
    text = "".join(traceback.format_exception(type(error), error, _without_own_frames(error)))
    follows = isinstance(error, farandole.HorovodInternalError)
    try:
        kept = dumps(error)
        pickle.loads(kept)  # there are exceptions that go in and do not come out
    except Exception:
        kept = b""
    return {
        "text": text[-_TEXT_CHARACTERS:],
        "what": _what(error)[:_TEXT_CHARACTERS],
        "follows": follows and not isinstance(error, farandole.MismatchError),
        "error": kept if len(kept) <= _result_lines.MOST_BYTES else b"",
    }


def _call(call: bytes) -> Any:
    function, args, kwargs = pickle.loads(call)
    return function(*args, **kwargs)


def _pickled(value: Any) -> bytes:
    most = _result_lines.MOST_BYTES
    try:
        result = dumps(value)
    except Exception as error:
        raise farandole.InvalidArgumentError(
            f"run(): the function's result, of type {type(value).__name__}, cannot be pickled to "
            f"go back: {error}; return what can be, such as numbers, text, arrays and lists of them"
        ) from error
    if len(result) > most:
        raise farandole.InvalidArgumentError(
            f"run(): the function's result has {len(result)} bytes when it is pickled, and at most "
            f"{most} ({most >> 20} MiB) go back from each rank; write what is large to a file and "
            "return its path"
        )
    return result


def main() -> None:
    source, channel = _take_streams()
    whole, rank, size = _receive(source)
    head, _, call = whole.partition(b"\n")
    settings = json.loads(head)
    sys.path += [place for place in settings["path"] if place not in sys.path]
    record: dict[str, Any] = {"rank": rank, "size": size}
    try:
        record["result"] = _pickled(_call(call))
    except SystemExit:
        raise
    except BaseException as error:
        record["failure"] = _failure(error)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.flush()  # the function may have closed it, or have put another in its place
    _result_lines.send(channel, settings["token"], pickle.dumps(record))
    sys.exit(1 if "failure" in record else 0)


if __name__ == "__main__":
    main()
