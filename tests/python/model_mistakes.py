"""As argument_mistakes.py, of what stands around a model: its wrappers, its data, its figures."""

from __future__ import annotations

from types import ModuleType

import argument_mistakes
import message_mistakes
from argument_mistakes import (
    LARGE,
    LARGE_SHOWN,
    NO_TORCH_TENSOR,
    ONES,
    Mistakes,
    counts,
    each,
    flags,
    types,
)

import farandole as fdl

try:
    import torch
except ImportError:  # this Python has none
    torch = None  # type: ignore[assignment]


def paths(what: str) -> Mistakes:
    return {
        **each(
            f"{what}={{}} is no path; that of a file is wanted",
            {
                "none": (None, "None"),
                "number": (3, "3"),
                "nothing": ("", "''"),
                "bytes": (b"x", "b'x'"),
                "array": (LARGE, LARGE_SHOWN),
            },
        ),
        "null": ("a\0b", f"{what}='a\\x00b' contains a null character"),
        "surrogate": ("\ud800", f"{what}='\\ud800' cannot be written as UTF-8"),
    }


def wholes(what: str) -> Mistakes:
    return each(
        f"{what}={{}}: a whole number from 0 is wanted",
        {
            "negative": (-1, "-1"),
            "text": ("x", "'x'"),
            "float": (1.5, "1.5"),
            "none": (None, "None"),
            "bool": (True, "True"),
        },
    )


def positive(what: str) -> Mistakes:
    return {
        **each(
            f"{what}={{}} must be positive and finite",
            {
                "zero": (0, "0.0"),
                "negative": (-1.0, "-1.0"),
                "nan": (float("nan"), "nan"),
                "infinite": (float("inf"), "inf"),
            },
        ),
        **each(f"{what}={{}} is no number; a finite float is wanted", {"text": ("x", "'x'")}),
    }


def but_none(mistakes: Mistakes) -> Mistakes:
    """Where None is right."""
    return {what: mistake for what, mistake in mistakes.items() if what != "none"}


