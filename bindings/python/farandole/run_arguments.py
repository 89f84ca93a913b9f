"""What users pass to run(), judged before anything is started, and the launcher's words for it."""

from __future__ import annotations

import contextlib
import math
import operator
import re
import shutil
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, NamedTuple

from farandole.arguments import check_flag, check_path, check_text, shown
from farandole.errors import InvalidArgumentError

_MOST_RANKS = 65536
_MOST_PORT = 65535


class _Row(NamedTuple):
    """A parameter: the launcher's flag for it, and what makes the flag's value of an argument that
    is not None. Of True comes the flag alone, of False nothing."""

    flag: str
    value_of: Callable[[str, Any], str | bool]


def launcher_words(given: Mapping[str, Any]) -> list[str]:
    """The launcher's flags for what a caller gave, by parameters; for those in FLAGS.

    Raises InvalidArgumentError for an argument that can be none, or for two of one meaning."""
    words: list[str] = []
    names: dict[str, str] = {}
    for name, (flag, value_of) in FLAGS.items():
        if given[name] is None:
            continue
        if flag in names:
            raise InvalidArgumentError(
                f"run(): {names[flag]} and {name} mean the same; give one of them"
            )
        names[flag] = name
        value = _judged(value_of, name, given[name])
        if value is not False:
            words.append(flag if value is True else f"{flag}={value}")
    return words


def in_parameters(text: str, given: Mapping[str, Any]) -> str:
    """What the launcher says of its flags, of the parameters that they were made of."""
    names = {"-np": "np", "-H": "hosts", "-hostfile": "hostfile"}
    for name, row in FLAGS.items():
        names.setdefault(row.flag, name)
    names.update({row.flag: name for name, row in FLAGS.items() if given[name] is not None})
    return re.sub(r"(?<![\w-])--?[a-zA-Z][\w-]*", lambda one: names.get(one[0], one[0]), text)


def check_call(func: Any, args: Any, kwargs: Any, executable: Any) -> None:
    """Refuses what is no call, or no program to make it."""
    for name, value, right, wanted in (
        ("func", func, callable(func), "a function"),
        ("args", args, isinstance(args, (tuple, list)), "a tuple"),
        ("kwargs", kwargs, kwargs is None or isinstance(kwargs, Mapping), "a dict"),
    ):
        if not right:
            raise InvalidArgumentError(
                f"run(): {name} is {type(value).__name__}; {wanted} is wanted"
            )
    for key in kwargs or ():
        if not isinstance(key, str):
            raise InvalidArgumentError(
                f"run(): kwargs has the key {shown(key)}; names of parameters, as text, are wanted"
            )
    if executable is not None:
        _judged(check_path, "executable", executable)


def check_executable(executable: Any) -> None:
    """Refuses a Python that this machine, where the ranks are to run, has not."""
    if executable is not None and shutil.which(executable) is None:
        raise InvalidArgumentError(
            f"run(): executable={shown(executable)}: this machine has no such program; the path of "
            "a Python is wanted"
        )


def _judged(check: Callable[[str, Any], Any], name: str, value: Any) -> Any:
    try:
        return check(name, value)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"run(): {error}") from None


def _whole(least: int, most: int) -> Callable[[str, Any], str]:
    def value_of(name: str, value: Any) -> str:
        try:
            number = least - 1 if isinstance(value, bool) else operator.index(value)
        except TypeError:
            number = least - 1
        if not least <= number <= most:
            raise InvalidArgumentError(
                f"{name}={shown(value)}: a whole number from {least} to {most} is wanted"
            )
        return str(number)

    return value_of


def _seconds(least: float, most: int) -> Callable[[str, Any], str]:
    def value_of(name: str, value: Any) -> str:
        seconds = math.nan
        if isinstance(value, Real) and not isinstance(value, bool):
            with contextlib.suppress(OverflowError):
                seconds = float(value)
        if not least <= seconds <= most:
            raise InvalidArgumentError(
                f"{name}={shown(value)}: a number of seconds from {least} to {most} is wanted"
            )
        return str(int(seconds)) if math.floor(seconds) == seconds else repr(seconds)

    return value_of


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidArgumentError(
            f"{name}={shown(value)} is no text; a str that is not empty is wanted"
        )
    check_text(f"{name}={shown(value)}", value)
    return value


def _loudness(name: str, value: Any) -> bool:
    try:
        level = operator.index(value)  # of a bool, too
    except TypeError:
        level = -1
    if level < 0:
        raise InvalidArgumentError(
            f"{name}={shown(value)} is neither True nor False, nor a whole number from 0"
        )
    return level > 0


def _range(name: str, value: Any) -> str:
    whole = _whole(1, _MOST_RANKS)
    try:
        least, most = (value,) * 2 if isinstance(value, (str, bytes, Mapping)) else value
        return f"{whole(name, least)}-{whole(name, most)}"
    except (TypeError, ValueError, InvalidArgumentError):
        raise InvalidArgumentError(
            f"{name}={shown(value)}: two whole numbers of seconds are wanted, the least and the "
            "most"
        ) from None


_RANKS = _whole(1, _MOST_RANKS)
# Those of one flag mean the same. What the launcher lacks it refuses itself, with the reason.
FLAGS: Mapping[str, _Row] = {
    "np": _Row("-np", _RANKS),
    "num_proc": _Row("-np", _RANKS),
    "min_np": _Row("--min-num-proc", _RANKS),
    "min_num_proc": _Row("--min-num-proc", _RANKS),
    "max_np": _Row("--max-num-proc", _RANKS),
    "max_num_proc": _Row("--max-num-proc", _RANKS),
    "slots": _Row("--slots-per-host", _RANKS),
    "reset_limit": _Row("--reset-limit", _whole(0, _MOST_RANKS)),
    "cooldown_range": _Row("--blacklist-cooldown-range", _range),
    "hosts": _Row("--hosts", _text),
    "hostfile": _Row("--hostfile", check_path),
    "host_discovery_script": _Row("--host-discovery-script", check_path),
    "start_timeout": _Row("--start-timeout", _seconds(0.1, 86400)),
    "ssh_port": _Row("--ssh-port", _whole(1, _MOST_PORT)),
    "ssh_identity_file": _Row("--ssh-identity-file", check_path),
    "disable_cache": _Row("--disable-cache", check_flag),
    "output_filename": _Row("--output-filename", check_path),
    "verbose": _Row("--verbose", _loudness),
    "use_gloo": _Row("--gloo", check_flag),
    "use_mpi": _Row("--mpi", check_flag),
    "mpi_args": _Row("--mpi-args", _text),
    "network_interface": _Row("--network-interfaces", _text),
    "network_interfaces": _Row("--network-interfaces", _text),
    "timeout": _Row("--timeout", _seconds(0.001, 100000000)),
}
