"""Between torch's tensors and the native session: what goes in and how results come back."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils import dlpack

from farandole import _native
from farandole.arguments import check_no_overlap
from farandole.errors import InvalidArgumentError


def check_tensor(tensor: object) -> torch.Tensor:
    """Refuses whatever is no tensor of torch."""
    if not isinstance(tensor, torch.Tensor):
        raise InvalidArgumentError(f"a torch.Tensor is wanted, not a {type(tensor).__name__}")
    return tensor


def check_optimizer(optimizer: object) -> None:
    """Refuses whatever is no optimizer of torch."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise InvalidArgumentError(
            f"a torch.optim.Optimizer is wanted, not a {type(optimizer).__name__}"
        )


def check_module(module: object) -> torch.nn.Module:
    """Refuses whatever is no module of torch."""
    if not isinstance(module, torch.nn.Module):
        raise InvalidArgumentError(f"a torch.nn.Module is wanted, not a {type(module).__name__}")
    return module


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor itself where its memory is as it looks, else a contiguous copy."""
    check_tensor(tensor)
    if tensor.layout is not torch.strided:
        raise InvalidArgumentError(
            f"a tensor of layout {tensor.layout} cannot be communicated; make it dense first "
            "(tensor.to_dense()), or use sparse_allreduce_async"
        )
    if tensor.is_contiguous() and not (tensor.is_conj() or tensor.is_neg()):
        return tensor
    return tensor.detach().resolve_conj().resolve_neg().contiguous()


def memory_of(tensor: torch.Tensor) -> torch.Tensor:
    """As ``plain``, for a tensor that the result is written to. What could not be written is
    refused here, before any rank has communicated."""
    memory = plain(tensor)
    if memory is tensor:
        return memory
    check_no_overlap("the tensor", tensor.shape, tensor.stride())
    if tensor.is_inference() and not torch.is_inference_mode_enabled():
        raise InvalidArgumentError(
            "an inference tensor that is not contiguous is written in place only within "
            "torch.inference_mode()"
        )
    return memory


def result_of(native: _native.Handle) -> torch.Tensor:
    """The result that Farandole allocated, without a copy."""
    tensor: torch.Tensor = dlpack.from_dlpack(native.dlpack())
    return tensor


def returning(tensor: torch.Tensor) -> Callable[[_native.Handle], torch.Tensor]:
    """A handle's finish where the result has gone to ``tensor``."""

    def finish(_: _native.Handle) -> torch.Tensor:
        return tensor

    return finish


def writing_back(
    tensor: torch.Tensor, copy: torch.Tensor
) -> Callable[[_native.Handle], torch.Tensor]:
    """A handle's finish for an operation in place whose memory was perhaps that of a copy."""
    if copy is tensor:
        return returning(tensor)

    def finish(_: _native.Handle) -> torch.Tensor:
        with torch.no_grad():
            tensor.copy_(copy)
        return tensor

    return finish
