"""Every argument of every public function and method, with whatever could be wrong about it.

Functions come from the packages' `__all__`, methods from the classes there and from what the
functions return. A parameter that is in no table of argument_mistakes.py fails a test: nobody can
forget one.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import message_mistakes
import numpy as np
import pytest
from argument_mistakes import LONG_NAME, ONES, Mistakes
from model_mistakes import WRONG, wrong_values
from subjects import (
    APART,
    OBJECTS,
    Subject,
    arguments_of,
    classes,
    functions,
    kind_of,
    modules,
    subjects,
)

import farandole as fdl

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("session")]

# What needs no wrong value: every object is right, the argument is for Horovod's sake, or torch's
# own class or method gets it.
PARALLEL = {
    f"DistributedDataParallel.{name}"
    for name in ("named_buffers", "named_parameters", "state_dict")
}
PASSED_ON = PARALLEL | {"DistributedOptimizer.zero_grad", "AsyncDataLoaderMixin"}
OF_LAYER = ("num_features", "eps", "momentum", "affine", "track_running_stats", "device", "dtype")
ANYTHING = {
    "obj": {"allgather_object", "broadcast_object"},
    "model": {"broadcast_optimizer_state"},
    "last_epoch": {"WarmupLR"},
    "inputs": {"DistributedDataParallel.forward"},
    "strict": {"DistributedDataParallel.load_state_dict"},
    "assign": {"DistributedDataParallel.load_state_dict"},
    "args": PASSED_ON,
    "kwargs": PASSED_ON | {"DistributedDataParallel.forward"},
    **{name: {"SyncBatchNorm"} for name in OF_LAYER},
}
# Tested by themselves below: they are about how a session begins.
OF_INIT = {"comm", "process_sets", "settings"}
KINDS = (
    *("allreduce", "allgather", "broadcast", "reducescatter", "alltoall"),
    *("reduce", "gather", "scatter"),
)
SUBJECTS = subjects()


def is_anything(subject: Subject, parameter: str) -> bool:
    if subject.name == "init":
        return parameter in OF_INIT
    return subject.name in ANYTHING.get(parameter, ())


class Case(NamedTuple):
    subject: Subject
    parameter: str
    mistakes: Mistakes

    def __str__(self) -> str:
        return f"{self.subject}-{self.parameter}"


def cases() -> Iterator[Case]:
    for subject in SUBJECTS:
        for parameter in subject.parameters:
            name = parameter.name
            # Every object is sent as it is by those of NumPy, and judged where it is sent; what is
            # to be made narrow no more is not looked at without a context.
            passed_on = subject.module is fdl and subject.name.endswith(".compress")
            unchanged = subject.name.startswith("Compression.none.")
            if is_anything(subject, name) or passed_on or (unchanged and name in ("tensor", "ctx")):
                continue
            yield Case(subject, name, wrong_values(subject.module, subject.name, name))


def full_name(function: str, name: str) -> str:
    """What the first operation of a function is called."""
    if "optimizer_state" in function:
        return "optimizer_state.object"
    if "parameters" in function:
        return "parameters.0"
    suffixes = {"grouped": " [1/1]", "object": ".object", "metrics": ".object", "sparse": " [1/3]"}
    for part, suffix in suffixes.items():
        if part in function:
            return name + suffix
    return name


def expected(function: str, what: str, message: str, name: str) -> str:
    gathers = "sparse" in function or "metrics" in function
    kind = "allgather" if gathers else next((k for k in KINDS if k in function), "")
    name = full_name(function, LONG_NAME if what == "long" else name)
    message = message.replace("{message}", f'message "{name} ')
    if "send" in function or "recv" in function:
        kind, name = "message", f"{name} 0->0"
    place = f'{kind} "{name}"' if what != "long" else f'{kind} "{name[:512]}…"'
    return message.replace("{place}", place).replace("{bytes}", str(len(name)))


def without_place(text: str) -> str:
    """Operations that are refused before they are submitted are named as those are that were: which
    of them is tested by itself."""
    return re.sub(r'^(\w+ "(n|of\d)[^"]*"): ', "", text)


CASES = list(cases())


def check_refused(case: Case, name: str) -> None:
    """The name: of the operation, such as no other thread gives."""
    call = case.subject.make()
    assert case.mistakes
    for what, (value, message) in case.mistakes.items():
        with pytest.raises(fdl.FarandoleError) as caught:
            result = call(**{**arguments_of(case.subject, name), case.parameter: value})
            if isinstance(result, fdl.Handle):
                result.wait(30)
        text = str(caught.value)
        wanted = expected(case.subject.name, what, message, name)
        assert without_place(text) == without_place(wanted)
        assert isinstance(caught.value, (fdl.InvalidArgumentError, fdl.UnsupportedError)), text
        assert "\n" not in text


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
def test_wrong_argument(case: Case) -> None:
    check_refused(case, "n")
    np.testing.assert_array_equal(fdl.allreduce(ONES, op=fdl.Sum), ONES)


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
def test_all_of_it_from_several_threads_at_once() -> None:
    """Each has its own errors, and right calls beside wrong ones succeed."""
    problems: list[tuple[str, BaseException]] = []
    barrier = threading.Barrier(4)

    def mistakes(number: int) -> None:
        case: Case | None = None
        try:
            barrier.wait(30)
            begin = number * len(CASES) // 4  # each meets the others' at other times
            for turn, case in enumerate(CASES[begin:] + CASES[:begin]):
                check_refused(case, f"of{number}")
                result = fdl.allreduce(ONES * number, op=fdl.Sum, name=f"{number}.{turn}")
                np.testing.assert_array_equal(result, ONES * number)
        except BaseException as problem:
            problems.append((str(case), problem))

    threads = [threading.Thread(target=mistakes, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(110)
    assert not any(thread.is_alive() for thread in threads)
    assert not problems, problems


@pytest.mark.parametrize("value", [9, "sum", None, [0]], ids=str)
def test_no_reduce_operation(value: Any) -> None:
    with pytest.raises(fdl.InvalidArgumentError) as caught:
        fdl.ReduceOp(value)
    assert str(caught.value) == (
        f"op={value!r} is no reduce operation; Average, Sum, Min, Max, Product and Adasum are"
    )


def test_every_parameter_has_wrong_values() -> None:
    known = {"tensor", "input", "out", *WRONG, *message_mistakes.WRONG}
    excused = set()
    for subject in SUBJECTS:
        names = {p.name for p in subject.parameters}
        free = {name for name in names if is_anything(subject, name)}
        excused |= {(name, subject.name) for name in free - OF_INIT}
        assert names - free <= known, str(subject)
    if len(modules()) == 4:  # with torch
        assert excused == {(name, one) for name, those in ANYTHING.items() for one in those}


def test_every_class_is_tried() -> None:
    for module in modules():
        tried = {kind_of(make()) for one in modules() for make in OBJECTS[one].values()}
        names = {one.__name__ for one in classes(module)} - {"Compression", "Compressor"}
        assert names <= {one.__name__ for one in tried}
        if "Compression" in module.__all__:
            names = {name for name in vars(module.Compression) if not name.startswith("_")}
            assert {f"Compression.{name}" for name in names} <= set(OBJECTS[module])
    names = {subject.name for subject in SUBJECTS if subject.module is fdl}
    assert {"Handle.wait", "GroupHandle.wait", "ProcessSet", "ProcessSet.rank", "join"} <= names


NEEDS_NO_SESSION = {"init", "shutdown", "is_initialized", "poll", "ProcessSet", "merge"}
NEEDS_NO_SESSION |= {
    f"{what}_built" for what in ("ccl", "cuda", "ddl", "gloo", "mpi", "nccl", "rocm")
}
NEEDS_NO_SESSION |= {"gloo_enabled", "mpi_enabled"}
NEEDS_NO_SESSION |= {"SyncBatchNorm", "SyncBatchNorm.convert_sync_batchnorm"}
NEEDS_NO_SESSION |= {"AsyncDataLoaderMixin", "AsyncDataLoaderMixin.close_async_loader"}
NEEDS_NO_SESSION |= {"BaseDataLoader"}
NO_SESSION = "Farandole is not initialised; call init() first"


def is_ones(result: Any) -> bool:
    return np.array_equal(result, np.ones_like(result))


# Results stay, and hooks communicate only later: what each gives then, for the object it is of.
WORKS_AFTERWARDS: dict[str, Callable[[Any, Any], bool]] = {
    "synchronize": lambda result, _: is_ones(result),
    "Handle.done": lambda result, _: result is True,
    "Handle.wait": lambda result, _: is_ones(result),
    "GroupHandle.done": lambda result, _: result is True,
    "GroupHandle.wait": lambda result, _: len(result) == 1 and is_ones(result[0]),
    "SparseHandle.__call__": lambda result, _: is_ones(result.to_dense()),
    "SparseHandle.done": lambda result, _: result is True,
    "SparseHandle.wait": lambda result, _: is_ones(result.to_dense()),
    "DistributedDataParallel.forward": lambda result, _: result is None,  # the model's own answer
    "DistributedDataParallel.load_state_dict": lambda result, _: not any(result),
    "DistributedDataParallel.named_buffers": lambda result, _: list(result) == [],
    "DistributedDataParallel.named_parameters": lambda result, model: (
        [name for name, _ in result] == [name for name, _ in model.module.named_parameters()]
    ),
    "DistributedDataParallel.no_sync": lambda result, _: result.__enter__() is None,
    "DistributedDataParallel.state_dict": lambda result, _: set(result) == {"weight", "bias"},
    "DistributedOptimizer.add_param_group": lambda _, optimizer: len(optimizer.param_groups) == 2,
    "DistributedOptimizer.find_duplicates": lambda result, _: result == {"a"},
    "DistributedOptimizer.load_state_dict": lambda _, optimizer: len(optimizer.param_groups) == 1,
    "DistributedOptimizer.set_backward_passes_per_step": lambda result, _: result is None,
    "DistributedOptimizer.skip_synchronize": lambda result, _: result.__enter__() is None,
    "DistributedOptimizer.step": lambda result, _: result is None,
    "DistributedOptimizer.synchronize": lambda result, _: result is None,
    "DistributedOptimizer.zero_grad": lambda result, _: result is None,
    "DistributedSampler.load_state_dict": lambda _, sampler: sorted(sampler) == [0, 1],
    "DistributedSampler.record_batch": lambda _, sampler: sampler.state_dict()["processed"] == 2,
    "DistributedSampler.set_epoch": lambda _, sampler: sampler.epoch == 1,
    "DistributedSampler.state_dict": lambda result, _: result == {"epoch": 0, "processed": 0},
}


@pytest.fixture(scope="module")
def before_init() -> dict[str, str]:
    """How calls of functions and classes end in a process without any session so far."""
    program = Path(__file__).with_name("subjects.py")
    told = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=100, check=True
    )
    outcomes: dict[str, str] = json.loads(told.stdout.splitlines()[-1])
    return outcomes


@pytest.mark.parametrize("subject", [s for s in functions() if s.name not in APART], ids=str)
def test_before_init(subject: Subject, before_init: dict[str, str]) -> None:
    free = subject.name in NEEDS_NO_SESSION
    assert before_init[str(subject)] == ("" if free else f"NotInitializedError: {NO_SESSION}")


@pytest.mark.parametrize("subject", [s for s in SUBJECTS if s.name != "init"], ids=str)
def test_after_shutdown(subject: Subject) -> None:
    call = subject.make()
    owner = getattr(call, "__self__", None)
    arguments = arguments_of(subject)
    if "handle" in arguments:
        arguments["handle"] = fdl.allreduce_async(ONES, op=fdl.Sum)
    if "state_dict" in arguments:
        arguments["state_dict"] = owner.state_dict()  # type: ignore[union-attr]
    for handle in (arguments.get("handle"), owner):
        if isinstance(handle, fdl.Handle):
            handle.wait(30)
    fdl.shutdown()
    if subject.name in NEEDS_NO_SESSION or "Compression." in subject.name:
        call(**arguments)
    elif subject.name in WORKS_AFTERWARDS:
        assert WORKS_AFTERWARDS[subject.name](call(**arguments), owner)
    else:
        with pytest.raises(fdl.NotInitializedError) as caught:
            call(**arguments)
        assert str(caught.value) == NO_SESSION


def test_what_works_afterwards_is_there() -> None:
    if len(modules()) == 4:  # with torch
        assert set(WORKS_AFTERWARDS) <= {subject.name for subject in SUBJECTS}


NO_MAPPING = "settings={} is no mapping; {{'fusion_bytes': 0}}, for instance, is one"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"settings": 3}, NO_MAPPING.format("3")),
        ({"settings": [("rank", 1)]}, NO_MAPPING.format("[('rank', 1)]")),
        ({"settings": {3: 1}}, "settings: 3 is no name of a setting"),
        (
            {"settings": {"fusion_byts": 1}},
            'there is no setting "fusion_byts"; did you mean fusion_bytes?',
        ),
        (
            {"settings": {"fusion_bytes": "abc"}},
            'fusion_bytes="abc" is not valid: a whole number from 0 to 68719476736 is wanted',
        ),
        (
            {"settings": {"fusion_bytes": None}},
            "settings: fusion_bytes=None is neither text nor a number nor a path",
        ),
        ({"settings": {"rank": 1}}, "FARANDOLE_RANK=1 is not below FARANDOLE_SIZE=1"),
        *(
            (
                {"comm": comm},
                "init(comm=...): neither communicators of MPI nor lists of ranks are supported; "
                "process_sets= makes sets of some ranks, as in init(process_sets=[[0, 1]])",
            )
            for comm in (3, [0, 1])
        ),
        (
            {"process_sets": "static"},
            "process_sets='static' is neither a sequence of sets nor 'dynamic'",
        ),
        (
            {"process_sets": [[0], [0, 0]]},
            "process_sets: at index 1: ranks=[0, 0]: rank 0 stands there twice",
        ),
        (
            {"process_sets": [[1], [0], [1]]},
            "process_sets: the set at index 2 has the ranks of that at index 0, [1]",
        ),
        (
            {"process_sets": [[0]]},
            "process_sets: set [0] at index 0: these are all ranks, which are process set 0 "
            "already",
        ),
        (
            {"process_sets": [[0, 1]]},
            "process_sets: set [0,1] at index 0: rank 1 does not exist; ranks are 0 to 0",
        ),
        (
            {"process_sets": [[0]], "settings": {"process_sets": "0"}},
            "init(): process_sets is given twice, in the settings, too",
        ),
    ],
    ids=str,
)
def test_init(arguments: dict[str, Any], message: str) -> None:
    fdl.shutdown()
    with pytest.raises(fdl.FarandoleError) as caught:
        fdl.init(**arguments)
    assert str(caught.value) == message
    assert not fdl.is_initialized()
    fdl.init()
    np.testing.assert_array_equal(fdl.allreduce(ONES, op=fdl.Sum), ONES)
