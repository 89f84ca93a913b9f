"""What can be wrong about each parameter of the C interface and each field of a request."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from typing import Any

from c_library import Function, Parameter, struct
from c_scene import INVALID, UNSUPPORTED, Scene
from c_wrong import (
    INT64_MAX,
    INT_MAX,
    SIZE_MAX,
    Wrong,
    enumeration,
    prefixed,
    wrong_messages,
    wrong_names,
    wrong_of_sets,
)

NOWHERE = 64  # in the first page, which no process has
NO_SESSION = "this pointer is to no session: fdl_destroy has freed it, or it never was one"
NO_HANDLE = "this pointer is to no handle: fdl_release has freed it, or it never was one"
SIZE = "struct_size of {} is {}; start from its FDL_..._INIT or sizeof"


def kind_of(function: Function) -> str:
    return function.name.removeprefix("fdl_").removesuffix("_async")


def is_async(function: Function) -> bool:
    return function.name.endswith("_async")


def sized_struct(scene: Scene, name: str) -> list[Wrong]:
    sizes = (0, 8, 4097, 1 << 40)
    of_sizes = [
        Wrong(scene.sized(name, struct_size=size), SIZE.format(name, size)) for size in sizes
    ]
    return [Wrong(None, f"{name} is NULL"), *of_sizes]


def shaped(function: Function, parameter: str, what: str) -> list[Wrong]:
    """Wrong extents: too small for a tensor, too large for any memory."""
    shape = {"count": "[{}]", "rows": "[{}, 1]", "row": "[2, {}]"}[parameter]
    text = f'{what} "x": shape {shape}'
    found = [Wrong(v, text.format(v) + " has a negative extent") for v in (-1, -INT64_MAX - 1)]
    found += [Wrong(v, text.format(v) + " does not fit into memory") for v in (INT64_MAX, 1 << 61)]
    return found


def splits(*rows: int) -> Any:
    return (ctypes.c_int64 * len(rows))(*rows)


def wrong_inputs(scene: Scene, function: Function, parameter: Parameter) -> list[Wrong]:
    """What is wrong of a tensor and how it is reduced or sent."""
    what = kind_of(function)
    shape = "[2, 1]" if any(p.name == "rows" for p in function.parameters) else "[2]"
    null = Wrong(None, f'{what} "x": input is null, but the shape is {shape}')
    inside = ctypes.addressof(scene.memory) + 4
    in_place = "" if what == "reducescatter" else "the same memory (in place), or "
    overlap = Wrong(
        inside, f'{what} "x": input and output overlap; give {in_place}memory apart from it'
    )
    no_out = Wrong(
        None,
        f"fdl_{what}: out is NULL, so there is no place for the result; fdl_{what}_async gives a "
        "handle that has it",
    )
    root = f'{what} "x": root rank {{}} does not exist; ranks are 0 to 0'
    return {
        "in": [null],
        "data": [null],
        "out": [overlap] if is_async(function) else [overlap, no_out],
        "count": shaped(function, "count", what),
        "rows": shaped(function, "rows", what),
        "row": shaped(function, "row", what),
        "dtype": prefixed(enumeration("fdl_dtype", "dtype"), what),
        "op": prefixed(enumeration("fdl_reduce_op", "reduce operation"), what),
        "root": [Wrong(v, root.format(v)) for v in (-1, 1, INT_MAX, -INT_MAX - 1)],
        "name": [
            Wrong(b"n" * n, f'{what} "{shown}": the name has {n} bytes; at most 512 are allowed')
            for n, shown in ((513, "n" * 512 + "…"), (1 << 16, "n" * 512 + "…"))
        ],
        "splits": [
            Wrong(splits(1), f'{what} "x": splits [1] leave 1 of 2 rows over'),
            Wrong(splits(3), f'{what} "x": splits [3] ask for more than the tensor\'s 2 rows'),
            Wrong(splits(-2), f'{what} "x": splits [-2] contain a negative number'),
            Wrong(
                splits(INT64_MAX),
                f'{what} "x": splits [{INT64_MAX}] ask for more than the tensor\'s 2 rows',
            ),
        ],
    }[parameter.name]


def wrong_options(scene: Scene) -> list[Wrong]:
    rows = (struct("fdl_setting") * 1)()
    scene.structs += list(rows)

    def options(settings: Any = None, **fields: Any) -> int:
        pointer = ctypes.addressof(settings) if settings is not None else None
        return scene.sized("fdl_options", settings=pointer, ignore_environment=1, **fields)

    return [
        *sized_struct(scene, "fdl_options")[1:],
        Wrong(
            options(setting_count=3),
            "fdl_options: settings is NULL, but setting_count is 3",
        ),
        Wrong(
            options(rows, setting_count=1),
            "fdl_options: key or value of setting 0 is NULL",
        ),
    ]


def wrong_values(scene: Scene, function: Function, parameter: Parameter) -> list[Wrong]:
    """Raises KeyError for what nobody has thought of."""
    name, key = function.name, f"{parameter.type} {parameter.name}"
    foreign = [scene.handle, scene.session + 1 if scene.session else 1, 1, NOWHERE]
    strange = [scene.session, scene.handle + 1, 1, NOWHERE]
    sessions = [Wrong(v, NO_SESSION) for v in foreign]
    handles = [Wrong(v, NO_HANDLE) for v in strange]
    no_place = f"{name}: there is no place for the handle (NULL)"
    no_room = f"{name}: there is no room for the name"
    room = [Wrong(None if parameter.is_pointer else 0, no_room)]
    settings = scene.library["fdl_config_count"]()
    none_of = f"there is no setting {{}}; there are {settings}"
    special: dict[tuple[str, str], list[Wrong]] = {
        # NULL is accepted by both.
        ("fdl_destroy", "session"): sessions,
        ("fdl_release", "handle"): handles,
        ("fdl_shutdown_because", "cause"): [
            Wrong(
                cause,
                f"{name}: there is no cause (NULL or empty); fdl_shutdown needs none",
            )
            for cause in (None, b"")
        ],
        # Answer by their value alone: see test_functions_that_cannot_fail.
        ("fdl_code_name", "code"): [],
        ("fdl_dtype_size", "dtype"): [],
        ("fdl_submit", "count"): [
            Wrong(v, f"{v} requests at once exceed max_pending=1048576")
            for v in (SIZE_MAX, (1 << 20) + 1)
        ],
        ("fdl_submit", "handles"): [Wrong(None, "fdl_submit: handles is NULL")],
    }
    special |= wrong_of_sets(name) | wrong_names(room)
    if (name, parameter.name) in special:
        return special[name, parameter.name]
    by_key: dict[str, Callable[[], list[Wrong]]] = {
        "fdl_session* session": lambda: [Wrong(None, "the session is NULL"), *sessions],
        "fdl_handle* handle": lambda: [Wrong(None, "the handle is NULL"), *handles],
        "fdl_session** session": lambda: [
            Wrong(None, "fdl_init: there is no place for the session (NULL)")
        ],
        "fdl_handle** handle": lambda: [Wrong(None, no_place)],
        "fdl_options* options": lambda: wrong_options(scene),
        "fdl_config_row* row": lambda: sized_struct(scene, "fdl_config_row"),
        "fdl_topology* topology": lambda: sized_struct(scene, "fdl_topology"),
        "fdl_counters* counters": lambda: sized_struct(scene, "fdl_counters"),
        "fdl_result* result": lambda: sized_struct(scene, "fdl_result"),
        "size_t index": lambda: [Wrong(v, none_of.format(v)) for v in (settings, SIZE_MAX)],
        "char* host": lambda: room,
        "size_t capacity": lambda: room,
        "fdl_kind kind": lambda: enumeration("fdl_kind", "kind"),
        "fdl_request* requests": lambda: [Wrong(None, "fdl_submit: requests is NULL")],
        "double seconds": lambda: [Wrong(math.nan, "fdl_wait: seconds is not a number")],
        "int* settled": lambda: [Wrong(None, "fdl_poll: there is no place for the answer (NULL)")],
        "fdl_callback callback": lambda: [Wrong(None, "fdl_on_done: the callback is NULL")],
        "void* user": lambda: [],  # the caller's own
        "char* path": lambda: [
            *(
                Wrong(v, f"{name}: there is no path (NULL or empty); name a file")
                for v in (None, b"")
            ),
            Wrong(b"/dev/null", "timeline /dev/null: it is not an ordinary file; name one"),
        ],
        "int mark_cycles": lambda: [],  # anything but 0 says yes
    }
    if key in by_key:
        return by_key[key]()
    if name.startswith(("fdl_send", "fdl_recv")):
        return wrong_messages(function, parameter)
    return wrong_inputs(scene, function, parameter)


Mistakes = dict[str, list[tuple[dict[str, Any], str, int]]]
OF_X = 'allreduce "x": '
ELSEWHERE = OF_X + "nothing here communicates memory of {}; move the tensor to the CPU"
ANNOUNCED = "{} is NULL, but {} values are announced"
MANY = "{} values of {} are too many; at most {} are taken"


def fields_of_request(scene: Scene) -> Mistakes:
    """Field -> what is wrong, what the error says, its code."""
    return {**fields_of_tensor(scene), **fields_of_splits(scene), **fields_of_operation()}


def of_enumeration(field: str, name: str, what: str) -> list[tuple[dict[str, Any], str, int]]:
    # Without a kind there is only its place among those submitted.
    operation = "request 0" if field == "kind" else "allreduce"
    found = prefixed(enumeration(name, what), operation)
    return [({field: w.value}, w.message, INVALID) for w in found]


def scales(field: str) -> list[tuple[dict[str, Any], str, int]]:
    values = {math.nan: "nan", math.inf: "inf", -math.inf: "-inf"}
    pair = "{} and 1" if field == "prescale" else "1 and {}"
    return [
        ({field: v}, OF_X + "scale factors must be finite, not " + pair.format(t), INVALID)
        for v, t in values.items()
    ]


def fields_of_tensor(scene: Scene) -> Mistakes:
    shapes = [
        ((ctypes.c_int64 * 1)(extent), OF_X + f"shape [{extent}] {what}")
        for extent, what in (
            (-1, "has a negative extent"),
            (-INT64_MAX - 1, "has a negative extent"),
            (1 << 61, "does not fit into memory"),
            (INT64_MAX, "does not fit into memory"),
        )
    ]
    scene.arrays += [shape for shape, _ in shapes]
    return {
        "dtype": of_enumeration("dtype", "fdl_dtype", "dtype"),
        "device_type": [
            *of_enumeration("device_type", "fdl_device_type", "device type"),
            ({"device_type": 1}, ELSEWHERE.format("cuda:0"), UNSUPPORTED),
        ],
        "device_index": [
            ({"device_index": n}, ELSEWHERE.format(f"cpu:{n}"), UNSUPPORTED) for n in (-1, 7)
        ],
        "stream": [],  # means nothing on the CPU
        "shape": [
            ({"shape": None}, OF_X + ANNOUNCED.format("shape", 1), INVALID),
            *(({"shape": ctypes.addressof(shape)}, text, INVALID) for shape, text in shapes),
        ],
        "ndim": [
            ({"ndim": n}, OF_X + MANY.format(n, "shape", 64), INVALID) for n in (65, SIZE_MAX)
        ],
        "in": [({"in": None}, OF_X + "input is null, but the shape is [2]", INVALID)],
        "out": [
            (
                {"out": ctypes.addressof(scene.memory) + 4},
                OF_X + "input and output overlap; give the same memory (in place), or memory apart "
                "from it",
                INVALID,
            )
        ],
    }


def fields_of_splits(scene: Scene) -> Mistakes:
    array = ctypes.addressof(scene.shape)
    return {
        "splits": [
            (
                {"split_count": 2, "splits": None},
                OF_X + ANNOUNCED.format("splits", 2),
                INVALID,
            ),
            (
                {"split_count": 1, "splits": array},
                OF_X + "splits belong to alltoall and scatter alone",
                INVALID,
            ),
        ],
        "split_count": [
            (
                {"split_count": n, "splits": array},
                OF_X + MANY.format(n, "splits", 1 << 20),
                INVALID,
            )
            for n in ((1 << 20) + 1, SIZE_MAX)
        ],
    }


def fields_of_operation() -> Mistakes:
    return {
        "struct_size": [
            ({"struct_size": n}, SIZE.format("fdl_request", n), INVALID) for n in (0, 8, 4097)
        ],
        "kind": of_enumeration("kind", "fdl_kind", "kind"),
        "reduce_op": of_enumeration("reduce_op", "fdl_reduce_op", "reduce operation"),
        "name": [
            (
                {"name": b"n" * 600},
                f'allreduce "{"n" * 512}…": the name has 600 bytes; at most 512 are allowed',
                INVALID,
            )
        ],
        "root": [
            ({"root": v}, OF_X + f"it has no root rank, but {v} is given", INVALID) for v in (1, -1)
        ],
        "note": [
            (
                {"note": n},
                OF_X + "a number to tell belongs to scatter and messages, which tell one",
                INVALID,
            )
            for n in (1, (1 << 32) - 1)
        ],
        "peer": [
            ({"peer": n}, OF_X + f"a peer, {n}, belongs to messages alone", INVALID)
            for n in (1, -1)
        ],
        "prescale": scales("prescale"),
        "postscale": scales("postscale"),
        "process_set": [
            (
                {"process_set": n},
                OF_X + f"there is no process set {n}",
                INVALID,
            )
            for n in (1, (1 << 32) - 1)
        ],
    }