WRONG: dict[str, Mistakes] = {
    **argument_mistakes.WRONG,
    **message_mistakes.WRONG,
    "file_path": {
        **paths("file_path"),
        "device": ("/dev/null", "timeline /dev/null: it is not an ordinary file; name one"),
    },
    "lst": each(
        "lst={}: a list of names, or of what else a set may hold, is wanted",
        {"none": (None, "None"), "number": (3, "3"), "lists": ([[1]], "[[1]]")},
    ),
    "mark_cycles": flags("mark_cycles"),
    "output": paths("output"),
    "paths": {
        **each(
            "paths={}: a sequence of paths is wanted",
            {"none": (None, "None"), "number": (3, "3"), "text": ("ab", "'ab'")},
        ),
        **{what: ([path], message) for what, (path, message) in paths("paths[0]").items()},
        "nothing at all": ([], "there is no timeline to merge; name some"),
        "no timeline": ([__file__], f"{__file__} is no timeline of Farandole"),
    },
    "device": each(
        "join(device={}): only the CPU, -1, is supported",
        {
            "of CUDA": (0, "0"),
            "text": ("cpu", "'cpu'"),
            "none": (None, "None"),
            "bool": (True, "True"),
            "float": (-1.0, "-1.0"),
            "array": (LARGE, LARGE_SHOWN),
        },
    ),
    "async_loader_queue_size": wholes("async_loader_queue_size"),
    "debug_data_loader": flags("debug_data_loader"),
    "metrics": {
        **types("metrics is a {}; a dict of names and numbers is wanted", None, 3, [1.0]),
        **each(
            "metrics: loss={} is no number, nor an array of one element",
            {
                "text": ({"loss": "1"}, "'1'"),
                "none": ({"loss": None}, "None"),
                "complex": ({"loss": 1j}, "1j"),
                "array": ({"loss": LARGE}, LARGE_SHOWN),
            },
        ),
    },
    "weight": {
        **each(
            "weight={}: a finite number from 0 is wanted",
            {
                "negative": (-1, "-1"),
                "nan": (float("nan"), "nan"),
                "infinite": (float("inf"), "inf"),
                "text": ("1", "'1'"),
                "none": (None, "None"),
            },
        ),
        "nothing": (0, "the weights of all ranks are 0; nothing can be averaged"),
    },
    "factor": positive("factor"),
    "start_factor": {
        **positive("start_factor"),
        "large": (1.5, "start_factor=1.5 is above 1"),
    },
    "warmup_steps": counts("warmup_steps"),
    "dataset": each(
        "dataset={} has no length; a dataset with len() is wanted",
        {"none": (None, "None"), "number": (3, "3"), "type": (int, "<class 'int'>")},
    ),
    "num_replicas": but_none(counts("num_replicas")),
    "rank": {
        **but_none(wholes("rank")),
        "large": (1, "rank=1 is not below num_replicas=1"),
    },
    "shuffle": flags("shuffle"),
    "drop_last": flags("drop_last"),
    "seed": wholes("seed"),
    "epoch": wholes("epoch"),
    "batch_idx": wholes("batch_idx"),
    "batch_size": counts("batch_size"),
    "module": types("a torch.nn.Module is wanted, not a {}", None, 3, ONES),
    "broadcast_buffers": flags("broadcast_buffers"),
    "init_sync": flags("init_sync"),
    "find_unused_parameters": flags("find_unused_parameters"),
    "bias": flags("bias"),
}
MODEL_STATE = types(
    "state_dict is a {}; what state_dict() of such a model returned is wanted", None, 3, []
)
SAMPLER_STATE = {
    **types(
        "state_dict is a {} without epoch and processed; what state_dict() of such a sampler "
        "returned is wanted",
        None,
        3,
        {},
    ),
    "epoch": (
        {"epoch": -1, "processed": 0},
        "epoch=-1: a whole number from 0 is wanted",
    ),
    "processed": (
        {"epoch": 1, "processed": None},
        "processed=None: a whole number from 0 is wanted",
    ),
}


def wrong_batches() -> Mistakes:
    """For a SyncBatchNorm of three channels."""
    return {
        **NO_TORCH_TENSOR,
        "too few dimensions": (
            torch.ones(3),
            "input of 1 dimensions; a batch of two dimensions or more is wanted",
        ),
        "other channels": (
            torch.ones(2, 4),
            "input of shape [2, 4] has 4 channels, not the 3 of this layer",
        ),
        "whole numbers": (
            torch.ones(2, 3, dtype=torch.int64),
            "input of int64; real floating-point numbers are wanted",
        ),
    }


def of_scatter(module: ModuleType) -> Mistakes:
    """None is right on other ranks, and a list holds a tensor for each rank."""
    entry = (
        "the tensor at index 0=1.0 is no NumPy array"
        if module is fdl
        else "a torch.Tensor is wanted, not a float; torch.tensor() makes one"
    )
    nothing = "rank 0 is the root of this scatter and gives no tensor (None)"
    usual = argument_mistakes.wrong_values(module, "gather", "tensor")
    return {**usual, "NoneType": (None, nothing), "list": ([1.0], entry)}


def wrong_values(module: ModuleType, function: str, parameter: str) -> Mistakes:
    """For one parameter of a function or method, which is named as "Class.method"."""
    if parameter == "input":
        return wrong_batches()
    if function == "DistributedDataParallel.load_state_dict":
        return MODEL_STATE
    if function == "DistributedSampler.load_state_dict":
        return SAMPLER_STATE
    if "send" in function or "recv" in function:
        return message_mistakes.wrong_values(module, function, parameter)
    if parameter == "tensor" and function.startswith("scatter"):
        return of_scatter(module)
    if parameter in WRONG and parameter not in argument_mistakes.WRONG:
        return WRONG[parameter]
    return argument_mistakes.wrong_values(module, function, parameter)
