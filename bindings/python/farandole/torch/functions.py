"""Putting all ranks into the same state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch

from farandole import _session
from farandole.arguments import check_root
from farandole.errors import InvalidArgumentError
from farandole.handles import GroupHandle
from farandole.objects import broadcast_object
from farandole.torch import ops
from farandole.torch.tensors import check_optimizer


def broadcast_parameters(params: Any, root_rank: int) -> None:
    """Gives every rank the tensors of rank ``root_rank``, in place.

    params: ``model.state_dict()``, ``model.named_parameters()`` or ``model.parameters()``; of the
        same names, shapes and dtypes on every rank.
    root_rank: as for ``broadcast``; so are errors and threads.
    """
    handles = [
        ops.broadcast_async_(tensor, root_rank, f"parameter/{name}" if name else None)
        for name, tensor in _named(params)
    ]
    GroupHandle(handles).wait()


def _named(params: Any) -> list[tuple[str | None, torch.Tensor]]:
    if isinstance(params, Mapping):
        items: list[Any] = sorted(params.items())
    elif isinstance(params, Iterable) and not isinstance(params, (torch.Tensor, str)):
        items = [item if isinstance(item, tuple) else (None, item) for item in params]
    else:
        raise InvalidArgumentError(
            f"params is a {type(params).__name__}; a model's state_dict(), named_parameters() or "
            "parameters() is wanted"
        )
    for name, tensor in items:
        if not isinstance(tensor, torch.Tensor):
            raise InvalidArgumentError(
                f"params: {name or 'an entry'} is a {type(tensor).__name__}, not a torch.Tensor"
            )
    return items


def broadcast_optimizer_state(
    optimizer: torch.optim.Optimizer, root_rank: int, model: Any = None
) -> None:
    """Gives every rank's optimizer the state and options of that of rank ``root_rank``. Never calls
    ``step()``.

    optimizer: of the same class and parameters on every rank.
    root_rank: as for ``broadcast``; so are errors and threads.
    model: for Horovod's sake; nothing needs it.
    """
    del model
    check_optimizer(optimizer)
    is_root = _session.rank() == check_root(root_rank)
    tensors: list[torch.Tensor] = []
    described = _detach(optimizer.state_dict(), tensors) if is_root else None
    described = broadcast_object(described, root_rank, "optimizer_state")
    state = described if is_root else _attach(described, tensors)
    handles = [
        ops.broadcast_async_(tensor, root_rank, f"optimizer_state/{i}")
        for i, tensor in enumerate(tensors)
    ]
    GroupHandle(handles).wait()
    if not is_root:
        optimizer.load_state_dict(state)


class _Description(NamedTuple):
    """What stands for a tensor while the rest of the state is pickled."""

    dtype: torch.dtype
    shape: tuple[int, ...]


def _detach(state: Any, tensors: list[torch.Tensor]) -> Any:
    """``state`` with descriptions for tensors, which go to ``tensors`` in order."""
    if isinstance(state, torch.Tensor):
        tensors.append(state.detach())
        return _Description(state.dtype, tuple(state.shape))
    if isinstance(state, dict):
        return {key: _detach(value, tensors) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)([_detach(value, tensors) for value in state])
    return state


def _attach(state: Any, tensors: list[torch.Tensor]) -> Any:
    """``state`` with fresh tensors for descriptions, which go to ``tensors`` in order."""
    if isinstance(state, _Description):
        tensors.append(torch.empty(state.shape, dtype=state.dtype))
        return tensors[-1]
    if isinstance(state, dict):
        return {key: _attach(value, tensors) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)([_attach(value, tensors) for value in state])
    return state
