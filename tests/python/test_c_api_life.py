"""Every function of farandole.h at the wrong time: after shutdown, with what was freed, in a forked
child. Which functions there are comes from the header."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest
from c_library import Function, functions
from c_mistakes import NO_HANDLE, NO_SESSION
from c_scene import ABORTED, INVALID, Scene, call, failure_of, of_object

pytestmark = pytest.mark.timeout(60)

SHUT_DOWN = "the session is shut down; start a new one"
FORKED = (
    "this process was forked from one that had initialised Farandole; a forked child cannot "
    "communicate: use the parent, or start the child anew (spawn)"
)


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.close()


# What a session that was shut down still answers; all else is FDL_ABORTED.
LATER = {
    "fdl_destroy",
    "fdl_get_counters",
    "fdl_get_topology",
    "fdl_host_of",
    "fdl_rank",
    "fdl_shutdown",
    "fdl_shutdown_because",
    "fdl_size",
    "fdl_stop_timeline",
}


@pytest.mark.parametrize("function", of_object("fdl_session*"), ids=lambda f: f.name)
def test_after_shutdown(scene: Scene, function: Function) -> None:
    assert scene.library["fdl_shutdown"](scene.session) == 0
    returned = call(scene, function)
    if function.name == "fdl_destroy":
        scene.session = None
    if function.name in LATER:
        assert returned == (1 if function.name == "fdl_size" else 0), scene.library.error()
        return
    assert returned == ABORTED
    assert scene.library.error() == SHUT_DOWN
    assert not scene.place.value


@pytest.mark.parametrize("function", of_object("fdl_handle*"), ids=lambda f: f.name)
def test_handles_after_their_session(scene: Scene, function: Function) -> None:
    assert scene.library["fdl_destroy"](scene.session) == 0
    scene.session = None
    assert call(scene, function) == 0, scene.library.error()
    if function.name == "fdl_release":
        scene.handle = 0


@pytest.mark.parametrize("function", of_object("fdl_handle*"), ids=lambda f: f.name)
def test_released_handle(scene: Scene, function: Function) -> None:
    assert scene.library["fdl_release"](scene.handle) == 0
    assert call(scene, function) == INVALID
    assert scene.library.error() == NO_HANDLE
    scene.handle = 0


@pytest.mark.parametrize("function", of_object("fdl_session*"), ids=lambda f: f.name)
def test_destroyed_session(scene: Scene, function: Function) -> None:
    assert scene.library["fdl_destroy"](scene.session) == 0
    assert call(scene, function) == failure_of(function, INVALID)
    assert scene.library.error() == NO_SESSION
    scene.session = None


def test_one_of_several_threads_gives_a_handle_back(scene: Scene) -> None:
    """Which is freed once, and the others are told."""
    barrier = threading.Barrier(4)
    told: list[list[tuple[int, str]]] = [[] for _ in range(4)]
    handles = [scene.submit(f"of all {number}".encode()) for number in range(200)]

    def release(number: int) -> None:
        for handle in handles:
            barrier.wait(30)
            code = scene.library["fdl_release"](handle)
            told[number].append((code, scene.library.error() if code else ""))

    threads = [threading.Thread(target=release, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    refused = (INVALID, NO_HANDLE)
    for answers in zip(*told, strict=True):
        assert sorted(answers) == [(0, ""), refused, refused, refused]
    assert [len(answers) for answers in told] == [len(handles)] * 4


def told_in_child(scene: Scene, function: Function, before: dict[str, object]) -> str:
    """What a forked child sees of a function, where that is wrong."""
    returned = call(scene, function)
    if function.name == "fdl_init":  # a session of its own, which needs nothing of the parent's
        own = scene.place.value
        barrier = scene.library["fdl_barrier"](own)
        answers = (returned, barrier, scene.library["fdl_destroy"](own))
        return "" if answers == (0, 0, 0) else f"{answers} {scene.library.error()}"
    if function.name in before:
        return "" if returned == before[function.name] else f"{returned}"
    wanted = (failure_of(function, ABORTED), FORKED)
    told = (returned, scene.library.error())
    return "" if told == wanted else f"{told}"


@pytest.mark.threads_after_fork
def test_forked_child(scene: Scene) -> None:
    """Every function there is; the child tells what is wrong of it."""
    inherited = {f.name for f in of_object("fdl_session*", "fdl_handle*")}
    of_last_error = {"fdl_last_error", "fdl_last_error_rank"}  # asked after each call
    apart = {"fdl_destroy", "fdl_release", *of_last_error}
    tried = [f for f in functions().values() if f.name not in apart]
    before = {
        f.name: call(scene, f) for f in tried if f.name not in inherited and f.name != "fdl_init"
    }
    assert {"fdl_version", "fdl_config", "fdl_dtype_size"} <= set(before)
    end, start = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(30)  # which ends one that hangs
        problem = ""
        try:
            for function in tried:
                if wrong := told_in_child(scene, function, before):
                    problem += f"{function.name}: {wrong}; "
            assert scene.library["fdl_last_error_rank"]() == -1
            scene.close()  # giving back is allowed and harms nobody
        except BaseException as error:
            problem += repr(error)
        finally:
            os.write(start, problem.encode())
            os._exit(0)
    os.close(start)
    with os.fdopen(end) as report:
        assert report.read() == ""
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert scene.library["fdl_barrier"](scene.session) == 0, scene.library.error()
