"""Reading timelines, and what has to hold of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

Event = dict[str, Any]


class Span(NamedTuple):
    """What a begin and its end enclose."""

    name: str
    begin: float  # microseconds
    end: float
    depth: int
    args: dict[str, Any]  # of both


class Timeline(NamedTuple):
    """spans: by rank and tensor, in the order of their begins.
    marks: what has no length.
    about: of each rank, what it says of its recording.
    tracks: by rank and tensor, the number of its track.
    """

    spans: dict[tuple[int, str], list[Span]]
    marks: list[Event]
    about: dict[int, dict[str, Any]]
    tracks: dict[tuple[int, str], int]

    def names(self, rank: int, tensor: str) -> list[str]:
        return [span.name for span in self.spans[rank, tensor]]


def read(path: Path) -> Timeline:
    """Fails where it is no JSON, a begin has no end or the other way round, a span is not within
    the one around it, or a name is missing."""
    events: list[Event] = json.loads(path.read_text())
    tensors = {
        (e["pid"], e["tid"]): e["args"]["name"]
        for e in events
        if e["ph"] == "M" and e["name"] == "thread_name"
    }
    about: dict[int, dict[str, Any]] = {}
    for event in events:
        if event["ph"] == "M" and event["name"].startswith("farandole_timeline"):
            about.setdefault(event["pid"], {}).update(event["args"])
    tracks = {(pid, tensor): tid for (pid, tid), tensor in tensors.items()}
    spans: dict[tuple[int, str], list[Span]] = {}
    for place, tensor in tensors.items():
        own = [e for e in events if e["ph"] in "BE" and (e["pid"], e["tid"]) == place]
        if own:
            spans[place[0], tensor] = spans_of(own)
    known = {(e["pid"], e["tid"]) for e in events if e["ph"] in "BE"}
    assert known <= tensors.keys()
    assert {e["ph"] for e in events} <= set("BEiM")
    return Timeline(spans, [e for e in events if e["ph"] == "i"], about, tracks)


def spans_of(events: list[Event]) -> list[Span]:
    """Of one track."""
    open_: list[tuple[int, Event]] = []
    found: list[Span | None] = []
    before = 0.0
    for event in events:
        assert event["ts"] >= before, "goes back in time"
        before = event["ts"]
        if event["ph"] == "B":
            open_.append((len(found), event))
            found.append(None)
            continue
        assert open_, f"an end without a begin: {event}"
        place, begin = open_.pop()
        args = {**begin.get("args", {}), **event.get("args", {})}
        found[place] = Span(begin["name"], begin["ts"], event["ts"], len(open_), args)
    assert not open_, f"begins without an end: {open_}"
    return [span for span in found if span is not None]
