"""All that the packages offer to call, with right arguments: functions from their `__all__`,
methods from the classes there and from what the functions return."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from argument_mistakes import ONES

import farandole as fdl
import farandole.data
import farandole.timeline

try:
    import torch

    import farandole.torch as hvd
except ImportError:  # this Python has none
    torch = hvd = None  # type: ignore[assignment]

# Classes that nobody calls: what only names others, and what only functions make.
NOT_CALLED = {"Alignment", "Compression", "Compressor", "Handle"}


class Subject(NamedTuple):
    """A function, or a method of an object that `make` makes."""

    module: ModuleType
    name: str
    make: Callable[[], Callable[..., Any]]
    parameters: tuple[inspect.Parameter, ...]

    def __str__(self) -> str:
        return f"{self.module.__name__}.{self.name}"


def modules() -> list[ModuleType]:
    """Whatever of the package users import."""
    apart = [farandole.data, farandole.timeline]
    return [fdl, *apart] if hvd is None else [fdl, hvd, *apart]


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
    farandole.data: {
        "AsyncDataLoaderMixin": lambda: farandole.data.AsyncDataLoaderMixin(),
        "BaseDataLoader": lambda: farandole.data.BaseDataLoader(),
    },
    farandole.timeline: {"Alignment": lambda: farandole.timeline.Alignment(0.0, None, "nothing")},
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


def functions() -> list[Subject]:
    """And classes."""
    found = []
    for module in modules():
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isroutine(value) and value is not fdl.run:  # of a job: test_run_arguments.py
                found.append(Subject(module, name, always(value), parameters_of(value)))
        for one in classes(module):
            if one.__name__ not in NOT_CALLED and not hasattr(one, "__members__"):
                found.append(Subject(module, one.__name__, always(one), parameters_of(one)))
    return found


def subjects() -> list[Subject]:
    """And methods, for which there is a session meanwhile."""
    fdl.init()
    found = functions() + [subject for module in modules() for subject in methods(module)]
    fdl.shutdown()
    return found


def right(subject: Subject, parameter: str) -> Any:
    """A good value for what has no default."""
    dense = torch.ones(2, 3) if subject.module is hvd else ONES.copy()
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
    values = {"tensors": [dense], "root_rank": 0, "op": fdl.Sum, "obj": 1}
    values |= {"lst": ["a", "b", "a"], "dest": 0, "source": 0, "count": 1}
    values |= {"num_features": 3, "metrics": {"loss": 1.0}, "warmup_steps": 3, "dataset": [1, 2]}
    values["process_set"] = fdl.global_process_set
    values |= {"epoch": 1, "batch_idx": 1, "batch_size": 1}
    values["file_path"] = values["output"] = "/dev/null"
    values["paths"] = [Path(__file__).with_name("timeline_of_one_rank.json")]
    return {**values, "handle": None, "ranks": [0], "passes": 1, "state_dict": {}}[parameter]


def arguments_of(subject: Subject, name: str = "n") -> dict[str, Any]:
    """Good ones, with a name, by which errors call the operation."""
    wanted = [
        p.name
        for p in subject.parameters
        if (p.default is p.empty or p.name == "name") and p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    return {one: name if one == "name" else right(subject, one) for one in wanted}


def outcome(subject: Subject) -> str:
    """How a call of it ends: with the error, or with nothing to say."""
    try:
        subject.make()(**arguments_of(subject))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


# What needs an object of a session, or makes one.
APART = {"init", "poll", "synchronize"}

if __name__ == "__main__":
    tried = [subject for subject in functions() if subject.name not in APART]
    print(json.dumps({str(subject): outcome(subject) for subject in tried}))
