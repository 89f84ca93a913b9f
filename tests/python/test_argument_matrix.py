"""Every argument of every public function and method, with whatever could be wrong about it.

Functions come from the packages' `__all__`, methods from the classes there and from what the
functions return. A parameter that is in no table of argument_mistakes.py fails a test: nobody can
forget one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
from argument_mistakes import LONG_NAME, ONES, Mistakes
from model_mistakes import WRONG, wrong_values

import farandole as fdl

try:
    import torch

    import farandole.torch as hvd
except ImportError:  # this Python has none
    torch = hvd = None  # type: ignore[assignment]

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("session")]

# What needs no wrong value: every object is right, the argument is for Horovod's sake, or torch's
# own method gets it.
ANYTHING = {"obj", "model", "args", "kwargs", "inputs", "strict", "assign"}
ANYTHING |= {"last_epoch"}
ANYTHING |= {"num_features", "eps", "momentum", "affine", "track_running_stats", "device", "dtype"}
# Tested by themselves below: they are about how a session begins.
OF_INIT = {"comm", "process_sets", "settings"}
# Classes that nobody calls: exceptions, which hold whatever they are given, what only names others,
# and what only the functions that end in _async make.
NOT_CALLED = {"Compression", "Handle"}
KINDS = (
    *("allreduce", "allgather", "broadcast", "reducescatter", "alltoall"),
    *("reduce", "gather", "scatter"),
)


class Subject(NamedTuple):
    """A function, or a method of an object that `make` makes."""

    module: ModuleType
    name: str
    make: Callable[[], Callable[..., Any]]
    parameters: tuple[inspect.Parameter, ...]

    def __str__(self) -> str:
        return f"{self.module.__name__}.{self.name}"


class Case(NamedTuple):
    subject: Subject
    parameter: str
    mistakes: Mistakes

    def __str__(self) -> str:
        return f"{self.subject}-{self.parameter}"


def modules() -> list[ModuleType]:
    return [fdl] if hvd is None else [fdl, hvd]


def classes(module: ModuleType) -> list[type]:
    found = [value for n in module.__all__ if inspect.isclass(value := getattr(module, n))]
    return [one for one in found if not issubclass(one, BaseException)]


def optimizer() -> Any:
    parameter = torch.nn.Parameter(torch.ones(2))
    return hvd.DistributedOptimizer(torch.optim.SGD([parameter], 0.1))


def right_optimizer() -> Any:
    return torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], 0.1)


def parallel() -> Any:
    """Of a model that wants no input."""
    model: Any = torch.nn.Linear(3, 3)
    model.forward = always(None)
    return hvd.DistributedDataParallel(model)


# What users hold in their hands, by module.
OBJECTS: dict[ModuleType, dict[str, Callable[[], Any]]] = {
    fdl: {
        "Handle": lambda: fdl.allreduce_async(ONES, op=fdl.Sum),
        "GroupHandle": lambda: fdl.grouped_allreduce_async([ONES]),
        "ProcessSet": lambda: fdl.ProcessSet([0]),
        "ReduceOp": lambda: fdl.Sum,
        "Compression.none": lambda: fdl.Compression.none,
        "Compression.fp16": lambda: fdl.Compression.fp16,
        "Compression.bf16": lambda: fdl.Compression.bf16,
    },
    hvd: {
        "Handle": lambda: hvd.allreduce_async(torch.ones(2)),
        "SparseHandle": lambda: hvd.sparse_allreduce_async(
            torch.ones(2, 3).to_sparse(), None, fdl.Sum
        ),
        "DistributedDataParallel": parallel,
        "DistributedOptimizer": optimizer,
        "DistributedSampler": lambda: hvd.DistributedSampler([1, 2]),
        "SyncBatchNorm": lambda: hvd.SyncBatchNorm(3),
        "WarmupLR": lambda: hvd.WarmupLR(right_optimizer(), 3),
        "Compression.none": lambda: hvd.Compression.none,
        "Compression.fp16": lambda: hvd.Compression.fp16,
        "Compression.bf16": lambda: hvd.Compression.bf16,
    },
}


def parameters_of(function: Callable[..., Any]) -> tuple[inspect.Parameter, ...]:
    return tuple(inspect.signature(function).parameters.values())


def methods_of(kind: type) -> Iterator[str]:
    """Names of the public methods that this project defines."""
    for one in kind.__mro__:
        if one.__module__.startswith("farandole"):
            for name, value in vars(one).items():
                is_method = inspect.isfunction(value) or isinstance(
                    value, (staticmethod, classmethod)
                )
                if is_method and (not name.startswith("_") or name == "__call__"):
                    yield name


def always(value: Any) -> Callable[[], Any]:
    return lambda: value


def kind_of(made: Any) -> type:
    return made if inspect.isclass(made) else type(made)


def methods(module: ModuleType) -> Iterator[Subject]:
    """Requires: a session."""
    for label, make in OBJECTS[module].items():
        made = make()
        for name in sorted(set(methods_of(kind_of(made)))):

            def bound(make: Callable[[], Any] = make, name: str = name) -> Any:
                return getattr(make(), name)

            yield Subject(module, f"{label}.{name}", bound, parameters_of(getattr(made, name)))


def subjects() -> list[Subject]:
    found = []
    fdl.init()
    for module in modules():
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isroutine(value) and value is not fdl.run:  # of a job: test_run.py
                found.append(Subject(module, name, always(value), parameters_of(value)))
        for one in classes(module):
            if one.__name__ not in NOT_CALLED and not hasattr(one, "__members__"):
                own = parameters_of(one)
                found.append(Subject(module, one.__name__, always(one), own))
        found += methods(module)
    fdl.shutdown()
    return found


SUBJECTS = subjects()


def cases() -> Iterator[Case]:
    for subject in SUBJECTS:
        for parameter in subject.parameters:
            name = parameter.name
            # Every object is sent as it is by those of NumPy, and judged where it is sent; what is
            # to be made narrow no more is not looked at without a context.
            passed_on = subject.module is fdl and subject.name.endswith(".compress")
            unchanged = subject.name.startswith("Compression.none.")
            if name in ANYTHING | OF_INIT or passed_on or (unchanged and name in ("tensor", "ctx")):
                continue
            yield Case(subject, name, wrong_values(subject.module, subject.name, name))


def right(subject: Subject, parameter: str) -> Any:
    """A good value for what has no default."""
    dense = ONES.copy() if subject.module is fdl else torch.ones(2, 3)
    if parameter == "tensor":
        return dense.to_sparse() if "sparse" in subject.name else dense
    if parameter == "optimizer":
        return right_optimizer()
    if parameter == "param_group":
        return {"params": [torch.nn.Parameter(torch.ones(1))]}
    if parameter == "params":
        return {"a": torch.ones(2)}
    if parameter == "module":
        return torch.nn.Linear(3, 3)
    if parameter == "input":
        return torch.ones(2, 3)
    if parameter == "ctx":
        return ONES.dtype if subject.module is fdl else torch.float32
    values = {"tensors": [dense], "root_rank": 0, "op": fdl.Sum, "name": "n", "obj": 1}
    values |= {"num_features": 3, "metrics": {"loss": 1.0}, "warmup_steps": 3, "dataset": [1, 2]}
    values["process_set"] = fdl.global_process_set
    values |= {"epoch": 1, "batch_idx": 1, "batch_size": 1}
    values["file_path"] = "/dev/null"
    return {**values, "handle": None, "ranks": [0], "passes": 1, "state_dict": {}}[parameter]


def arguments_of(subject: Subject) -> dict[str, Any]:
    """Good ones, with a name, by which errors call the operation."""
    wanted = [
        p.name
        for p in subject.parameters
        if (p.default is p.empty or p.name == "name") and p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    return {name: right(subject, name) for name in wanted}


def full_name(function: str, name: str) -> str:
    """What the first operation of a function is called."""
    if "optimizer_state" in function:
        return "optimizer_state.object"
    if "parameters" in function:
        return "parameters.0"
    suffixes = {"grouped": "_1of1", "object": ".object", "metrics": ".object", "sparse": ".indices"}
    for part, suffix in suffixes.items():
        if part in function:
            return name + suffix
    return name


def expected(function: str, what: str, message: str) -> str:
    gathers = "sparse" in function or "metrics" in function
    kind = "allgather" if gathers else next((k for k in KINDS if k in function), "")
    name = full_name(function, LONG_NAME if what == "long" else "n")
    place = f'{kind} "{name}"' if what != "long" else f'{kind} "{name[:512]}…"'
    return message.replace("{place}", place).replace("{bytes}", str(len(name)))


@pytest.mark.parametrize("case", list(cases()), ids=str)
@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
def test_wrong_argument(case: Case) -> None:
    call = case.subject.make()
    assert case.mistakes
    for what, (value, message) in case.mistakes.items():
        with pytest.raises(fdl.FarandoleError) as caught:
            result = call(**{**arguments_of(case.subject), case.parameter: value})
            if isinstance(result, fdl.Handle):
                result.wait(10)
        text = str(caught.value)
        assert text == expected(case.subject.name, what, message)
        assert isinstance(caught.value, (fdl.InvalidArgumentError, fdl.UnsupportedError)), text
        assert "\n" not in text
    np.testing.assert_array_equal(fdl.allreduce(ONES, op=fdl.Sum), ONES)


@pytest.mark.parametrize("value", [9, "sum", None, [0]], ids=str)
def test_no_reduce_operation(value: Any) -> None:
    with pytest.raises(fdl.InvalidArgumentError) as caught:
        fdl.ReduceOp(value)
    assert str(caught.value) == (
        f"op={value!r} is no reduce operation; Average, Sum, Min, Max, Product and Adasum are"
    )


def test_every_parameter_has_wrong_values() -> None:
    known = {"tensor", "input", "out", *WRONG} | ANYTHING | OF_INIT
    for subject in SUBJECTS:
        assert {p.name for p in subject.parameters} <= known, str(subject)


def test_every_class_is_tried() -> None:
    for module in modules():
        tried = {kind_of(make()) for one in modules() for make in OBJECTS[one].values()}
        names = {one.__name__ for one in classes(module)} - {"Compression"}
        assert names <= {one.__name__ for one in tried}
        members = {f"Compression.{n}" for n in vars(module.Compression) if not n.startswith("_")}
        assert members <= set(OBJECTS[module])
    names = {subject.name for subject in SUBJECTS if subject.module is fdl}
    assert {"Handle.wait", "GroupHandle.wait", "ProcessSet", "ProcessSet.rank", "join"} <= names


NEEDS_NO_SESSION = {"init", "shutdown", "is_initialized", "poll", "ProcessSet"}
NEEDS_NO_SESSION |= {
    f"{what}_built" for what in ("ccl", "cuda", "ddl", "gloo", "mpi", "nccl", "rocm")
}
NEEDS_NO_SESSION |= {"gloo_enabled", "mpi_enabled"}
NEEDS_NO_SESSION |= {"SyncBatchNorm", "SyncBatchNorm.convert_sync_batchnorm"}
# Results stay, and hooks communicate only later.
WORKS_AFTERWARDS = (
    *("synchronize", "DistributedOptimizer", "Handle.", "GroupHandle."),
    *("DistributedDataParallel.", "DistributedSampler."),
)


@pytest.mark.parametrize(
    "subject",
    [s for s in SUBJECTS if s.name not in NEEDS_NO_SESSION and "Compression." not in s.name],
    ids=str,
)
def test_without_session(subject: Subject) -> None:
    """Before init and after shutdown alike."""
    call = subject.make()
    arguments = arguments_of(subject)
    if "handle" in arguments:
        arguments["handle"] = fdl.allreduce_async(ONES, op=fdl.Sum)
    if "state_dict" in arguments:
        arguments["state_dict"] = getattr(call, "__self__").state_dict()  # noqa: B009
    for handle in (arguments.get("handle"), getattr(call, "__self__", None)):
        if isinstance(handle, fdl.Handle):
            handle.wait(10)
    fdl.shutdown()
    if subject.name.startswith((*WORKS_AFTERWARDS, "SparseHandle.")):
        if subject.name != "DistributedOptimizer":
            call(**arguments)
        return
    with pytest.raises(fdl.NotInitializedError) as caught:
        call(**arguments)
    assert str(caught.value) == "Farandole is not initialised; call init() first"


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
        ({"comm": 3}, "init(comm=...): communicators of MPI are not supported"),
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
