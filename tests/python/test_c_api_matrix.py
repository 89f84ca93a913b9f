"""Every function of farandole.h with whatever could be wrong about each of its arguments.

Functions, parameters and fields of structs come from the header: one that is in no table of
c_mistakes.py fails a test.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator

import pytest
from c_library import Function, Parameter, enumerations, functions, struct
from c_mistakes import fields_of_request, wrong_values
from c_scene import Scene, call, failure_of
from c_wrong import INT_MAX

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.close()


CASES = [(f, p) for f in functions().values() for p in f.parameters]
COLLECTIVE = {f.name for f in functions().values() if any(p.name == "in" for p in f.parameters)}


def check_refused(scene: Scene, function: Function, parameter: Parameter) -> None:
    for wrong in wrong_values(scene, function, parameter):
        scene.place.value = None
        returned = call(scene, function, parameter.name, wrong.value)
        text = scene.library.error()
        assert text == wrong.message, (function.name, parameter, wrong.value)
        assert returned == failure_of(function, wrong.code), text
        assert scene.library["fdl_last_error_rank"]() == -1
        assert not scene.place.value, "a handle or session was given although the call failed"


@pytest.mark.parametrize(("function", "parameter"), CASES, ids=lambda x: x.name)
def test_wrong_argument(scene: Scene, function: Function, parameter: Parameter) -> None:
    check_refused(scene, function, parameter)
    assert scene.library["fdl_barrier"](scene.session) == 0, scene.library.error()


def test_header_was_understood() -> None:
    assert len(functions()) >= 35
    assert len(COLLECTIVE) >= 6
    assert {"fdl_dtype", "fdl_kind", "fdl_reduce_op", "fdl_device_type"} < set(enumerations())


def test_wrong_field_of_a_request(scene: Scene) -> None:
    table = fields_of_request(scene)
    assert set(table) == {name for name, *_ in struct("fdl_request")._fields_}
    for wrong in (case for cases in table.values() for case in cases):
        fields, message, code = wrong
        scene.place.value = None
        request = scene.request(**fields)
        got = scene.library["fdl_submit"](scene.session, request, 1, ctypes.byref(scene.place))
        assert (got, scene.library.error()) == (code, message), fields
        assert not scene.place.value
    assert scene.library["fdl_barrier"](scene.session) == 0


def test_fields_of_options_are_those_that_are_tried() -> None:
    """In wrong_options(); callbacks and what they are given in test_c_api_callbacks.py."""
    tried = {"struct_size", "settings", "setting_count"}
    called = {"give_up", "user", "stacks"}
    anything = {"ignore_environment"}
    assert tried | called | anything == {name for name, *_ in struct("fdl_options")._fields_}


def test_functions_that_cannot_fail(scene: Scene) -> None:
    library = scene.library
    for value in (-1, max(enumerations()["fdl_dtype"].values()) + 1, INT_MAX):
        assert library["fdl_dtype_size"](value) == 0
    for value in (-1, 9, 99, 101, INT_MAX):
        assert library["fdl_code_name"](value) == b"Unknown"
    for name in ("fdl_destroy", "fdl_release"):
        assert library[name](None) == 0


def test_all_of_it_from_several_threads_at_once(scene: Scene) -> None:
    """Each thread has its own last error, and right calls beside wrong ones succeed."""
    problems: list[BaseException] = []
    barrier = threading.Barrier(4)

    def mistakes(number: int) -> None:
        try:
            own = Scene.__new__(Scene)  # the session is shared, memory for answers is not
            own.__dict__.update(scene.__dict__)
            own.place, own.text, own.structs = (
                ctypes.c_void_p(0),
                ctypes.create_string_buffer(64),
                [],
            )
            own.number = ctypes.c_int(0)
            assert own.library.error() == ""
            assert own.library["fdl_last_error_rank"]() == -1
            barrier.wait(30)
            for turn, (function, parameter) in enumerate(CASES):
                check_refused(own, function, parameter)
                handle = own.submit(f"{number}/{turn}".encode())
                assert own.library["fdl_wait"](handle, 30.0) == 0
                assert own.library["fdl_release"](handle) == 0
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=mistakes, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    assert not problems, problems
