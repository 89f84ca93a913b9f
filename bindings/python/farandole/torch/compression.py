"""Making tensors smaller for the way."""

from __future__ import annotations

from typing import Any

import torch

from farandole.compression import Compressor, NoneCompressor, check_context
from farandole.framework import check_memory
from farandole.torch.tensors import check_tensor

__all__ = ["Compression", "Compressor", "NoneCompressor"]


class _HalfCompressor(Compressor):
    dtype: torch.dtype

    @classmethod
    def compress(cls, tensor: torch.Tensor) -> tuple[torch.Tensor, Any]:
        check_memory(check_tensor(tensor))  # which is read here
        if tensor.dtype in (torch.float32, torch.float64):
            return tensor.to(cls.dtype), tensor.dtype
        return tensor, None

    @staticmethod
    def decompress(tensor: torch.Tensor, ctx: Any) -> torch.Tensor:
        check_context(ctx, torch.dtype)
        return tensor if ctx is None else check_tensor(tensor).to(ctx)


class FP16Compressor(_HalfCompressor):
    """Sends float32 and float64 as float16."""

    dtype = torch.float16


class BF16Compressor(_HalfCompressor):
    """Sends float32 and float64 as bfloat16: fewer digits than float16, the range of float32."""

    dtype = torch.bfloat16


class Compression:
    """The compressors there are."""

    none = NoneCompressor
    fp16 = FP16Compressor
    bf16 = BF16Compressor
