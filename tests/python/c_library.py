"""The C interface as its header describes it, called through ctypes.

Functions, parameters, enumerations and structs are read from the installed farandole.h, so that
tests which walk them meet whatever is added there.
"""

from __future__ import annotations

import ctypes
import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import farandole

PACKAGE = Path(farandole.__file__).parent

SCALARS: dict[str, Any] = {
    "int": ctypes.c_int,
    "size_t": ctypes.c_size_t,
    "int64_t": ctypes.c_int64,
    "uint64_t": ctypes.c_uint64,
    "uint32_t": ctypes.c_uint32,
    "double": ctypes.c_double,
    "void": None,
}


class Parameter(NamedTuple):
    type: str  # without const: "fdl_session*", "int64_t", "fdl_dtype", "function*"
    name: str

    @property
    def is_pointer(self) -> bool:
        return self.type.endswith("*") or self.type == "fdl_callback"


class Function(NamedTuple):
    result: str
    name: str
    parameters: tuple[Parameter, ...]


@functools.cache
def header() -> str:
    """Without comments and preprocessor."""
    files = ("enums.h", "farandole.h", "messages.h", "observing.h", "process_sets.h", "rooted.h")
    text = "".join((PACKAGE / "include/farandole" / name).read_text() for name in files)
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S).replace("\\\n", " ")
    return re.sub(r"^#.*$", "", text, flags=re.M)


def _parameters(text: str, separator: str) -> tuple[Parameter, ...]:
    found = []
    for one in filter(None, map(str.strip, text.split(separator))):
        plain = re.sub(r"\bconst\b", "", one)
        if plain.strip() == "void":
            continue
        if function := re.fullmatch(r"\s*\w+\s*\(\*(\w+)\)\([^)]*\)\s*", plain):
            found.append(Parameter("function*", function[1]))
            continue
        match = re.fullmatch(r"\s*(\w+)\s*(\**)\s*(\w+)\s*", plain)
        assert match, one
        found.append(Parameter(match[1] + match[2], match[3]))
    return tuple(found)


@functools.cache
def functions() -> dict[str, Function]:
    found = re.findall(r"FDL_API\s+([\w\s*]+?)\s*\b(fdl_\w+)\(([^)]*)\);", header())
    assert len(found) == header().count("FDL_API "), "a declaration was not understood"
    return {
        name: Function(re.sub(r"\bconst\b|\s", "", result), name, _parameters(inner, ","))
        for result, name, inner in found
    }


@functools.cache
def enumerations() -> dict[str, dict[str, int]]:
    return {
        name: {key: int(value) for key, value in re.findall(r"(FDL_\w+) = (\d+)", inner)}
        for inner, name in re.findall(r"typedef enum \w+ FDL_AS_INT \{([^}]*)\} (\w+);", header())
    }


@functools.cache
def struct(name: str) -> type[ctypes.Structure]:
    match = re.search(rf"typedef struct {name} \{{([^}}]*)\}} {name};", header())
    assert match, name
    fields = [(field.name, c_type(field.type)) for field in _parameters(match[1], ";")]
    return type(name, (ctypes.Structure,), {"_fields_": fields})


def c_type(name: str) -> Any:
    """What ctypes passes; pointers as addresses, so that every wrong one can be given."""
    if name == "char*":
        return ctypes.c_char_p
    if name.endswith("*") or name == "fdl_callback":
        return ctypes.c_void_p
    return ctypes.c_int if name in enumerations() else SCALARS[name]


class Library:
    """libfarandole.so: ``library["fdl_rank"](session)``."""

    def __init__(self, path: Path) -> None:
        loaded = ctypes.CDLL(str(path))
        self._functions = {name: getattr(loaded, name) for name in functions()}
        for name, function in functions().items():
            self._functions[name].restype = c_type(function.result)
            self._functions[name].argtypes = [c_type(p.type) for p in function.parameters]

    def __getitem__(self, name: str) -> Any:
        return self._functions[name]

    def error(self) -> str:
        """The text of this thread's last failure."""
        text: bytes = self["fdl_last_error"]()
        return text.decode()

    def init(self, settings: Mapping[str, str]) -> tuple[int | None, int, str]:
        """Session, code and text of fdl_init with these settings alone."""
        given = (struct("fdl_setting") * max(1, len(settings)))()
        for row, (key, value) in zip(given, settings.items(), strict=False):
            row.key = key.encode("utf-8", "surrogateescape")
            row.value = value.encode("utf-8", "surrogateescape")
        options = struct("fdl_options")()
        options.struct_size = ctypes.sizeof(options)
        options.settings = ctypes.addressof(given)
        options.setting_count = len(settings)
        options.ignore_environment = 1
        session = ctypes.c_void_p(0)
        code: int = self["fdl_init"](ctypes.byref(options), ctypes.byref(session))
        return session.value, code, self.error()


def c_library() -> Library:
    return Library(PACKAGE / "lib/libfarandole.so")
