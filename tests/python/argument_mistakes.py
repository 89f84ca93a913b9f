"""Whatever could be wrong about an argument of the Python interface, and what the error says.

The tables go by the names of parameters, because the same name means the same everywhere. In a
message "{place}" stands for the operation as errors name it: allreduce "n".
"""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any

import numpy as np
from memory_mistakes import ARRAYS, wrong_memory, wrong_parameters

import farandole as fdl

try:
    import torch
except ImportError:  # this Python has none
    torch = None  # type: ignore[assignment]

# What is wrong -> value, message.
Mistakes = dict[str, tuple[Any, str]]

ONES = np.ones((2, 3), "f4")
# What is shown of it is one line, and not a long one.
LARGE = np.zeros((40, 40), "i4")
LARGE_SHOWN = " ".join(repr(LARGE).split())[:99] + "…"
LONG_NAME = "n" * 513
DTYPES = (
    "uint8, int8, uint16, int16, int32, int64, float16, bfloat16, float32, float64, bool, "
    "complex64 and complex128"
)
GROUPS = "groups should be a non-negative integer or a list of lists of torch.Tensor."
NAMED = (
    "named_parameters should be a sequence of tuples (name, parameter), usually produced by "
    "model.named_parameters()."
)


def each(message: str, values: dict[str, tuple[Any, str]]) -> Mistakes:
    """Several values of which the same is said; `{}` stands for how one is shown."""
    return {what: (value, message.format(shown)) for what, (value, shown) in values.items()}


def scales(what: str, finite: str) -> Mistakes:
    return {
        **each(
            f"{what}={{}} is no number; a finite float is wanted",
            {
                "text": ("2", "'2'"),
                "none": (None, "None"),
                "list": ([1], "[1]"),
                "complex": (1j, "1j"),
                "array": (LARGE, LARGE_SHOWN),
            },
        ),
        "infinite": (float("inf"), finite.format("inf")),
        "negative infinite": (-float("inf"), finite.format("-inf")),
        "nan": (float("nan"), finite.format("nan")),
    }


def counts(what: str) -> Mistakes:
    return each(
        f"{what}={{}}: a whole number from 1 is wanted",
        {
            "zero": (0, "0"),
            "negative": (-1, "-1"),
            "text": ("x", "'x'"),
            "float": (1.5, "1.5"),
            "none": (None, "None"),
            "bool": (True, "True"),
            "array": (LARGE, LARGE_SHOWN),
        },
    )


def flags(what: str) -> Mistakes:
    return each(
        f"{what}={{}} is neither True nor False",
        {"text": ("yes", "'yes'"), "number": (2, "2"), "array": (LARGE, LARGE_SHOWN)},
    )


def types(message: str, *values: Any) -> Mistakes:
    """Values of wrong types, which the message names."""
    named = [(type(value).__name__, value) for value in values]
    return {name: (value, message.format(name)) for name, value in named}


