"""A session of one rank behind the C interface, and right arguments for every function."""

from __future__ import annotations

import ctypes
import os
import tempfile
from typing import Any

from c_library import Function, Library, Parameter, c_library, functions, struct

INVALID, ABORTED, UNSUPPORTED = 1, 5, 6
CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p)


class Scene:
    """A session of one rank, a settled handle, and right arguments for everything."""

    def __init__(self) -> None:
        self.library: Library = c_library()
        self.folder = tempfile.TemporaryDirectory()
        session, code, text = self.library.init({})
        assert code == 0, text
        self.session = session
        self.memory = (ctypes.c_float * 8)(*range(8))
        self.result = (ctypes.c_float * 8)()
        self.shape = (ctypes.c_int64 * 1)(2)
        self.place = ctypes.c_void_p(0)
        self.text = ctypes.create_string_buffer(64)
        self.number = ctypes.c_int(0)
        self.size = ctypes.c_size_t(0)
        self.never = CALLBACK(lambda code, user: None)
        self.structs: list[ctypes.Structure] = []
        self.arrays: list[ctypes.Array[Any]] = []
        self.handle = self.submit(b"settled")
        assert self.library["fdl_wait"](self.handle, 30.0) == 0

    def submit(self, name: bytes) -> int:
        place = ctypes.c_void_p(0)
        request = self.request(name=name)
        code = self.library["fdl_submit"](self.session, request, 1, ctypes.byref(place))
        assert code == 0 and place.value, self.library.error()
        return place.value

    def sized(self, name: str, /, **fields: Any) -> int:
        """Address of a struct that says how large it is."""
        made = struct(name)()
        made.struct_size = ctypes.sizeof(made)
        for field, value in fields.items():
            setattr(made, field, value)
        self.structs.append(made)
        return ctypes.addressof(made)

    def request(self, **fields: Any) -> int:
        usual = {
            "dtype": 8,
            "name": b"x",
            "shape": ctypes.addressof(self.shape),
            "ndim": 1,
            "in": ctypes.addressof(self.memory),
            "out": ctypes.addressof(self.result),
            "prescale": 1.0,
            "postscale": 1.0,
        }
        return self.sized("fdl_request", **{**usual, **fields})

    def right(self, function: Function, parameter: Parameter) -> Any:
        of_function = {
            "char* name": self.text if function.name.startswith("fdl_next_") else b"x",
            "void* user": None,
            "int64_t* splits": None,
            "fdl_options* options": None,
            "fdl_session* session": self.session,
            "fdl_handle* handle": self.handle,
            "fdl_session** session": ctypes.byref(self.place),
            "fdl_handle** handle": ctypes.byref(self.place),
            "fdl_handle** handles": ctypes.byref(self.place),
            "fdl_callback callback": ctypes.cast(self.never, ctypes.c_void_p),
            "char* host": self.text,
            "char* cause": b"x",
            "char* path": os.fsencode(self.folder.name) + b"/trace.json",
            "size_t capacity": len(self.text),
            "void* in": ctypes.addressof(self.memory),
            "void* data": ctypes.addressof(self.result),
            "void* out": ctypes.addressof(self.result),
            "int* settled": ctypes.byref(self.number),
            "int64_t count": 2,
            "size_t count": 1,
            "int* ranks": (ctypes.c_int * 64)(),
            "int* last_rank": ctypes.byref(self.number),
            "uint32_t* id": ctypes.byref(self.number),
            "uint32_t* ids": (ctypes.c_uint32 * 64)(),
            "size_t* count": ctypes.byref(self.size),
            "int64_t rows": 2,
            "int64_t row": 1,
            "fdl_dtype dtype": 8,
            "double seconds": 1.0,
        }
        key = f"{parameter.type} {parameter.name}"
        if key == "fdl_request* requests":
            return self.request()
        if parameter.type in ("fdl_config_row*", "fdl_topology*", "fdl_counters*", "fdl_result*"):
            return self.sized(parameter.type[:-1])
        return of_function.get(key, 0)

    def close(self) -> None:
        if self.handle:
            assert self.library["fdl_release"](self.handle) == 0
        assert self.library["fdl_destroy"](self.session) == 0, self.library.error()
        self.folder.cleanup()


def call(scene: Scene, function: Function, parameter: str = "", value: Any = None) -> Any:
    arguments = [
        value if p.name == parameter else scene.right(function, p) for p in function.parameters
    ]
    return scene.library[function.name](*arguments)


def failure_of(function: Function, code: int) -> int:
    """What a function returns where it fails."""
    return code if function.result == "fdl_code" else -1


def of_object(*types: str) -> list[Function]:
    """Functions that take one of these."""
    return [f for f in functions().values() if any(p.type in types for p in f.parameters)]
