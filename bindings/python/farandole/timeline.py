"""Timelines of several ranks as one, on one clock.

    python -m farandole.timeline merged.json trace.0.json trace.1.json ...

Ranks of one machine have one clock. Of others the clocks are compared by what must have come first:
no rank has a tensor agreed upon before every rank has submitted it. Each tensor so bounds how far
apart two clocks can be, from one side or from the other, and the best bounds of both sides are as
far apart as the fastest messages each way took together; the truth lies between. Nothing is sent
for that, and the recordings need not have begun together.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import itertools
import json
import os
import secrets
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from farandole.arguments import check_path, shown
from farandole.errors import InvalidArgumentError

__all__ = ["Alignment", "merge"]

_Event = dict[str, Any]
_Path = str | os.PathLike[str]
# What a folder answers in which a file may be written, but not be replaced.
_NOT_REPLACED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY}
# A tensor of a round: its track's name (with the process set) and the round's number.
_Key = tuple[str, int]


class Alignment(NamedTuple):
    """How a rank's clock was brought to that of the first one.

    offset: microseconds that were added.
    error: by how many that may be wrong; None where nothing is known.
    by: "clock", where it is the same; "causality"; "nothing".
    """

    offset: float
    error: float | None
    by: str


class _Recording(NamedTuple):
    """What a rank wrote."""

    path: Path
    rank: int
    clock: str
    events: list[_Event]
    submitted: Mapping[_Key, float]
    agreed: Mapping[_Key, float]


def merge(paths: Sequence[_Path], output: _Path) -> dict[int, Alignment]:
    """Writes the timelines of several ranks to `output` as one, on the clock of the lowest rank;
    how those of the others were brought to it, by rank.

    A file that ends within an item, as where a process was killed while it wrote, is read up to
    there; merged alone it is whole again.

    Raises InvalidArgumentError for a file that is no timeline, for two of one rank, and
    where `output` is one of `paths`, or what a rank recorded; OSError. What was at `output` is
    there still then.
    """
    target = Path(check_path("output", output))
    sources = _checked(paths)
    for path in sources:
        if path.exists() and target.exists() and path.samefile(target):
            raise InvalidArgumentError(
                f"{path} is to be read and written; name the merged file first, and another one"
            )
    if target.is_file() and _recorded(target.read_bytes()):
        raise InvalidArgumentError(
            f"{target} is what a rank recorded, and would be lost; name the merged file first: "
            f"python -m farandole.timeline merged.json {target} ..."
        )
    recordings = sorted(map(_read, sources), key=lambda recording: recording.rank)
    for one, other in itertools.pairwise(recordings):
        if one.rank == other.rank:
            raise InvalidArgumentError(
                f"{one.path} and {other.path} are both of rank {one.rank}; give one of each rank"
            )
    if not recordings:
        raise InvalidArgumentError("there is no timeline to merge; name some")
    first = recordings[0]
    alignments = {recording.rank: _align(first, recording) for recording in recordings}
    lines = []
    for recording in recordings:
        for event in recording.events:
            lines.append(json.dumps(_moved(event, alignments[recording.rank]), ensure_ascii=False))
    _write(target, "[\n" + ",\n".join(lines) + "\n]\n")
    return alignments


def _recorded(text: bytes) -> bool:
    """Whether this is a rank's own recording, and not a file that was made of such. Of a damaged
    one, too."""
    return b'"farandole_timeline"' in text and b'"aligned_by"' not in text


def _checked(paths: Any) -> list[Path]:
    single = isinstance(paths, (str, bytes, os.PathLike, Mapping))
    if single or not isinstance(paths, Iterable):
        raise InvalidArgumentError(f"paths={shown(paths)}: a sequence of paths is wanted")
    return [Path(check_path(f"paths[{i}]", path)) for i, path in enumerate(paths)]


def _write(target: Path, text: str) -> None:
    """Either all of it or, where the disk is full, none: a file takes its place once it is whole.
    Written where it is: what is no file (a pipe, a terminal), what has other names, which are to
    lead to the same file still, and what cannot be replaced but written."""
    if target.exists() and not target.is_file():
        target.write_text(text, encoding="utf-8")
        return
    target = Path(os.path.realpath(target))  # and not the link to it
    named_otherwise = target.exists() and target.stat().st_nlink > 1
    if named_otherwise or not _replace(target, text.encode()):
        _overwrite(target, text.encode())


def _replace(target: Path, text: bytes) -> bool:
    """False where the folder does not allow it, or the file is mounted there, and nothing has
    changed."""
    part = target.with_name(f"timeline.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            file.write(text)
        if target.exists():
            shutil.copymode(target, part)
        part.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _NOT_REPLACED and target.exists():
            return False
        raise
    return True


def _overwrite(target: Path, text: bytes) -> None:
    """There is room for all of it before anything that was there is lost."""
    with target.open("r+b") as file:
        before = os.fstat(file.fileno()).st_size
        try:
            os.posix_fallocate(file.fileno(), 0, len(text))
        except OSError:
            file.truncate(before)
            raise
        file.write(text)
        file.truncate()


def _read(path: Path) -> _Recording:
    text = path.read_bytes()
    try:
        return _parse(path, text)
    except (ValueError, LookupError, TypeError, AttributeError, StopIteration) as error:
        raise InvalidArgumentError(f"{path} is no timeline of Farandole") from error


def _items(text: bytes) -> list[_Event]:
    """All that was written whole: a process that was killed while it wrote has left a last line
    that ends somewhere, and no end of the list."""
    try:
        return _list(text)
    except ValueError:
        if text.rstrip().endswith(b"]"):
            raise
        return _list(text[: text.rindex(b"\n")].rstrip(b",") + b"]")


def _list(text: bytes) -> list[_Event]:
    items: list[_Event] = json.loads(text)
    return items


def _parse(path: Path, text: bytes) -> _Recording:
    events = _items(text)
    about = next(e for e in events if e.get("name") == "farandole_timeline")
    rank, clock = about["pid"], about["args"]["clock"]
    tracks = {e["tid"]: e["args"]["name"] for e in events if e.get("name") == "thread_name"}
    submitted: dict[_Key, float] = {}
    agreed: dict[_Key, float] = {}
    begun: dict[int, float] = {}
    for event in events:
        if event["ph"] == "B" and event["name"].startswith("NEGOTIATE_"):
            begun[event["tid"]] = event["ts"]
        elif event["ph"] == "E" and "round" in event.get("args", {}):
            key = (tracks[event["tid"]], event["args"]["round"])
            submitted[key] = begun[event["tid"]]
            agreed[key] = event["ts"]
    return _Recording(path, rank, clock, events, submitted, agreed)


def _align(first: _Recording, other: _Recording) -> Alignment:
    """What is to be added to the times of `other`."""
    # Its submission, on the clock of the first, is before the first one's agreement; and the
    # other way round.
    highest = min(_differences(first.agreed, other.submitted), default=None)
    lowest = max(_differences(first.submitted, other.agreed), default=None)
    bounded = highest is not None and lowest is not None
    fits = (lowest is None or lowest <= 0) and (highest is None or highest >= 0)
    if first.clock == other.clock and fits:
        return Alignment(0.0, 0.0, "clock")
    if not bounded:
        return Alignment(0.0, None, "nothing")
    assert highest is not None and lowest is not None
    return Alignment((lowest + highest) / 2, abs(highest - lowest) / 2, "causality")


def _differences(of: Mapping[_Key, float], to: Mapping[_Key, float]) -> Iterable[float]:
    return (time - to[key] for key, time in of.items() if key in to)


def _moved(event: _Event, alignment: Alignment) -> _Event:
    if "ts" in event:
        return {**event, "ts": round(event["ts"] + alignment.offset, 3)}
    if event.get("name") != "farandole_timeline":
        return event
    told = {"offset_us": alignment.offset, "error_us": alignment.error, "aligned_by": alignment.by}
    return {**event, "args": {**event["args"], **told}}


def _said(rank: int, alignment: Alignment) -> str:
    if alignment.by == "clock":
        return f"rank {rank}: the same clock"
    if alignment.error is None:
        return f"rank {rank}: its clock is not known to the others, and left as it is"
    return f"rank {rank}: {alignment.offset:+.1f} us, give or take {alignment.error:.1f}"


def _main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m farandole.timeline", description="Merges the timelines of several ranks."
    )
    parser.add_argument("output", help="the file to write")
    parser.add_argument(
        "timeline", nargs="+", help="of a rank each, as {rank} in a path makes them"
    )
    given = parser.parse_args()
    try:
        alignments = merge(given.timeline, given.output)
    except (InvalidArgumentError, OSError) as error:
        print(f"farandole.timeline: {error}", file=sys.stderr)
        return 1
    for rank, alignment in alignments.items():
        print(_said(rank, alignment))
    return 0


if __name__ == "__main__":
    sys.exit(_main())
