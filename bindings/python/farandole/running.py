"""Functions run by all ranks of a job, from a program or a notebook that is none of them."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import re
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import sysconfig
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from farandole import _result_lines
from farandole.errors import InvalidArgumentError, OperatingSystemError, RunError
from farandole.objects import dumps
from farandole.run_arguments import check_call, check_executable, in_parameters, launcher_words

_PIECE = 1 << 16
_USAGE = 2  # exit code of a launcher that was told what it does not take
_LAST_SECONDS = 30.0  # for a launcher that was told to end: its grace is far below
_LAST_WORDS = 60  # lines of the launcher itself that are kept
_OWN = "farandolerun: "
_LINE_OF_RANK = re.compile(rb"\[(\d+)\] ")
_LAST_LINES = re.compile(rf"{_OWN}last output of rank \d+:")  # stands above them
_LAST_OUTPUT = "; its last output: "


def run(
    func: Callable[..., Any],
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    num_proc: int | None = None,
    min_num_proc: int | None = None,
    max_num_proc: int | None = None,
    slots: int | None = None,
    reset_limit: int | None = None,
    cooldown_range: Sequence[int] | None = None,
    hosts: str | None = None,
    hostfile: str | None = None,
    host_discovery_script: str | None = None,
    start_timeout: float | None = None,
    ssh_port: int | None = None,
    ssh_identity_file: str | None = None,
    disable_cache: bool | None = None,
    output_filename: str | None = None,
    verbose: bool | int | None = None,
    use_gloo: bool | None = None,
    use_mpi: bool | None = None,
    mpi_args: str | None = None,
    network_interface: str | None = None,
    network_interfaces: str | None = None,
    executable: str | None = None,
    np: int | None = None,
    min_np: int | None = None,
    max_np: int | None = None,
    timeout: float | None = None,
) -> list[Any]:
    """Calls ``func(*args, **kwargs)`` on every rank of a new job, and returns what each gave, by
    rank.

    Ranks are started as ``farandolerun`` does it, and what they print is shown here behind
    "[rank] ". The function finds its rank with ``init()``, as any program does.

    func, args, kwargs: the call. It travels with cloudpickle: functions and classes of scripts and
        notebooks go along, and lambdas; what stands in a module the ranks import from there.
    np, num_proc: how many ranks; without them, all slots of the hosts.
    hosts, hostfile: where, as in "node1:4,node2:4"; without them, this machine.
    ssh_port, ssh_identity_file, network_interface, network_interfaces: how to reach others.
    start_timeout, timeout: seconds for the ranks to find each other, and for the whole job.
    output_filename: a folder that keeps what each rank prints, too.
    verbose: whether the launcher tells what it does.
    executable: the ranks' Python; without it, that of this process, at the same place.
    disable_cache, use_gloo: as things are in any case.
    min_num_proc, max_num_proc, min_np, max_np, slots, reset_limit, cooldown_range: refused; jobs of
        changing size are not there yet.
    host_discovery_script, use_mpi, mpi_args: refused likewise.

    Raises ``RunError`` where a rank failed, with that rank's traceback, and
    ``InvalidArgumentError`` where nothing was started because an argument is wrong.
    May be called from any thread, but hears Ctrl-C, and a notebook's "interrupt", in the main one
    only, which runs cells: then it ends the ranks on every host, within the launcher's grace, and
    raises ``KeyboardInterrupt``. A notebook's kernel goes on with all that it knows.
    """
    given = dict(locals())
    check_call(func, args, kwargs, executable)
    words = launcher_words(given)
    if all(given[name] is None for name in ("np", "num_proc", "hosts", "hostfile")):
        raise InvalidArgumentError("run(): np is missing: how many ranks? As in run(func, np=2)")
    if hosts is None and hostfile is None:
        check_executable(executable)
    python = os.fspath(executable) if executable is not None else sys.executable
    command = [_launcher(), "--no-color", *words, "--", python, "-m"]
    token = secrets.token_hex(16)
    head = json.dumps({"token": token, "path": _places()})
    call = head.encode() + b"\n" + _pickled(func, tuple(args), dict(kwargs or {}))
    job = _Job([*command, "farandole._rank_of_run"], call, token, "--verbose" in words)
    try:
        return job.run()
    except InvalidArgumentError as error:
        raise InvalidArgumentError(in_parameters(str(error), given)) from None
    except RunError as error:
        if error.rank >= 0:
            raise
        said = in_parameters(str(error), given)
        raise RunError(said, error.rank, error.exit_code, error.tracebacks) from None
    finally:
        if output_filename is not None:
            _take_records_out(Path(output_filename), token)


def _launcher() -> str:
    beside = Path(sysconfig.get_path("scripts")) / "farandolerun"
    found = str(beside) if beside.exists() else shutil.which("farandolerun")
    if not found:
        raise OperatingSystemError(
            f"run() starts ranks with farandolerun, which is neither {beside} nor in PATH"
        )
    return found


def _places() -> list[str]:
    """Where the caller looks for modules. Nothing is beside a script whose folder is gone."""
    places = []
    for place in sys.path:
        with contextlib.suppress(FileNotFoundError):
            places.append(os.path.abspath(place))
    return places


def _pickled(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    try:
        call = dumps((func, args, kwargs))
    except Exception as error:
        raise InvalidArgumentError(
            f"run(): the function or its arguments cannot be pickled: {error}"
            + ("" if _has_cloudpickle() else "; cloudpickle, once installed, takes more of them")
        ) from error
    if getattr(func, "__module__", None) == "__main__" and not _has_cloudpickle():
        raise InvalidArgumentError(
            f"run(): {func!r} is defined in __main__, which the ranks cannot import; put it into a "
            "module, or install cloudpickle"
        )
    return call


def _has_cloudpickle() -> bool:
    try:
        import cloudpickle  # noqa: F401
    except ImportError:
        return False
    return True


def _texts(failures: Mapping[int, Mapping[str, Any]]) -> dict[int, str]:
    return {rank: failures[rank]["text"] for rank in sorted(failures)}


def _take_records_out(folder: Path, token: str) -> None:
    """What ranks print is kept in files, and their results are none of it. Where that cannot be
    written the files stay as they are, which is no reason to lose what the job gave."""
    mark = _result_lines.mark_of(token)
    failures = []
    for path in sorted(folder.glob("rank.*/stdout")):
        rest = path.with_name("stdout.part")
        try:
            with path.open("rb") as lines, rest.open("wb") as kept:
                for line in lines:
                    kept.write(line.partition(mark)[0])
            rest.replace(path)
        except OSError as error:
            failures.append(f"{path}: {error.strerror} (errno {error.errno})")
            with contextlib.suppress(OSError):
                rest.unlink(missing_ok=True)
    if failures:
        more = f", and so of {len(failures) - 1} more" if len(failures) > 1 else ""
        warnings.warn(
            f"run(): the rank's result could not be taken out of {failures[0]}{more}; what it "
            "printed is there, and lines of the result beside it",
            RuntimeWarning,
            stacklevel=3,
        )


def _show(stream: Any, text: str) -> None:
    """Without a stream (a program without a terminal has none) it is shown nowhere."""
    if stream is None or not text:
        return
    try:
        stream.write(text)
    except UnicodeEncodeError as error:  # what it cannot hold, as Python shows it in ASCII
        stream.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))
    stream.flush()


def _result(rank: int, size: int, result: bytes) -> Any:
    try:
        return pickle.loads(result)
    except Exception as error:
        raise RunError(
            f"run(): the result of rank {rank} of {size} cannot be made of its pickle here: "
            f"{type(error).__name__}: {error}; return what this program can import, too",
            rank,
            exit_code=0,
        ) from error


def _cause(error: bytes) -> BaseException | None:
    """The exception of a rank, if this program can make one of it: its text is there anyway."""
    try:
        made = pickle.loads(error)
    except Exception:
        return None
    return made if isinstance(made, BaseException) else None


class _Job:
    """One launcher and what comes from it."""

    def __init__(self, command: list[str], call: bytes, token: str, verbose: bool) -> None:
        self._mark = _result_lines.mark_of(token)
        self._token = token
        self._verbose = verbose
        self._records: dict[int, _result_lines.Record] = {}
        self._words: list[str] = []
        self._unfinished = {"out": b"", "err": b""}
        self._unsent = memoryview(len(call).to_bytes(8, "little") + call)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # Ctrl-C comes here, and goes on from here
        )

    def run(self) -> list[Any]:
        try:
            self._talk()
            code = self._process.wait(_LAST_SECONDS)
        except BaseException as error:
            self._end(signal.SIGINT if isinstance(error, KeyboardInterrupt) else signal.SIGTERM)
            raise
        finally:
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                if stream is not None:
                    stream.close()
        return self._outcome(code)

    def _end(self, number: signal.Signals) -> None:
        """The launcher ends its ranks on every host within its grace."""
        if self._process.stdin is not None:
            self._process.stdin.close()
            self._process.stdin = None  # or communicate() wants to flush it
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            self._process.communicate(timeout=_LAST_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _talk(self) -> None:
        """Sends the call and shows what is printed until both streams have ended."""
        process = self._process
        assert process.stdin and process.stdout and process.stderr
        os.set_blocking(process.stdin.fileno(), False)
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdin, selectors.EVENT_WRITE, "in")
            selector.register(process.stdout, selectors.EVENT_READ, "out")
            selector.register(process.stderr, selectors.EVENT_READ, "err")
            reading = 2
            while reading:
                for key, _ in selector.select():
                    if key.data == "in":
                        if not self._send(key.fd):
                            selector.unregister(key.fileobj)
                        continue
                    piece = os.read(key.fd, _PIECE)
                    self._take(key.data, piece)
                    if not piece:
                        selector.unregister(key.fileobj)
                        reading -= 1

    def _send(self, fd: int) -> bool:
        """False once there is nothing more to send. The stream stays open: it says that we live."""
        try:
            self._unsent = self._unsent[os.write(fd, self._unsent[:_PIECE]) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False  # what the launcher says and how it ends tell why
        return bool(self._unsent)

    def _take(self, name: str, piece: bytes) -> None:
        *lines, rest = (self._unfinished[name] + piece).split(b"\n")
        if not piece and rest:
            lines, rest = [rest], b""
        self._unfinished[name] = rest
        shown = [text for line in lines if (text := self._line(name, line)) is not None]
        _show(sys.stdout if name == "out" else sys.stderr, "".join(f"{text}\n" for text in shown))

    def _line(self, name: str, line: bytes) -> str | None:
        """What is to be shown of a line."""
        found = _LINE_OF_RANK.match(line)
        if name == "out" and found:
            before, mark, body = line.partition(self._mark)
            if mark:
                self._records.setdefault(int(found[1]), _result_lines.Record()).add(body)
                line = before
                if before == found[0]:
                    return None
        text = line.decode(errors="backslashreplace")
        if name == "out" or found or text.startswith(f"{_OWN}warning: "):
            return text
        if self._token in text:  # a record is none of a rank's last lines
            text = text.partition(_LAST_OUTPUT)[0] if text.startswith(_OWN) else ""
        if text.startswith(_OWN) and not _LAST_LINES.match(text):  # those were shown
            self._words = [*self._words, text.removeprefix(_OWN)][-_LAST_WORDS:]
        return text if self._verbose and text else None

    def _outcome(self, code: int) -> list[Any]:
        whole = {r: pickle.loads(one.whole) for r, one in self._records.items() if one.whole}
        failures = {rank: one["failure"] for rank, one in whole.items() if "failure" in one}
        said = "\n".join(self._words[-1:] if self._verbose else self._words)
        named = re.match(r"rank (\d+) ", self._words[-1]) if self._words else None
        blamed = int(named[1]) if named else -1
        if failures and (
            not said or blamed in failures or not all(one["follows"] for one in failures.values())
        ):
            self._raise_failure(whole, failures, code, blamed)
        size = next((one["size"] for one in whole.values()), None)
        if code == 0 and size == len(whole):
            return [_result(rank, size, whole[rank]["result"]) for rank in sorted(whole)]
        if code == _USAGE and not whole:
            raise InvalidArgumentError(f"run(): {said}")
        if said:
            raise RunError(f"run(): {said}", blamed, code, _texts(failures))
        silent = [rank for rank in range(size or 0) if rank not in whole]
        raise RunError(
            "run(): the program ended before the function did"
            + (f", on rank {silent[0]}" if silent else "")
            + " (sys.exit or os._exit)",
            rank=silent[0] if silent else -1,
            exit_code=code,
        )

    def _raise_failure(
        self, whole: dict[int, Any], failures: dict[int, dict[str, Any]], code: int, blamed: int
    ) -> None:
        """Blames a rank that failed by itself before one that lost another, of which that comes
        first that the launcher blames."""
        rank = min(
            failures,
            key=lambda one: (
                failures[one]["follows"],
                failures[one]["follows"] and one != blamed,
                one,
            ),
        )
        failure = failures[rank]
        size = whole[rank]["size"]
        raise RunError(
            f"rank {rank} of {size} raised {failure['what']}\n\n{failure['text'].rstrip()}",
            rank,
            code,
            _texts(failures),
        ) from _cause(failure["error"])
