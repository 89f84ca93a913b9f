"""init and shutdown, in every order."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from jobs import threads

import farandole as fdl
from farandole import _session

pytestmark = pytest.mark.timeout(120)

TOPOLOGY = (
    fdl.rank,
    fdl.size,
    fdl.local_rank,
    fdl.local_size,
    fdl.cross_rank,
    fdl.cross_size,
    fdl.is_homogeneous,
)


def python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("question", TOPOLOGY)
def test_topology_before_init_is_a_value_error(question: object) -> None:
    assert not fdl.is_initialized()
    with pytest.raises(ValueError, match="call init"):
        question()  # type: ignore[operator]


def test_collectives_before_init_say_what_is_missing() -> None:
    for call in (
        lambda: fdl.allreduce(np.ones(1)),
        lambda: fdl.allgather(np.ones(1)),
        lambda: fdl.broadcast_object(1),
        fdl.barrier,
    ):
        with pytest.raises(fdl.NotInitializedError, match="call init"):
            call()


def test_one_rank_without_a_launcher(session: None) -> None:
    assert fdl.is_initialized()
    assert [question() for question in TOPOLOGY] == [0, 1, 0, 1, 0, 1, True]


def test_init_again_changes_nothing(session: None) -> None:
    fdl.init()
    assert fdl.size() == 1


def test_shutdown_without_init_and_twice() -> None:
    fdl.shutdown()
    fdl.init()
    fdl.shutdown()
    fdl.shutdown()
    assert not fdl.is_initialized()


def test_many_cycles_with_work_left_over() -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    before = threads()
    for i in range(50):
        fdl.init()
        handle = fdl.allreduce_async(np.full(3, i), op=fdl.Sum)
        del handle
        fdl.shutdown()
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 2
    new = {number: name for number, name in threads().items() if number not in before}
    assert new == {}


class Leavers(set[object]):
    """Tells when somebody wants to leave."""

    def __init__(self) -> None:
        super().__init__()
        self.someone = threading.Event()

    def add(self, token: object) -> None:
        super().add(token)
        self.someone.set()


class Formation:
    """Stands for _native.Session: goes on until a leaver waits for it, as the other ranks never
    come."""

    def __init__(self, leavers: Leavers) -> None:
        self._leavers = leavers
        self.begun = threading.Event()
        self.count = 0

    def __call__(self, _: object, is_given_up: Callable[[], bool], __: object) -> None:
        self.count += 1
        self.begun.set()
        assert self._leavers.someone.wait(30)
        assert is_given_up()
        raise fdl.AbortedError("given up")


class LastInTheQueue:
    """A lock that its maker's thread gets only after the others have ended."""

    def __init__(self, others: list[threading.Thread]) -> None:
        self._lock = threading.RLock()
        self._last = threading.get_ident()
        self._others = others

    def __enter__(self) -> None:
        if threading.get_ident() == self._last:
            for thread in self._others:
                thread.join(30)
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_shutdown_ends_the_init_that_waits_and_those_behind_it() -> None:
    ends: list[str] = []

    def join() -> None:
        try:
            fdl.init()
        except fdl.AbortedError as error:
            ends.append(str(error))

    threads = [threading.Thread(target=join) for _ in range(2)]
    with pytest.MonkeyPatch.context() as patched:
        leavers = Leavers()
        formation = Formation(leavers)
        patched.setattr(_session, "_native", SimpleNamespace(Session=formation))
        patched.setattr(_session._default, "leavers", leavers)
        patched.setattr(_session._default, "lock", LastInTheQueue(threads))
        threads[0].start()
        assert formation.begun.wait(30)
        threads[1].start()
        fdl.shutdown()
        assert not any(thread.is_alive() for thread in threads)
        assert ends == ["init() was ended by shutdown() while it was waiting for other ranks"] * 2
        assert formation.count == 1
        assert not leavers
    fdl.init()
    assert fdl.size() == 1
    fdl.shutdown()


def test_an_init_that_is_interrupted_leaves_nothing_half_done() -> None:
    def interrupt() -> int:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_session, "os", SimpleNamespace(getpid=interrupt))
        with pytest.raises(KeyboardInterrupt):
            fdl.init()
        for question in TOPOLOGY:
            with pytest.raises(fdl.NotInitializedError):
                question()
        assert not fdl.is_initialized()
    fdl.init()
    assert fdl.size() == 1
    fdl.shutdown()


def test_shutdown_by_a_signal_handler_within_shutdown() -> None:
    program = (
        "import signal, farandole as fdl\n"
        "from farandole import _session\n"
        "signal.signal(signal.SIGTERM, lambda *_: (fdl.shutdown(), print('handled')))\n"
        "fdl.init()\n"
        "class Interrupted:\n"
        "    native = _session.current()\n"
        "    def shutdown(self, cause):\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "        self.native.shutdown(cause)\n"
        "_session._default.joined = _session._joined()._replace(session=Interrupted())\n"
        "fdl.shutdown()\n"
        "fdl.init()\n"
        "print(fdl.size())\n"
    )
    result = python(program)
    assert (result.returncode, result.stdout, result.stderr) == (0, "handled\n1\n", "")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_name_bytes": 64}, "with max_name_bytes=16, and max_name_bytes=64 comes too late"),
        ({"fusion_bytes": 0}, "with fusion_bytes not given, and fusion_bytes=0 comes too late"),
        ({3: 1}, "3 is no name of a setting"),
    ],
)
def test_init_again_does_not_take_other_settings(settings: Any, message: str) -> None:
    fdl.init(settings={"max_name_bytes": 16})
    try:
        fdl.init(settings={"max_name_bytes": 16})
        fdl.init()
        with pytest.raises(fdl.InvalidArgumentError, match=message):
            fdl.init(settings=settings)
        assert fdl.is_initialized()
    finally:
        fdl.shutdown()
    with pytest.raises(fdl.NotInitializedError):
        fdl.size()


