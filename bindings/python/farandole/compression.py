"""Making arrays smaller for the way."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from farandole.arguments import shown
from farandole.errors import InvalidArgumentError, UnsupportedError


class Compressor:
    """Turns a tensor into a smaller one and back. ``compress`` returns the tensor to send and what
    ``decompress`` needs to know. Subclass it for a scheme of your own.

    Where that keeps a state for each tensor, such as what compression lost the last time, give the
    optimizer, or the model's wrapper, an object with a method ``for_parameter(name)``, which
    returns the compressor of one parameter, and is asked once for each; it needs no other method.
    Sparse gradients are not compressed then: their rows change from step to step. One without
    ``for_parameter`` gets the values of a sparse gradient, and has to make one of each.
    """

    # Of one that takes tensors of one library alone: the module for these, and its name there.
    _home = ""
    _name = ""

    @staticmethod
    def compress(tensor: Any) -> tuple[Any, Any]:
        """What is sent in place of ``tensor``, and what ``decompress`` gets as ``ctx``."""
        raise NotImplementedError

    @staticmethod
    def decompress(tensor: Any, ctx: Any) -> Any:
        """The result for the caller: ``tensor`` is that of what was sent, ``ctx`` what
        ``compress`` returned beside it."""
        raise NotImplementedError


class NoneCompressor(Compressor):
    """Leaves the tensor as it is."""

    @staticmethod
    def compress(tensor: Any) -> tuple[Any, Any]:
        return tensor, None

    @staticmethod
    def decompress(tensor: Any, ctx: Any) -> Any:
        return tensor


class FP16Compressor(Compressor):
    """Sends floating-point arrays as float16."""

    _home = "farandole"
    _name = "fp16"

    @staticmethod
    def compress(tensor: Any) -> tuple[Any, Any]:
        return _narrow(tensor, np.dtype(np.float16))

    @staticmethod
    def decompress(tensor: Any, ctx: Any) -> Any:
        return _widen(tensor, ctx)


class BF16Compressor(Compressor):
    """Sends floating-point arrays as bfloat16 (with the package ml_dtypes)."""

    _home = "farandole"
    _name = "bf16"

    @staticmethod
    def compress(tensor: Any) -> tuple[Any, Any]:
        return _narrow(tensor, bfloat16())

    @staticmethod
    def decompress(tensor: Any, ctx: Any) -> Any:
        return _widen(tensor, ctx)


def _narrow(tensor: Any, dtype: np.dtype[Any]) -> tuple[Any, Any]:
    array = tensor
    if not isinstance(tensor, np.ndarray):
        if hasattr(tensor, "__dlpack__"):
            raise InvalidArgumentError(
                f"{dtype} is made of NumPy arrays, not of a {type(tensor).__name__}; pass an array "
                "(numpy.asarray()), or for torch call farandole.torch with its own Compression"
            )
        with contextlib.suppress(TypeError, ValueError):  # what is no buffer is judged when sent
            array = np.asarray(memoryview(tensor))
    wide = isinstance(array, np.ndarray) and array.dtype in (np.float32, np.float64)
    return (array.astype(dtype), array.dtype) if wide else (tensor, None)


def _widen(tensor: Any, ctx: Any) -> Any:
    check_context(ctx, np.dtype)
    if ctx is None:
        return tensor
    if not isinstance(tensor, np.ndarray):
        raise InvalidArgumentError(f"an array is wanted, not a {type(tensor).__name__}")
    return tensor.astype(ctx)


def check_context(ctx: object, dtype: type) -> None:
    """Refuses what no ``compress`` has returned beside the tensor."""
    if ctx is not None and not isinstance(ctx, dtype):
        raise InvalidArgumentError(
            f"ctx={shown(ctx)} is not what compress() returned with the tensor"
        )


def bfloat16() -> np.dtype[Any]:
    """NumPy's dtype for bfloat16, which a package of its own brings."""
    return ml_dtype("bfloat16")


def ml_dtype(name: str) -> np.dtype[Any]:
    """NumPy's dtype of that name, which a package of its own brings."""
    try:
        import ml_dtypes
    except ImportError as error:
        raise UnsupportedError(f"{name} arrays need the package ml_dtypes") from error
    if not hasattr(ml_dtypes, name):
        raise UnsupportedError(f"{name} arrays need a newer ml_dtypes")
    dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
    return dtype


class Compression:
    """The compressors there are."""

    none = NoneCompressor
    fp16 = FP16Compressor
    bf16 = BF16Compressor
