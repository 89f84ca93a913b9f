"""Putting all ranks into the same state."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch

from farandole import _session
from farandole.agreement import SAME_MODEL, Question
from farandole.arguments import check_root
from farandole.errors import InvalidArgumentError, UnsupportedError
from farandole.handles import Deadline
from farandole.objects import allgather_object, broadcast_object, share_object
from farandole.process_sets import ProcessSet, check_process_set, global_process_set
from farandole.torch.eager import eager
from farandole.torch.packing import broadcast_packed, check_writable
from farandole.torch.tensors import check_optimizer, kind_of

__all__ = [
    "allgather_object",
    "broadcast_object",
    "broadcast_optimizer_state",
    "broadcast_parameters",
]


@eager
def broadcast_parameters(
    params: Any,
    root_rank: int,
    process_set: ProcessSet = global_process_set,
    *,
    timeout: float | None = None,
) -> None:
    """Gives every rank the tensors of rank ``root_rank``, in place and bit by bit, in few messages
    rather than one for each.

    params: ``model.state_dict()``, ``model.named_parameters()`` or ``model.parameters()``; of the
        same names, shapes and dtypes on every rank, on any device. Names may come in any order.
    root_rank, process_set: as for ``broadcast``; so are errors and threads.
    timeout: as for ``broadcast_object``; tensors may change while messages are on their way.
    """
    deadline = Deadline(timeout)
    _session.current()
    check_process_set(process_set)
    root = check_root(root_rank)
    named = _named(params)
    tensors = [tensor for _, tensor in named]
    for which, tensor in named:
        try:
            check_writable([tensor])
        except (InvalidArgumentError, UnsupportedError) as error:
            raise type(error)(f"params: {which}: {error}") from None
    facts = [f"{name}: {kind_of(tensor)}" for name, tensor in named]
    what, name = "broadcast_parameters", "parameters"
    Question(what, SAME_MODEL, facts, process_set, name).wait(deadline)
    broadcast_packed(tensors, root, "parameters", process_set, deadline)


def _named(params: Any) -> list[tuple[str, torch.Tensor]]:
    """In the order of the names, where they have some."""
    if isinstance(params, Mapping):
        items: list[Any] = list(params.items())
    elif isinstance(params, Iterable) and not isinstance(params, (torch.Tensor, str)):
        items = [item if isinstance(item, tuple) else (None, item) for item in params]
    else:
        raise InvalidArgumentError(
            f"params is a {type(params).__name__}; a model's state_dict(), named_parameters() or "
            "parameters() is wanted"
        )
    for item in items:
        name, tensor = item if len(item) == 2 else (None, item)
        if not isinstance(tensor, torch.Tensor):
            raise InvalidArgumentError(
                f"params: {name or 'an entry'} is a {type(tensor).__name__}, not a torch.Tensor"
                + (
                    "; an optimizer's goes by broadcast_optimizer_state(optimizer, root_rank)"
                    if name in ("state", "param_groups")
                    else "; leave it out, or give it to broadcast_object(obj, root_rank)"
                )
            )
    if all(isinstance(name, str) for name, _ in items):
        items.sort(key=lambda item: item[0])
    return [(f"entry {i}" if name is None else str(name), t) for i, (name, t) in enumerate(items)]


@eager
def broadcast_optimizer_state(
    optimizer: torch.optim.Optimizer,
    root_rank: int,
    model: Any = None,
    process_set: ProcessSet = global_process_set,
    *,
    timeout: float | None = None,
) -> None:
    """Gives every rank's optimizer the state and options of that of rank ``root_rank``, bit by bit
    and with their types, in few messages. Never calls ``step()``.

    optimizer: of the same class and parameters on every rank; it may have taken steps or none,
        also where the root's has.
    root_rank, process_set: as for ``broadcast``; so are errors and threads.
    model: for Horovod's sake; nothing needs it.
    timeout: as for ``broadcast_parameters``.
    """
    del model
    deadline = Deadline(timeout)
    check_optimizer(optimizer)
    _session.current()
    check_process_set(process_set)
    is_root = _session.rank() == check_root(root_rank)
    what, facts = "broadcast_optimizer_state", list(_facts(optimizer))
    Question(what, _REMEDY, facts, process_set, "optimizer_state").wait(deadline)
    kept: list[torch.Tensor] = []
    sent = _Sender(kept).describe(_contents(optimizer)) if is_root else None
    described = share_object(
        (sent, _kinds(kept)), root_rank, "optimizer_state", process_set, deadline
    )
    if not is_root:
        receiver = _Receiver(*described)
        receiver.install(optimizer)
        kept = receiver.tensors()
    broadcast_packed(kept, root_rank, "optimizer_state", process_set, deadline)


_REMEDY = "give every rank an optimizer of one class, over the same parameters in the same groups"


def _parameters(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _facts(optimizer: torch.optim.Optimizer) -> Iterator[str]:
    yield type(optimizer).__name__
    # Of empty ones no parameter tells.
    yield f"parameter groups: {len(optimizer.param_groups)}"
    for number, group in enumerate(optimizer.param_groups):
        for at, p in enumerate(group["params"]):
            yield f"parameter {at} of group {number}: {kind_of(p)}"


class _Kind(NamedTuple):
    """What a tensor is, but for its values."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    on_cpu: bool  # elsewhere it lies where the parameter does


