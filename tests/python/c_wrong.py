"""What can be wrong about parameters of process_sets.h and messages.h, and of enumerations."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

from c_library import Function, Parameter, enumerations
from c_scene import INVALID

INT_MAX, SIZE_MAX, INT64_MAX = (1 << 31) - 1, (1 << 64) - 1, (1 << 63) - 1


class Wrong(NamedTuple):
    value: Any
    message: str
    code: int = INVALID


def enumeration(name: str, what: str) -> list[Wrong]:
    names = {value: word for word, value in enumerations()[name].items()}
    last = max(names)
    text = (
        f"the {what} {{}} does not exist; 0 ({names[0]}) to {last} ({names[last]}) do "
        "(farandole/enums.h)"
    )
    return [Wrong(v, text.format(v)) for v in (-1, last + 1, INT_MAX, -INT_MAX - 1)]


def prefixed(found: list[Wrong], operation: str) -> list[Wrong]:
    return [wrong._replace(message=f'{operation} "x": {wrong.message}') for wrong in found]


def wrong_of_sets(name: str) -> dict[tuple[str, str], list[Wrong]]:
    """Of the functions of process_sets.h."""
    no_answer = [Wrong(None, f"{name}: there is no place for the answer (NULL)")]
    many = 1 << 32
    ranks = [
        Wrong(None, f"{name}: ranks is NULL, but 1 are announced"),
        *(
            Wrong(
                (ctypes.c_int * 1)(rank),
                f"add_process_set: rank {rank} does not exist; ranks are 0 to 0",
            )
            for rank in (1, -1)
        ),
    ]
    count = [
        Wrong(0, "add_process_set: a process set needs one rank at least"),
        *(Wrong(v, f"{name}: {v} ranks are too many") for v in ((1 << 20) + 1, SIZE_MAX)),
    ]
    none = [Wrong(0, "remove_process_set: process set 0, all ranks, cannot be removed")]
    return {
        ("fdl_process_sets", "ids"): no_answer,
        ("fdl_process_sets", "capacity"): [],  # nothing is written where there is no room
        ("fdl_process_sets", "count"): no_answer,
        ("fdl_process_set_ranks", "id"): [
            Wrong(v, f"there is no process set {v}") for v in (1, many - 1)
        ],
        ("fdl_process_set_ranks", "ranks"): no_answer,
        ("fdl_process_set_ranks", "capacity"): [],
        ("fdl_process_set_ranks", "count"): no_answer,
        ("fdl_add_process_set", "ranks"): ranks,
        ("fdl_add_process_set", "count"): count,
        ("fdl_add_process_set", "id"): [
            Wrong(None, f"{name}: there is no place for the id (NULL)")
        ],
        ("fdl_add_process_set_async", "ranks"): ranks,
        ("fdl_add_process_set_async", "count"): count,
        ("fdl_remove_process_set", "id"): none,
        ("fdl_remove_process_set_async", "id"): none,
        ("fdl_join", "last_rank"): [Wrong(None, f"{name}: there is no place for the rank (NULL)")],
        **{
            (join, "process_set"): [
                Wrong(v, f"join: there is no process set {v}") for v in (1, many - 1)
            ]
            for join in ("fdl_join", "fdl_join_async")
        },
    }


def wrong_names(room: list[Wrong]) -> dict[tuple[str, str], list[Wrong]]:
    """Of what gives names; of operations that cannot be, none counts."""
    return {
        ("fdl_host_of", "rank"): [
            Wrong(v, f"rank {v} does not exist; ranks are 0 to 0") for v in (-1, 1, INT_MAX)
        ],
        ("fdl_next_name", "name"): room,
        ("fdl_next_name", "process_set"): [],
        ("fdl_next_message_name", "name"): room,
        **{("fdl_next_message_name", what): [] for what in ("process_set", "from", "to")},
    }


def wrong_messages(function: Function, parameter: Parameter) -> list[Wrong]:
    """Of fdl_send and fdl_recv, where there is no other rank."""
    name = function.name
    sends = name.startswith("fdl_send")
    ways = {v: f"0->{v}" if sends else f"{v}->0" for v in (-1, 0, 1, INT_MAX)}
    side = "to which it goes" if sends else "from which it comes"
    missing = 'message "x {}": rank {}, {}, does not exist; ranks are 0 to 0'
    own = 'message "x 0->0": rank 0 would send to itself; copy the tensor instead'
    end = [
        Wrong(v, missing.format(way, v, side)) if v else Wrong(v, own) for v, way in ways.items()
    ]
    no_out = "fdl_recv: out is NULL, so there is no place for the result; fdl_recv_async gives a "
    return {
        # Who would send to itself is told so first.
        "in": [Wrong(None, own)],
        # Without memory whatever comes is taken.
        "out": [Wrong(None, f"{no_out}handle that has it")] if name == "fdl_recv" else [],
        "count": [Wrong(v, own) for v in (-1, INT64_MAX)],
        "dtype": prefixed(enumeration("fdl_dtype", "dtype"), "message"),
        "dest": end,
        "source": end,
        "name": [
            Wrong(
                b"n" * n,
                f'message "{"n" * 512}…": the name has {n + 5} bytes; at most 512 are allowed',
            )
            for n in (513, 1 << 16)
        ],
    }[parameter.name]
