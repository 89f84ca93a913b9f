"""What users of torch pass, judged, and tensors whose memory is as they look."""

from __future__ import annotations

import torch
from torch.autograd import forward_ad

from farandole.errors import InvalidArgumentError, UnsupportedError
from farandole.framework import check_memory


def check_tensor(tensor: object) -> torch.Tensor:
    """Refuses whatever is no tensor of torch."""
    if not isinstance(tensor, torch.Tensor):
        raise InvalidArgumentError(
            f"a torch.Tensor is wanted, not a {type(tensor).__name__}{_maker(tensor)}"
        )
    return tensor


def _maker(given: object) -> str:
    """What makes a tensor of it."""
    if type(given).__module__ == "numpy" and hasattr(given, "shape"):
        return "; torch.from_numpy() makes one, or use farandole, without .torch"
    if isinstance(given, (int, float, complex, list, tuple)):
        return "; torch.tensor() makes one"
    return ""


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


def kind_of(tensor: torch.Tensor) -> str:
    """Its dtype and shape, as errors name them."""
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def to_dense(sparse: torch.Tensor) -> torch.Tensor:
    """As ``sparse.to_dense()``, of a COO tensor."""
    if sparse._nnz() == 1:
        # Torch takes the stride of the first dimension for an entry's length, and of a single entry
        # it may be any: of a sum's gradient it is 0, and of one number nothing would be kept.
        values = sparse._values().clone(memory_format=torch.contiguous_format)
        sparse = torch.sparse_coo_tensor(
            sparse._indices(),
            values,
            sparse.shape,
            is_coalesced=True,
            check_invariants=False,
            device=values.device,
        )
    return sparse.to_dense()


def check_values(tensor: torch.Tensor) -> None:
    """Refuses what is more than its values, or has none: such as stand for several tensors, or for
    a tensor and its derivative, which would be lost."""
    try:
        check_memory(tensor)
    except NotImplementedError as error:  # of torch, whose words tell what it is
        raise UnsupportedError(
            f"the tensor has no memory: {str(error).splitlines()[0]}; communicate outside of the "
            "function that torch.func (grad, vmap, jvp, ...) transforms"
        ) from error
    if forward_ad.unpack_dual(tensor).tangent is not None:
        raise UnsupportedError(
            "the tensor has a tangent (forward-mode differentiation), which would be lost; "
            "communicate forward_ad.unpack_dual(tensor), both parts of it, and make a new dual"
        )


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor itself where its memory is as it looks, else a contiguous copy."""
    check_values(check_tensor(tensor))
    if tensor.layout is not torch.strided:
        raise InvalidArgumentError(
            f"a tensor of layout {tensor.layout} cannot be communicated; make it dense first "
            "(tensor.to_dense()), or use sparse_allreduce_async"
        )
    if tensor.is_meta:
        raise UnsupportedError(
            'nothing here communicates memory of device "meta"; move the tensor to the CPU'
        )
    if tensor.is_contiguous() and not (tensor.is_conj() or tensor.is_neg()):
        return tensor
    return tensor.detach().resolve_conj().resolve_neg().contiguous()