WRONG: dict[str, Mistakes] = {
    "tensors": types("a sequence of tensors is wanted, not a {}", None, 3, "ab", b"ab", {}, ONES),
    "name": {
        **each(
            "name={} is no text; a str or None is wanted",
            {
                "number": (3, "3"),
                "zero": (0, "0"),
                "bytes": (b"x", "b'x'"),
                "list": (["x"], "['x']"),
                "array": (LARGE, LARGE_SHOWN),
            },
        ),
        "long": (LONG_NAME, "{place}: the name has {bytes} bytes; at most 512 are allowed"),
        "null": ("a\0b", "name='a\\x00b' contains a null character"),
        "surrogate": ("\ud800", "name='\\ud800' cannot be written as UTF-8"),
    },
    "average": {
        **each(
            "average={} is neither True nor False",
            {"number": (2, "2"), "array": (LARGE, LARGE_SHOWN)},
        ),
        "a name": ("x", "average='x' is text; give a name by name: name='x'"),
        "operation": (fdl.Sum, "average=Sum is an operation; give it by name: op=Sum"),
    },
    "op": each(
        "op={} is no reduce operation; Average, Sum, Min, Max, Product and Adasum are",
        {
            "unknown": (9, "9"),
            "negative": (-1, "-1"),
            "text": ("sum", "'sum'"),
            "float": (1.0, "1.0"),
            "bool": (True, "True"),
            "list": ([fdl.Sum], "[Sum]"),
        },
    ),
    "prescale_factor": scales(
        "prescale_factor", "{{place}}: scale factors must be finite, not {} and 1"
    ),
    "postscale_factor": scales(
        "postscale_factor", "{{place}}: scale factors must be finite, not 1 and {}"
    ),
    "process_set": types("process_set must be a ProcessSet, not {}", None, 0, [0], "global"),
    "compression": each(
        "compression={} has no method compress; Compression.none, Compression.fp16, "
        "Compression.bf16 or a Compressor of your own is wanted",
        {
            "none": (None, "None"),
            "text": ("fp16", "'fp16'"),
            "class": (object, "<class 'object'>"),
        },
    ),
    "root_rank": {
        **each(
            "{{place}}: root rank {} does not exist; ranks are 0 to 0",
            {"missing": (5, "5"), "negative": (-1, "-1")},
        ),
        **each(
            "root rank {} does not exist; a rank from 0 to size() - 1 is wanted",
            {"huge": (1 << 40, "1099511627776"), "hugely negative": (-(1 << 40), "-1099511627776")},
        ),
        **each(
            "root_rank={} is no rank; a whole number is wanted",
            {
                "text": ("0", "'0'"),
                "float": (0.0, "0.0"),
                "none": (None, "None"),
                "array": (LARGE, LARGE_SHOWN),
            },
        ),
    },
    "splits": {
        "too few rows": ([1], "{place}: splits [1] leave 1 of 2 rows over"),
        "too many rows": ([3], "{place}: splits [3] ask for more than the tensor's 2 rows"),
        "too many": ([1, 1], "{place}: 2 splits for 1 ranks; one for each is wanted"),
        "negative": ([-2], "{place}: splits [-2] contain a negative number"),
        "none of them": ([], "splits is empty; one number for each rank is wanted"),
        **each(
            "splits={}: a one-dimensional sequence of whole numbers is wanted",
            {
                "floats": ([2.0], "[2.0]"),
                "text": ("2", "'2'"),
                "number": (2, "2"),
                "nested": ([[2]], "[[2]]"),
                "bools": ([True], "[True]"),
                "array": (LARGE, LARGE_SHOWN),
            },
        ),
    },
    "handle": each(
        "{} is no handle; the functions that end in _async return one",
        {
            "none": (None, "None"),
            "number": (3, "3"),
            "text": ("x", "'x'"),
            "array": (LARGE, LARGE_SHOWN),
        },
    ),
    "timeout": each(
        "timeout={} is no number of seconds; None or a number from 0 is wanted",
        {
            "text": ("1", "'1'"),
            "list": ([1], "[1]"),
            "negative": (-1, "-1"),
            "hardly negative": (-1e-9, "-1e-09"),
            "nan": (float("nan"), "nan"),
            "complex": (1j, "1j"),
            "huge": (10**400, "1" + 98 * "0" + "…"),
            "array": (LARGE, LARGE_SHOWN),
        },
    ),
    "ranks": {
        **each(
            "ranks={}: a sequence of ranks is wanted, whole numbers from 0 to size() - 1",
            {
                "none": (None, "None"),
                "text": ("0", "'0'"),
                "number": (1, "1"),
                "nothing": ([], "[]"),
                "negative": ([0, -1], "[0, -1]"),
                "floats": ([1.0], "[1.0]"),
                "bool": ([True], "[True]"),
                "huge": ([1 << 40], "[1099511627776]"),
            },
        ),
        "twice": ([1, 0, 1], "ranks=[1, 0, 1]: rank 1 stands there twice"),
    },
    "param_group": each(
        "param_group={}: a dict with params, and options of theirs, is wanted",
        {"none": (None, "None"), "number": (3, "3"), "empty": ({}, "{}"), "list": ([1], "[1]")},
    ),
    "optimizer": types("a torch.optim.Optimizer is wanted, not a {}", None, 3, ONES),
    "named_parameters": {
        **each(NAMED, {"number": (3, ""), "numbers": ([1], ""), "triples": ([(1, 2, 3)], "")}),
        "others": (
            [],
            "named_parameters was specified, but one or more model parameters were not named: "
            "1 of 1",
        ),
    },
    "backward_passes_per_step": counts("backward_passes_per_step"),
    "passes": counts("backward_passes_per_step"),
    "gradient_predivide_factor": {
        **each(
            "gradient_predivide_factor={} must be positive and finite",
            {
                "zero": (0, "0.0"),
                "negative": (-1.0, "-1.0"),
                "nan": (float("nan"), "nan"),
                "infinite": (float("inf"), "inf"),
            },
        ),
        **each(
            "gradient_predivide_factor={} is no number; a finite float is wanted",
            {"text": ("x", "'x'"), "none": (None, "None"), "array": (LARGE, LARGE_SHOWN)},
        ),
    },
    "num_groups": each(GROUPS, {"text": ("x", ""), "negative": (-1, ""), "float": (1.5, "")}),
    "groups": {
        **each(
            GROUPS,
            {"text": ("x", ""), "negative": (-1, ""), "float": (1.5, ""), "numbers": ([1], "")},
        ),
        "lists of numbers": ([[1]], "groups must consist of torch.Tensor."),
    },
    "sparse_as_dense": flags("sparse_as_dense"),
    "params": types(
        "params is a {}; a model's state_dict(), named_parameters() or parameters() is wanted",
        None,
        3,
        "ab",
    ),
    "closure": each(
        "closure={} cannot be called; a function without arguments is wanted",
        {"number": (3, "3"), "text": ("x", "'x'"), "array": (LARGE, LARGE_SHOWN)},
    ),
    "state_dict": types(
        "state_dict is a {} without state and param_groups; what state_dict() of such an "
        "optimizer returned is wanted",
        None,
        3,
        {},
        [],
    ),
    "ctx": each(
        "ctx={} is not what compress() returned with the tensor",
        {"number": (3, "3"), "text": ("float32", "'float32'"), "array": (LARGE, LARGE_SHOWN)},
    ),
}

