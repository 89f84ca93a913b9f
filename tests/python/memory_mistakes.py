"""Tensors of torch whose elements are not where they seem to be, and what the error says."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

try:
    import torch
except ImportError:  # this Python has none
    torch = None  # type: ignore[assignment]


# What is wrong -> value, message: where a tensor of torch is wanted.
ARRAYS = {
    "array": (
        np.ones((2, 3), "f4"),
        "a torch.Tensor is wanted, not a ndarray; torch.from_numpy() makes one, or use farandole, "
        "without .torch",
    )
}


def resized(tensor: Any, size: int) -> Any:
    """The tensor, whose storage has so many bytes from now on."""
    tensor.untyped_storage().resize_(size)
    return tensor


def wrong_memory() -> dict[str, tuple[Any, str]]:
    """What is wrong -> tensor, message. Nothing without torch."""
    if torch is None:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of torch: nested tensors are a prototype
        nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    text = (
        "the tensor of shape [2, 3] needs {} bytes of its storage, which has {}: it was shrunk or "
        "freed (untyped_storage().resize_()); resize it before"
    )
    return {
        "nested": (
            nested,
            "a nested tensor cannot be communicated; send its parts as a group (tensor.unbind())",
        ),
        "shrunk": (resized(torch.ones(2, 3), 4), text.format(24, 4)),
        "freed": (resized(torch.ones(2, 3), 0), text.format(24, 0)),
        # From the element 7 to the element 17.
        "stepped and shrunk": (resized(torch.ones(4, 6)[1:3, 1::2], 68), text.format(72, 68)),
    }


def wrong_parameters() -> dict[str, tuple[Any, str]]:
    """As parameters without names, and what is no tensor."""
    remedy = "not a torch.Tensor; leave it out, or give it to broadcast_object(obj, root_rank)"
    state = "not a torch.Tensor; an optimizer's goes by broadcast_optimizer_state(optimizer, "
    return {
        **{what: ([t], f"params: entry 0: {text}") for what, (t, text) in wrong_memory().items()},
        "numbers": ([1], f"params: an entry is a int, {remedy}"),
        "named number": ({"a": 3}, f"params: a is a int, {remedy}"),
        "named nothing": ({"b": None}, f"params: b is a NoneType, {remedy}"),
        "state of an optimizer": ({"state": {}}, f"params: state is a dict, {state}root_rank)"),
    }
