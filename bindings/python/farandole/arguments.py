"""What users pass, judged before it goes further: one clear sentence for whatever is wrong.

Wrong types are InvalidArgumentErrors like wrong values, so that one ``except`` meets both.
"""

from __future__ import annotations

import contextlib
import itertools
import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

from farandole.errors import InvalidArgumentError

_RANKS = 1 << 31  # more than there can be
_MAX_SHOWN = 100  # characters


def shown(value: object) -> str:
    """A wrong value as errors name it: in one line that is not too long."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # Python writes no whole number of thousands of digits; others have bugs
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


def check_name(name: object) -> str:
    """The name of a tensor."""
    if not isinstance(name, str):
        raise InvalidArgumentError(f"name={shown(name)} is no text; a str or None is wanted")
    check_text(f"name={shown(name)}", name)
    return name


def check_scale(what: str, value: object) -> float:
    """A prescale or postscale factor."""
    if not isinstance(value, Real):
        raise InvalidArgumentError(f"{what}={shown(value)} is no number; a finite float is wanted")
    return float(value)


def check_root(root_rank: Any) -> int:
    """A rank to send from. Whether it exists is found out where all ranks are known."""
    return _check_rank("root_rank", "root rank", root_rank)


def check_end(what: str, rank: Any) -> int:
    """The rank at the other end of a message, likewise."""
    return _check_rank(what, f"{what} rank", rank)


def _check_rank(argument: str, what: str, value: Any) -> int:
    try:
        rank = operator.index(value)
    except TypeError as error:
        raise InvalidArgumentError(
            f"{argument}={shown(value)} is no rank; a whole number is wanted"
        ) from error
    if not -_RANKS <= rank < _RANKS:
        raise InvalidArgumentError(
            f"{what} {shown(rank)} does not exist; a rank from 0 to size() - 1 is wanted"
        )
    return rank


def check_ranks(ranks: Any) -> list[int]:
    """The ranks of a process set, ascending. Whether they exist is found out where all ranks are
    known."""
    given: list[Any] = []
    if isinstance(ranks, Iterable) and not isinstance(ranks, (str, bytes, Mapping)):
        given = list(ranks)
    try:
        numbers = sorted(-1 if isinstance(rank, bool) else operator.index(rank) for rank in given)
    except TypeError:
        numbers = []
    if not numbers or not 0 <= numbers[0] <= numbers[-1] < _RANKS:
        raise InvalidArgumentError(
            f"ranks={shown(ranks)}: a sequence of ranks is wanted, whole numbers from 0 to size() "
            "- 1"
        )
    twice = next((a for a, b in itertools.pairwise(numbers) if a == b), None)
    if twice is not None:
        raise InvalidArgumentError(f"ranks={shown(ranks)}: rank {twice} stands there twice")
    return numbers


def check_process_sets(process_sets: Any) -> list[tuple[Any, list[int]]]:
    """What ``init`` gets: each as it was given, and its ranks."""
    if process_sets is None or process_sets == "dynamic":
        return []
    if isinstance(process_sets, (str, bytes, Mapping)) or not isinstance(process_sets, Iterable):
        raise InvalidArgumentError(
            f"process_sets={shown(process_sets)} is neither a sequence of sets nor 'dynamic'"
        )
    checked: list[tuple[Any, list[int]]] = []
    for index, given in enumerate(process_sets):
        try:
            ranks = check_ranks(getattr(given, "ranks", given))
        except InvalidArgumentError as error:
            raise InvalidArgumentError(f"process_sets: at index {index}: {error}") from error
        for other, (_, same) in enumerate(checked):
            if same == ranks:
                raise InvalidArgumentError(
                    f"process_sets: the set at index {index} has the ranks of that at index "
                    f"{other}, {shown(ranks)}"
                )
        checked.append((given, ranks))
    return checked


def check_count(what: str, value: Any, least: int = 1) -> int:
    """How often something is done, or how many there are."""
    try:
        count = least - 1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        count = least - 1
    if count < least:
        raise InvalidArgumentError(f"{what}={shown(value)}: a whole number from {least} is wanted")
    return count


def check_timeout(timeout: Any) -> float:
    """Seconds for which a caller waits at most."""
    seconds = -1.0
    if hasattr(timeout, "__float__") or hasattr(timeout, "__index__"):
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            seconds = float(timeout)
    if not seconds >= 0:
        raise InvalidArgumentError(
            f"timeout={shown(timeout)} is no number of seconds; None or a number from 0 is wanted"
        )
    return seconds


def check_compression(compression: Any, module: str, made_by: str = "") -> None:
    """A class or object with the methods of Compressor, and none of another library's.

    module: whose tensors it will get.
    made_by: the call that returned it, where that is not the caller's own argument.
    """
    what, which = (f"{made_by} returned ", ", which") if made_by else ("compression=", "")
    for method in ("compress", "decompress"):
        if not callable(getattr(compression, method, None)):
            raise InvalidArgumentError(
                f"{what}{shown(compression)}{which} has no method {method}; Compression.none, "
                "Compression.fp16, Compression.bf16 or a Compressor of your own is wanted"
            )
    home, name = getattr(compression, "_home", "") or module, getattr(compression, "_name", "")
    if home != module:
        raise InvalidArgumentError(
            f"{what}{shown(compression)}{which} is for tensors of {home}; for those of {module} "
            f"{module}.Compression.{name} is wanted"
        )


def check_compression_of_parameters(compression: Any, module: str) -> None:
    """What ``check_compression`` takes, or what makes one for each parameter."""
    if not callable(getattr(compression, "for_parameter", None)):
        check_compression(compression, module)


def check_flag(what: str, value: object) -> bool:
    """True or False, and nothing that merely counts as such."""
    if not isinstance(value, bool):
        raise InvalidArgumentError(f"{what}={shown(value)} is neither True nor False")
    return value


def check_path(what: str, value: Any) -> str:
    """The path of a file that need not be there."""
    if not isinstance(value, (str, os.PathLike)) or not (path := os.fspath(value)):
        raise InvalidArgumentError(f"{what}={shown(value)} is no path; that of a file is wanted")
    if not isinstance(path, str):
        raise InvalidArgumentError(f"{what}={shown(value)} is no text; a str is wanted")
    check_text(f"{what}={shown(value)}", path)
    return path


def check_tensors(tensors: Any) -> list[Any]:
    """The members of a group."""
    single = isinstance(tensors, (str, bytes, Mapping)) or hasattr(tensors, "shape")
    if single or not isinstance(tensors, Iterable):
        raise InvalidArgumentError(
            f"a sequence of tensors is wanted, not a {type(tensors).__name__}"
        )
    return list(tensors)


def check_no_overlap(what: str, shape: Sequence[int], strides: Sequence[int]) -> None:
    """For what a result is written to: each element has a place of its own."""
    places = zip(shape, strides, strict=True)
    if 0 not in shape and any(extent > 1 and stride == 0 for extent, stride in places):
        raise InvalidArgumentError(
            f"{what} of shape {list(shape)} cannot hold a result in place: several of its elements "
            "are one place in memory (it is expanded); pass a copy, or use the form that returns "
            "a new one"
        )


def check_settings(settings: Any) -> list[tuple[str, str]]:
    """What ``init`` gets besides the environment, as pairs. What they mean is judged by the
    table of settings; here only that they get there whole."""
    if settings is None:
        return []
    if not isinstance(settings, Mapping):
        raise InvalidArgumentError(
            f"settings={shown(settings)} is no mapping; {{'fusion_bytes': 0}}, for instance, is one"
        )
    for key, value in settings.items():
        if not isinstance(key, str):
            raise InvalidArgumentError(f"settings: {shown(key)} is no name of a setting")
        if isinstance(value, bool) or not isinstance(value, (str, Real, os.PathLike)):
            raise InvalidArgumentError(
                f"settings: {key}={shown(value)} is neither text nor a number nor a path"
                + ("; what is on or off takes 1 or 0" if isinstance(value, bool) else "")
            )
    pairs = [(key, str(value)) for key, value in settings.items()]
    for key, value in pairs:
        check_text(f"settings: the name {shown(key)}", key)
        check_text(f"settings: {key}={shown(value)}", value)
    return pairs


def check_settings_unchanged(settings: list[tuple[str, str]], given: list[tuple[str, str]]) -> None:
    """What a later ``init`` gets has to be what the session was made with."""
    before = dict(settings)
    for key, value in given:
        if before.get(key) != value:
            then = f"{key}={before[key]}" if key in before else f"{key} not given"
            raise InvalidArgumentError(
                f"init(settings=...): this process has already joined, with {then}, and "
                f"{key}={value} comes too late; call shutdown() first"
            )


def check_text(what: str, text: str) -> None:
    """What goes on as UTF-8 that a null character ends."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(f"{what} cannot be written as UTF-8") from error
    if "\0" in text:
        raise InvalidArgumentError(f"{what} contains a null character")