class _Place(NamedTuple):
    """Stands for a tensor while the rest is pickled: the number of its kind."""

    number: int


def _kinds(tensors: list[torch.Tensor]) -> list[_Kind]:
    return [_Kind(t.dtype, tuple(t.shape), t.device.type == "cpu") for t in tensors]


def _contents(optimizer: torch.optim.Optimizer) -> tuple[list[Any], dict[int, Any], dict[Any, Any]]:
    """Options of groups, state by the parameter's number, and state of no parameter."""
    options = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
    number_of = {p: number for number, p in enumerate(_parameters(optimizer))}
    own = {number_of[k]: v for k, v in optimizer.state.items() if k in number_of}
    return options, own, {k: v for k, v in optimizer.state.items() if k not in number_of}


def _is_dense(tensor: torch.Tensor) -> bool:
    """Whether its bytes are all that there is of it; others are pickled as torch does it."""
    return tensor.layout is torch.strided and not (tensor.is_meta or tensor.is_quantized)


def _refilled(mapping: dict[Any, Any], values: dict[Any, Any]) -> dict[Any, Any]:
    """A dict of the same type with other values."""
    fresh = copy.copy(mapping)
    fresh.update(values)
    return fresh


def _rebuilt(container: Any, values: Iterable[Any]) -> Any:
    """A list or tuple of the same type with other values."""
    kind = type(container)
    return kind(*values) if hasattr(container, "_fields") else kind(values)


class _Sender:
    """Takes tensors out of what is to be pickled; a tensor in two places stays one."""

    def __init__(self, tensors: list[torch.Tensor]) -> None:
        self._tensors = tensors
        self._numbers: dict[int, int] = {}

    def describe(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor) and _is_dense(value):
            if id(value) not in self._numbers:
                self._numbers[id(value)] = len(self._tensors)
                self._tensors.append(value)
            return _Place(self._numbers[id(value)])
        if isinstance(value, dict):
            return _refilled(value, {key: self.describe(item) for key, item in value.items()})
        if isinstance(value, (list, tuple)):
            return _rebuilt(value, (self.describe(item) for item in value))
        return value


class _Receiver:
    """Makes an optimizer hold what another rank described. Tensors that are there already and of
    the right kind stay the same objects."""

    def __init__(self, described: Any, kinds: list[_Kind]) -> None:
        self._described = described
        self._kinds = kinds
        self._made: dict[int, torch.Tensor] = {}

    def tensors(self) -> list[torch.Tensor]:
        return [self._made[number] for number in range(len(self._kinds))]

    def install(self, optimizer: torch.optim.Optimizer) -> None:
        options, own, others = self._described
        for group, new in zip(optimizer.param_groups, options, strict=True):
            device = group["params"][0].device if group["params"] else torch.device("cpu")
            fresh = {key: self._value(item, group.get(key), device) for key, item in new.items()}
            for key in [key for key in group if key != "params" and key not in fresh]:
                del group[key]
            group.update(fresh)
        parameters = _parameters(optimizer)
        state: dict[Any, Any] = {
            parameters[number]: self._value(
                item, optimizer.state.get(parameters[number]), parameters[number].device
            )
            for number, item in own.items()
        }
        cpu = torch.device("cpu")
        state.update({k: self._value(v, optimizer.state.get(k), cpu) for k, v in others.items()})
        optimizer.state.clear()
        optimizer.state.update(state)

    def _value(self, new: Any, old: Any, device: torch.device) -> Any:
        if isinstance(new, _Place):
            return self._tensor(new.number, old, device)
        if isinstance(new, dict):
            had = old if isinstance(old, dict) else {}
            return _refilled(
                new, {key: self._value(item, had.get(key), device) for key, item in new.items()}
            )
        if isinstance(new, (list, tuple)):
            before = old if isinstance(old, (list, tuple)) and len(old) == len(new) else new
            pairs = zip(new, before, strict=True)
            return _rebuilt(new, (self._value(item, was, device) for item, was in pairs))
        return new

    def _tensor(self, number: int, old: Any, device: torch.device) -> torch.Tensor:
        if number not in self._made:
            kind = self._kinds[number]
            where = torch.device("cpu") if kind.on_cpu else device
            if not self._fits(old, kind, where):
                old = torch.empty(kind.shape, dtype=kind.dtype, device=where)
            self._made[number] = old
        return self._made[number]

    def _fits(self, old: Any, kind: _Kind, device: torch.device) -> bool:
        """Whether it may hold the new values and nothing else does."""
        if not isinstance(old, torch.Tensor) or not _is_dense(old) or old.is_inference():
            return False
        same = (old.dtype, tuple(old.shape), old.device) == (kind.dtype, kind.shape, device)
        taken = {made.data_ptr() for made in self._made.values()}
        return same and old.is_contiguous() and old.data_ptr() not in taken