NO_TENSOR = (
    "a {} is no tensor; NumPy arrays, torch tensors and objects with __dlpack__ or the buffer "
    "protocol are"
)
WRONG_ARRAYS: Mistakes = {
    **types(f"{NO_TENSOR}; numpy.array() makes one", 3, [1.0]),
    **types(NO_TENSOR, None, "x"),
    **each(
        f"dtype {{}} is not supported; {DTYPES} are",
        {
            "objects": (np.array([None]), "object"),
            "uint64": (np.ones(2, "u8"), "uint64"),
            "dates": (np.zeros(2, "M8[s]"), "datetime64[s]"),
            "strings": (np.array(["a"]), "str32"),
            "records": (np.zeros(2, "i4,f4"), "void64"),
        },
    ),
    "byte order": (
        np.ones(2, ">f4"),
        "dtype float32 is not in the machine's byte order; convert it first",
    ),
}
NO_TORCH_TENSOR = {
    **types("a torch.Tensor is wanted, not a {}", None),
    **types("a torch.Tensor is wanted, not a {}; torch.tensor() makes one", 3, [1.0]),
    **ARRAYS,
}
NO_ARRAY = types("an array is wanted, not a {}", None, 3, [1.0], "x")


def wrong_torch_tensors(function: str) -> Mistakes:
    reduces = "reduce" in function  # others only move what they are given
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of torch: compressed rows are in beta state
        compressed = torch.ones(2, 2).to_sparse_csr()
    return {
        **NO_TORCH_TENSOR,
        **wrong_memory(),
        "sparse": (
            compressed,
            "a tensor of layout torch.sparse_csr cannot be communicated; make it dense first "
            "(tensor.to_dense()), or use sparse_allreduce_async",
        ),
        "meta": (
            torch.ones(2, device="meta"),
            'nothing here communicates memory of device "meta"; move the tensor to the CPU',
        ),
        **each(
            f"dtype {{}} is not supported; {DTYPES} are",
            {
                "uint64": (torch.ones(2, dtype=torch.uint64), "uint64"),
                **(
                    {"fp8": (torch.ones(2).to(torch.float8_e5m2), "float8_e5m2")} if reduces else {}
                ),
            },
        ),
    }


def wrong_sparse_tensors() -> Mistakes:
    """Of what is wanted to be a sparse one: those that are wrong elsewhere, and dense ones."""
    message = "a sparse COO tensor is wanted, not one of {}"
    tensors = {
        w: t for w, (t, _) in wrong_torch_tensors("reduce").items() if isinstance(t, torch.Tensor)
    }
    tensors["dense"] = torch.ones(2)
    return {
        **NO_TORCH_TENSOR,
        **{what: (tensor, message.format(tensor.layout)) for what, tensor in tensors.items()},
    }


def one_each(parameter: str) -> Mistakes:
    """Of a group of one."""
    message = f"{parameter}={{}}: a sequence of 1, one for each tensor, is wanted"
    values = {"number": (3, "3"), "text": ("x", "'x'"), "two": ([None] * 2, "[None, None]")}
    return each(message, values)


def wrong_outs(module: ModuleType) -> Mistakes:
    """For a result of ONES' shape and dtype."""
    dtype: Any
    shape: Any
    if module is fdl:
        wrong = each("out={} is no NumPy array", {"number": (3, "3"), "list": ([1.0], "[1.0]")})
        dtype, shape = np.ones((2, 3)), np.ones((3, 3), "f4")
    else:
        wrong = {what: one for what, one in NO_TORCH_TENSOR.items() if what != "NoneType"}
        dtype, shape = torch.ones(2, 3, dtype=torch.float64), torch.ones(3, 3)
    return {
        **wrong,
        "dtype": (dtype, f"out is {dtype.dtype}, the result {shape.dtype}"),
        "shape": (shape, "out has shape [3, 3], the result [2, 3]"),
    }


def wrong_values(module: ModuleType, function: str, parameter: str) -> Mistakes:
    """For one parameter of a function or method, which is named as "Class.method"."""
    if parameter in ("out", "splits") and function.startswith("grouped"):
        return one_each(parameter)
    if parameter == "out":
        return wrong_outs(module)
    if (function, parameter) == ("add_process_set", "process_set"):  # or ranks of which one is made
        return WRONG["ranks"]
    if parameter == "params":
        return {**WRONG["params"], **wrong_parameters()}
    if parameter != "tensor":
        return WRONG[parameter]
    if function.endswith("decompress"):  # what may be sent is judged where it is sent
        return NO_TORCH_TENSOR if module is not fdl else NO_ARRAY
    if function.endswith("compress"):
        return {**NO_TORCH_TENSOR, **wrong_memory()}
    if module is fdl:
        return {**WRONG_ARRAYS, **wrong_memory()}
    return wrong_sparse_tensors() if "sparse" in function else wrong_torch_tensors(function)
