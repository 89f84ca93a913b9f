"""Every argument of every public function, with whatever could be wrong about it.

The table goes by the names of parameters, because the same name means the same everywhere. A
parameter that is in no table fails a test: nobody can forget one.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

import farandole as fdl

try:
    import torch

    import farandole.torch as hvd
except ImportError:  # this Python has none
    torch = hvd = None  # type: ignore[assignment]

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("session")]

ONES = np.ones((2, 3), "f4")
ROOTS = {
    "missing": (5, "root rank 5 does not exist; ranks are 0 to 0"),
    "negative": (-1, "root rank -1 does not exist"),
    "huge": (1 << 40, "root rank 1099511627776 does not exist"),
    "text": ("0", "root_rank='0' is no rank"),
    "float": (0.0, "root_rank=0.0 is no rank"),
    "none": (None, "root_rank=None is no rank"),
}


def scales(what: str) -> dict[str, tuple[Any, str]]:
    return {
        "text": ("2", f"{what}='2' is no number"),
        "none": (None, f"{what}=None is no number"),
        "list": ([1], rf"{what}=\[1\] is no number"),
        "complex": (1j, f"{what}=1j is no number"),
        "infinite": (float("inf"), "must be finite, not"),
        "nan": (float("nan"), "must be finite, not"),
    }


# parameter -> what is wrong -> value, what the error says
WRONG: dict[str, dict[str, tuple[Any, str]]] = {
    "tensors": {
        "none": (None, "a sequence of tensors is wanted, not a NoneType"),
        "number": (3, "a sequence of tensors is wanted, not a int"),
        "text": ("ab", "a sequence of tensors is wanted, not a str"),
        "mapping": ({}, "a sequence of tensors is wanted, not a dict"),
        "array": (ONES, "a sequence of tensors is wanted, not a ndarray"),
        "wrong member": ([None], "NoneType"),
    },
    "name": {
        "number": (3, "name=3 is no text"),
        "zero": (0, "name=0 is no text"),
        "bytes": (b"x", "name=b'x' is no text"),
        "list": (["x"], r"name=\['x'\] is no text"),
        "long": ("n" * 513, "51[0-9] bytes|52[0-9] bytes"),
        "null": ("a\0b", "null character"),
        "surrogate": ("\ud800", r"name='\\ud800' cannot be written as UTF-8"),
    },
    "average": {
        "text": ("yes", "average='yes' is neither True nor False"),
        "number": (2, "average=2 is neither True nor False"),
    },
    "op": {
        "unknown": (9, "op=9 is no reduce operation"),
        "negative": (-1, "op=-1 is no reduce operation"),
        "text": ("sum", "op='sum' is no reduce operation"),
        "float": (1.0, "op=1.0 is no reduce operation"),
        "bool": (True, "op=True is no reduce operation"),
    },
    "prescale_factor": scales("prescale_factor"),
    "postscale_factor": scales("postscale_factor"),
    "process_set": {
        "none": (None, "process_set must be a ProcessSet, not NoneType"),
        "number": (0, "process_set must be a ProcessSet, not int"),
        "list": ([0], "process_set must be a ProcessSet, not list"),
    },
    "compression": {
        "none": (None, "compression=None has no method compress"),
        "text": ("fp16", "compression='fp16' has no method compress"),
        "class": (object, "has no method compress"),
    },
    "root_rank": ROOTS,
    "splits": {
        "too few rows": ([1], "leave 1 of 2 rows over"),
        "too many rows": ([3], "3"),
        "too many": ([1, 1], "2 splits for 1 ranks"),
        "negative": ([-2], "negative"),
        "floats": ([2.0], "whole numbers"),
        "text": ("2", "whole numbers"),
        "number": (2, "whole numbers"),
        "nested": ([[2]], "whole numbers"),
        "none of them": ([], "splits is empty"),
    },
    "handle": {
        "none": (None, "None is no handle"),
        "number": (3, "3 is no handle"),
        "text": ("x", "'x' is no handle"),
    },
    "optimizer": {
        "none": (None, "a torch.optim.Optimizer is wanted, not a NoneType"),
        "number": (3, "a torch.optim.Optimizer is wanted, not a int"),
    },
    "named_parameters": {
        "number": (3, "named_parameters should be a sequence of tuples"),
        "numbers": ([1], "named_parameters should be a sequence of tuples"),
        "others": ([], "were not named: 1 of 1"),
    },
    "backward_passes_per_step": {
        "zero": (0, "backward_passes_per_step=0: a whole number from 1 is wanted"),
        "text": ("x", "backward_passes_per_step='x'"),
        "float": (1.5, "backward_passes_per_step=1.5"),
    },
    "gradient_predivide_factor": {
        "zero": (0, "must be positive"),
        "negative": (-1.0, "must be positive"),
        "nan": (float("nan"), "must be positive"),
        "text": ("x", "gradient_predivide_factor='x' is no number"),
    },
    "num_groups": {"text": ("x", "groups should be"), "negative": (-1, "groups should be")},
    "groups": {
        "text": ("x", "groups should be"),
        "negative": (-1, "groups should be"),
        "numbers": ([1], "groups should be"),
        "lists of numbers": ([[1]], "groups must consist of torch.Tensor"),
    },
    "sparse_as_dense": {"number": (3, "sparse_as_dense=3 is neither True nor False")},
    "params": {
        "none": (None, "invalid params of type"),
        "number": (3, "invalid params of type"),
        "numbers": ([1], "params: an entry is a int"),
        "named number": ({"a": 3}, "params: a is a int"),
    },
}

WRONG_ARRAYS: dict[str, tuple[Any, str]] = {
    "none": (None, "a NoneType is no tensor"),
    "number": (3, "a int is no tensor"),
    "list": ([1.0], "a list is no tensor"),
    "text": ("x", "a str is no tensor"),
    "objects": (np.array([None]), "dtype object is not supported"),
    "uint64": (np.ones(2, "u8"), "dtype uint64 is not supported"),
    "dates": (np.zeros(2, "M8[s]"), "is not supported"),
    "byte order": (np.ones(2, ">f4"), "byte order"),
    "strings": (np.array(["a"]), "is not supported"),
    "records": (np.zeros(2, "i4,f4"), "is not supported"),
}


def wrong_torch_tensors() -> dict[str, tuple[Any, str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of torch: compressed rows are in beta state
        compressed = torch.ones(2, 2).to_sparse_csr()
    return {
        "none": (None, "a torch.Tensor is wanted, not a NoneType"),
        "array": (ONES, "a torch.Tensor is wanted, not a ndarray"),
        "list": ([1.0], "a torch.Tensor is wanted, not a list"),
        "sparse": (compressed, "layout|sparse COO"),
        "meta": (torch.ones(2, device="meta"), "meta|sparse COO"),
        "uint64": (torch.ones(2, dtype=torch.uint64), "uint64|sparse COO"),
        "fp8": (torch.ones(2).to(torch.float8_e4m3fn), "float8|sparse COO"),
    }


# What needs no wrong value: every object is right, or the argument is for Horovod's sake.
ANYTHING = {"obj", "model"}
# Tested by themselves below: they are about how a session begins.
OF_INIT = {"comm", "process_sets", "settings"}


class Case(NamedTuple):
    module: ModuleType
    function: Callable[..., Any]
    parameter: str
    what: str
    value: Any
    message: str

    @property
    def label(self) -> str:
        return f"{self.module.__name__}.{self.function.__name__}-{self.parameter}-{self.what}"


def functions(module: ModuleType) -> list[Callable[..., Any]]:
    return [f for n in module.__all__ if inspect.isfunction(f := getattr(module, n))]


def modules() -> list[ModuleType]:
    return [fdl] if hvd is None else [fdl, hvd]


def wrong_values(module: ModuleType, parameter: str) -> dict[str, tuple[Any, str]]:
    if parameter == "tensor":
        return WRONG_ARRAYS if module is fdl else wrong_torch_tensors()
    return WRONG[parameter]


def cases() -> Iterator[Case]:
    for module in modules():
        for function in functions(module):
            for parameter in inspect.signature(function).parameters:
                if parameter in ANYTHING | OF_INIT:
                    continue
                for what, (value, message) in wrong_values(module, parameter).items():
                    yield Case(module, function, parameter, what, value, message)


def right(module: ModuleType, function: Callable[..., Any], parameter: str) -> Any:
    """A good value for what has no default."""
    if parameter == "tensor":
        if "sparse" in function.__name__:
            return torch.ones(2, 3).to_sparse()
        return ONES.copy() if module is fdl else torch.ones(2, 3)
    if parameter == "tensors":
        return [right(module, function, "tensor")]
    if parameter == "optimizer":
        return torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], 0.1)
    if parameter == "params":
        return {"a": torch.ones(2)}
    return {"root_rank": 0, "op": fdl.Sum, "name": "n", "obj": 1, "handle": None}[parameter]


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: case.label)
@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
def test_wrong_argument(case: Case) -> None:
    arguments = {
        name: right(case.module, case.function, name)
        for name, p in inspect.signature(case.function).parameters.items()
        if p.default is inspect.Parameter.empty
    }
    with pytest.raises(fdl.FarandoleError) as caught:
        result = case.function(**{**arguments, case.parameter: case.value})
        if isinstance(result, fdl.Handle):
            result.wait(10)
    text = str(caught.value)
    assert isinstance(caught.value, (fdl.InvalidArgumentError, fdl.UnsupportedError)), text
    assert re.search(case.message, text), text
    # One line, and no word of what lies below.
    assert "\n" not in text and "pybind" not in text and "farandole._native" not in text, text
    np.testing.assert_array_equal(fdl.allreduce(ONES, op=fdl.Sum), ONES)


def test_every_parameter_has_wrong_values() -> None:
    known = {"tensor", *WRONG} | ANYTHING | OF_INIT
    for module in modules():
        for function in functions(module):
            assert set(inspect.signature(function).parameters) <= known, function.__name__


def calls_without_session() -> Iterator[Any]:
    for module in modules():
        for function in functions(module):
            if function.__name__ not in ("init", "shutdown", "is_initialized", "poll"):
                name = f"{module.__name__}.{function.__name__}"
                yield pytest.param(module, function, id=name)


@pytest.mark.parametrize(("module", "function"), list(calls_without_session()))
def test_without_session(module: ModuleType, function: Callable[..., Any]) -> None:
    """Before init and after shutdown alike."""
    arguments = {
        name: right(module, function, name)
        for name, p in inspect.signature(function).parameters.items()
        if p.default is inspect.Parameter.empty
    }
    if "handle" in arguments:
        arguments["handle"] = fdl.allreduce_async(ONES, op=fdl.Sum)
    fdl.shutdown()
    if function.__name__ in ("synchronize", "DistributedOptimizer"):
        return  # both may be called: results stay, and hooks communicate only later
    with pytest.raises(fdl.NotInitializedError, match=r"not initialised; call init\(\) first"):
        function(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"settings": 3}, "settings=3 is no mapping"),
        ({"settings": [("fusion_bytes", 1)]}, "is no mapping"),
        ({"settings": {3: 1}}, "3 is no name of a setting"),
        ({"settings": {"fusion_byts": 1}}, "fusion_byts"),
        ({"settings": {"fusion_bytes": "abc"}}, 'fusion_bytes="abc" is not valid'),
        ({"settings": {"fusion_bytes": None}}, "fusion_bytes=None is neither text nor a number"),
        ({"settings": {"rank": 1}}, "is not below"),
        ({"comm": 3}, "comm"),
        ({"process_sets": [[0]]}, "process_sets"),
    ],
    ids=str,
)
def test_init(arguments: dict[str, Any], message: str) -> None:
    fdl.shutdown()
    with pytest.raises(fdl.FarandoleError, match=message) as caught:
        fdl.init(**arguments)
    assert "\n" not in str(caught.value)
    assert not fdl.is_initialized()
    fdl.init()
    np.testing.assert_array_equal(fdl.allreduce(ONES, op=fdl.Sum), ONES)
