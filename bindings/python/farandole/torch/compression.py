"""Making tensors smaller for the way."""

from __future__ import annotations

from typing import Any

import torch

from farandole.arguments import check_compression, shown
from farandole.compression import Compressor, NoneCompressor, check_context
from farandole.torch.tensors import check_tensor, check_values

__all__ = ["BF16Compressor", "Compression", "Compressor", "FP16Compressor", "NoneCompressor"]


class _HalfCompressor(Compressor):
    _home = "farandole.torch"
    dtype: torch.dtype

    @classmethod
    def compress(cls, tensor: torch.Tensor) -> tuple[torch.Tensor, Any]:
        check_values(check_tensor(tensor))  # which is read here
        if tensor.dtype in (torch.float32, torch.float64):
            return tensor.to(cls.dtype), tensor.dtype
        return tensor, None

    @staticmethod
    def decompress(tensor: torch.Tensor, ctx: Any) -> torch.Tensor:
        check_context(ctx, torch.dtype)
        return tensor if ctx is None else check_tensor(tensor).to(ctx)


class FP16Compressor(_HalfCompressor):
    """Sends float32 and float64 as float16."""

    _name = "fp16"
    dtype = torch.float16


class BF16Compressor(_HalfCompressor):
    """Sends float32 and float64 as bfloat16: fewer digits than float16, the range of float32."""

    _name = "bf16"
    dtype = torch.bfloat16


class Compression:
    """The compressors there are."""

    none = NoneCompressor
    fp16 = FP16Compressor
    bf16 = BF16Compressor


class Compressors:
    """Those of an optimizer's or a model's parameters, by their names.

    compression: one for all, or an object with ``for_parameter``, which is asked once for each.
    """

    def __init__(self, compression: Any) -> None:
        self._compression = compression
        self._make = getattr(compression, "for_parameter", None)
        self._made: dict[str, Any] = {}

    def of_dense(self, name: str) -> Any:
        """What takes the whole gradient of that parameter."""
        if self._make is None:
            return self._compression
        if name not in self._made:
            made = self._make(name)
            check_compression(
                made, "farandole.torch", f"for_parameter({shown(name)}) of the compression"
            )
            self._made[name] = made
        return self._made[name]

    def of_sparse(self) -> Any:
        """What takes the values of whichever rows a sparse gradient has. What was kept of one set
        of rows means nothing for another one: with a state they travel as they are."""
        return self._compression if self._make is None else NoneCompressor