@pytest.mark.parametrize(
    ("ending", "cause"),
    [
        ("", "its program ended without shutdown"),
        ("raise SystemExit(3)", "its program ended without shutdown"),
        ("1 / 0", "an uncaught ZeroDivisionError ended its program"),
        ("raise KeyboardInterrupt", "an uncaught KeyboardInterrupt ended its program"),
        (
            "import threading; t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()",
            "its program ended without shutdown",
        ),
        (
            "import code; code.InteractiveConsole(globals()).push('1 / 0')",
            "its program ended without shutdown",
        ),
        ("fdl.shutdown()", "shutdown"),
    ],
)
def test_why_a_rank_leaves(ending: str, cause: str) -> None:
    program = (
        "import farandole as fdl\n"
        "from farandole import _session\n"
        "fdl.init()\n"
        "class Told:\n"
        "    native = _session.current()\n"
        "    def shutdown(self, cause):\n"
        "        print(cause)\n"
        "        self.native.shutdown(cause)\n"
        "_session._default.joined = _session._joined()._replace(session=Told())\n"
        f"{ending}\n"
    )
    assert python(program).stdout == f"{cause}\n"


def test_a_failure_that_a_test_runner_caught_ends_no_program(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it():\n    1 / 0\n")
    program = (
        "import pytest, sys\n"
        "from farandole._uncaught import name_of_uncaught\n"
        f"pytest.main(['-q', '-p', 'no:cacheprovider', {str(tmp_path)!r}])\n"
        "print(sys.last_type.__name__, name_of_uncaught())\n"
    )
    ending = python(program).stdout.splitlines()[-1]
    assert ending == "ZeroDivisionError None"


def test_settings_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARANDOLE_MAX_NAME_BYTES", "4096")
    fdl.init(settings={"max_name_bytes": 16})
    try:
        with pytest.raises(ValueError, match="at most 16"):
            fdl.allreduce(np.ones(1), name="a name of more than sixteen bytes")
    finally:
        fdl.shutdown()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fusion_bytes": "abc"}, 'fusion_bytes="abc" is not valid'),
        ({"no_such_thing": 1}, 'no setting "no_such_thing"'),
        ({"rank": 3}, "is not below"),
    ],
)
def test_bad_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fdl.init(settings=settings)
    assert not fdl.is_initialized()


def test_bad_environment_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARANDOLE_FUSION_BYTES", "abc")
    with pytest.raises(ValueError, match=r'FARANDOLE_FUSION_BYTES="abc".*a whole number'):
        fdl.init()


def test_unknown_variable_warns_with_the_nearest() -> None:
    result = python("import farandole; farandole.init()", FARANDOLE_FUSION_BYTE="1")
    assert result.returncode == 0, result.stderr
    assert "FARANDOLE_FUSION_BYTE" in result.stderr
    assert "FARANDOLE_FUSION_BYTES" in result.stderr


def test_arguments_of_horovod_that_are_not_there_are_refused() -> None:
    with pytest.raises(fdl.UnsupportedError, match="comm"):
        fdl.init(comm=[0])
    assert not fdl.is_initialized()


@pytest.mark.parametrize(
    "ending",
    ["", "import os; del handle", "raise SystemExit(0)", "import gc; gc.disable()", "del fdl, np"],
)
def test_interpreter_ends_cleanly_with_handles_in_flight(ending: str) -> None:
    program = (
        "import farandole as fdl, numpy as np\n"
        "fdl.init()\n"
        "array = fdl.allgather(np.ones(5))\n"
        "handle = fdl.allreduce_async(np.ones(1 << 20))\n"
        f"{ending}\n"
    )
    result = python(program)
    assert (result.returncode, result.stderr) == (0, "")


def test_forked_child_gets_a_clear_error_and_the_parent_goes_on(session: None) -> None:
    with np.errstate(all="ignore"):
        child = os.fork()
    if child == 0:
        code = 1
        try:
            assert not fdl.is_initialized()
            for call in (
                fdl.rank,
                fdl.counters,
                fdl.barrier,
                fdl.init,
                fdl.mpi_threads_supported,
                lambda: fdl.allreduce(np.ones(1)),
            ):
                with pytest.raises(fdl.AbortedError, match="forked"):
                    call()
            fdl.shutdown()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert fdl.allreduce(np.ones(3), op=fdl.Sum).tolist() == [1, 1, 1]


def test_import_needs_neither_torch_nor_ml_dtypes() -> None:
    program = (
        "import sys\n"
        "for name in ('torch', 'ml_dtypes', 'cloudpickle'): sys.modules[name] = None\n"
        "import farandole as fdl\n"
        "fdl.init()\n"
        "assert fdl.broadcast_object({'a': 1}) == {'a': 1}\n"
    )
    result = python(program)
    assert result.returncode == 0, result.stderr
