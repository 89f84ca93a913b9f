"""A rank forks, and the child calls all that the packages offer; the parent goes on.

What there is to call comes from the packages themselves (tests/python/subjects.py). The
child has the parent's objects, among them handles of what is still in flight.
"""

from __future__ import annotations

import inspect
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common import report

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))

from subjects import Subject, arguments_of, modules, subjects

import farandole as fdl

SUBJECTS = subjects()  # whose objects are made in a session of their own
AT_ONCE = 20  # seconds; who takes longer waits for what never comes
ONES = np.ones(4)

Call = tuple[str, Callable[[], Any]]


def prepared(subject: Subject) -> Call:
    """With its object and arguments, made by the parent."""
    call, arguments = subject.make(), arguments_of(subject)
    if subject.name in ("add_process_set", "remove_process_set"):
        arguments["process_set"] = fdl.ProcessSet([1])  # which does not exist
    if "handle" in arguments:
        arguments["handle"] = fdl.allreduce_async(ONES, op=fdl.Sum)
    if "state_dict" in arguments:
        arguments["state_dict"] = getattr(call, "__self__").state_dict()  # noqa: B009
    return str(subject), partial(call, **arguments)


def submitted(rank: int) -> list[fdl.Handle]:
    """Named after a rank."""
    return [
        fdl.allreduce_async(ONES, op=fdl.Sum, name=f"{rank} alone"),
        fdl.grouped_allreduce_async([ONES, ONES], op=fdl.Sum, name=f"{rank} group"),
    ]


def of_handles(flying: list[fdl.Handle]) -> Iterator[Call]:
    """What can be asked of operations that nobody else has submitted yet."""
    for handle in flying:
        place = f"in flight: {type(handle).__name__}"
        for name in sorted(n for n in dir(handle) if not n.startswith("_")):
            if callable(method := getattr(handle, name)):
                yield f"{place}.{name}", method
        yield f"{place}, synchronize", partial(fdl.synchronize, handle)
        yield f"{place}, poll", partial(fdl.poll, handle)


def in_set(process_set: fdl.ProcessSet) -> Iterator[Call]:
    """What takes or asks a process set that exists."""
    for subject in SUBJECTS:
        if subject.name.startswith("ProcessSet."):
            yield f"{subject} of one that exists", getattr(process_set, subject.name.split(".")[1])
        elif any(parameter.name == "process_set" for parameter in subject.parameters):
            call = subject.make()
            arguments = {**arguments_of(subject), "process_set": process_set}
            yield f"{subject} in a set", partial(call, **arguments)


def others(known: set[str]) -> Iterator[Call]:
    """Functions that are in no list of subjects."""
    for module in modules():
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isroutine(value) and f"{module.__name__}.{name}" not in known:
                yield f"{module.__name__}.{name}", partial(value, int, np=1)


def outcome(call: Callable[[], Any]) -> list[str]:
    try:
        return ["", repr(call())]
    except Exception as error:
        return [type(error).__name__, str(error)]


def of_child(calls: list[Call], writing: int) -> None:
    """Tells what it does before it does it."""
    with os.fdopen(writing, "w") as pipe:
        for name, call in calls:
            print(json.dumps([name]), file=pipe, flush=True)
            signal.alarm(AT_ONCE)  # which ends it
            told = outcome(call)
            signal.alarm(0)
            print(json.dumps([name, *told]), file=pipe, flush=True)


def in_the_parents_place() -> None:
    """Which it has not left."""
    fdl.init(settings={"start_timeout": 0.5})


def all_calls(rank: int, flying: list[fdl.Handle]) -> list[Call]:
    registered = fdl.add_process_set([0])
    calls = [prepared(subject) for subject in SUBJECTS]
    calls += in_set(registered)
    calls += others({name for name, _ in calls})
    calls += of_handles(flying)
    # What ends the session comes last.
    calls.sort(key=lambda call: call[0].endswith(".shutdown"))
    calls.append(("after shutdown: barrier", fdl.barrier))
    if rank == 1:  # of two of them each would find the other
        calls.append(("after shutdown: init", in_the_parents_place))
    return calls


def main() -> None:
    fdl.init()
    rank, size = fdl.rank(), fdl.size()
    flying = submitted(rank)
    calls = all_calls(rank, flying)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        of_child(calls, writing)
        raise SystemExit(0)  # by way of every exit handler
    os.close(writing)
    with os.fdopen(reading) as pipe:
        outcomes = {name: told for name, *told in map(json.loads, pipe)}
    _, status = os.waitpid(child, 0)
    # What is in flight is agreed upon when the others have come as far, too.
    for other in range(size):
        if other != rank:
            flying += submitted(other)
    for handle in flying:
        np.testing.assert_array_equal(np.ravel(handle.wait(60)), size)
    assert fdl.allreduce(ONES, op=fdl.Sum)[0] == size
    report(rank, outcomes=outcomes, status=status)


main()
