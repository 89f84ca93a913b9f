"""DistributedOptimizer: gradients are averaged over the ranks while backward still runs."""

from __future__ import annotations

import itertools
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch

from farandole.arguments import check_compression, check_flag, check_scale, shown
from farandole.errors import InvalidArgumentError
from farandole.process_sets import ProcessSet, check_process_set, global_process_set
from farandole.reduce_ops import Average, check_op
from farandole.torch.compression import Compression, Compressor
from farandole.torch.gradients import ExchangeOptions, GradientExchange
from farandole.torch.tensors import check_optimizer


class _DistributedOptimizer(torch.optim.Optimizer):
    """The methods that the user's optimizer gets. See DistributedOptimizer."""

    _exchange: GradientExchange
    _synchronized: bool
    _should_synchronize: bool

    @property
    def _parameter_names(self) -> dict[torch.Tensor, str]:
        return self._exchange.names

    @property
    def backward_passes_per_step(self) -> int:
        return self._exchange.passes_per_step

    def set_backward_passes_per_step(self, passes: int) -> None:
        """How often backward runs, and gradients add up locally, before they are exchanged."""
        self._exchange.set_passes_per_step(passes)

    def synchronize(self) -> None:
        """Waits until every gradient is that of all ranks. ``step`` does it otherwise; call it to
        clip gradients, say, and then step within ``skip_synchronize()``."""
        self._exchange.finish()
        self._synchronized = True

    @contextmanager
    def skip_synchronize(self) -> Iterator[None]:
        """``step`` inside of it takes the gradients as they are: ``synchronize`` came before."""
        self._should_synchronize = False
        try:
            yield
        finally:
            self._should_synchronize = True

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        if closure is not None and not callable(closure):
            raise InvalidArgumentError(
                f"closure={shown(closure)} cannot be called; a function without arguments is wanted"
            )
        if self._should_synchronize:
            if self._synchronized:
                warnings.warn(
                    "optimizer.step() called without optimizer.skip_synchronize() context after "
                    "optimizer.synchronize(). This can cause training slowdown. You may want to "
                    "consider using optimizer.skip_synchronize() context if you use "
                    "optimizer.synchronize() in your code.",
                    stacklevel=2,
                )
            if closure is None or self._exchange.in_flight():
                self.synchronize()
            if closure is not None:
                closure = self._synchronizing(closure)
        self._synchronized = False
        return super().step(closure)

    # torch calls the user's step hooks around the class's own step, to which this one leads.
    step.hooked = True  # type: ignore[attr-defined]

    def _synchronizing(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        """The closure computes gradients, each time it is called: they are all ranks' when it
        returns."""

        def synchronized() -> Any:
            with torch.enable_grad():
                loss = closure()
            self.synchronize()
            self._synchronized = False
            return loss

        return synchronized

    def zero_grad(self, *args: Any, **kwargs: Any) -> None:
        if self._exchange.in_flight():
            raise AssertionError(
                "optimizer.zero_grad() was called after loss.backward() but before "
                "optimizer.step() or optimizer.synchronize(). This is prohibited as it can cause "
                "a race condition."
            )
        super().zero_grad(*args, **kwargs)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= set(state_dict):
            raise InvalidArgumentError(
                f"state_dict is a {type(state_dict).__name__} without state and param_groups; what "
                "state_dict() of such an optimizer returned is wanted"
            )
        self._exchange.reset()
        self._synchronized = False
        self._should_synchronize = True
        groups, state = self.param_groups, self.state
        super().load_state_dict(state_dict)
        # The wrapped optimizer, and schedulers that were made for it, hold the old objects.
        for old, new in zip(groups, self.param_groups, strict=True):
            old.clear()
            old.update(new)
        state.clear()
        state.update(self.state)
        self.param_groups, self.state = groups, state


def DistributedOptimizer(
    optimizer: torch.optim.Optimizer,
    named_parameters: Iterable[tuple[str, torch.Tensor]] | None = None,
    compression: type[Compressor] = Compression.none,
    backward_passes_per_step: int = 1,
    op: int = Average,
    gradient_predivide_factor: float = 1.0,
    num_groups: int = 0,
    groups: int | list[Any] | None = None,
    sparse_as_dense: bool = False,
    process_set: ProcessSet = global_process_set,
) -> _DistributedOptimizer:
    """The same optimizer, whose ``step`` takes the average of all ranks' gradients.

    The result is of a subclass of the optimizer's class and shares its parameters and state.
    Communication of a gradient starts as soon as backward has computed it.

    optimizer: any of torch's; it stays usable, with schedulers that were made for it.
    named_parameters: names by which ranks match gradients, such as ``model.named_parameters()``;
        without it their order in the optimizer counts.
    compression: what gradients travel as: ``Compression.none``, ``.fp16`` or ``.bf16``.
    backward_passes_per_step: how often gradients add up locally before they are exchanged.
    op: ``Average`` or ``Sum`` (also ``Min``, ``Max`` and ``Product``).
    gradient_predivide_factor: splits the division by the number of ranks: gradients are divided by
        it before the sum and by size()/factor after it. For ``Average``.
    groups: a number of groups into which parameters are divided in order, or lists of parameters;
        the gradients of a group start together.
    num_groups: the older way to say ``groups=2``.
    sparse_as_dense: exchange sparse gradients as dense ones.
    process_set: as for ``allreduce``.

    Raises InvalidArgumentError for a wrong argument; ``step()`` and ``synchronize()`` raise what
    ``allreduce`` does. For one thread at a time.
    """
    check_optimizer(optimizer)
    if isinstance(optimizer, _DistributedOptimizer):
        raise InvalidArgumentError(
            "the optimizer is a DistributedOptimizer already; wrap the plain one, once"
        )
    check_process_set(process_set)
    names = _names_of(optimizer, named_parameters)
    options = _options(op, gradient_predivide_factor, compression, sparse_as_dense)
    exchange = GradientExchange(
        names, options, backward_passes_per_step, _groups_of(names, num_groups, groups)
    )
    kind = type(optimizer)
    distributed = type(kind.__name__, (_DistributedOptimizer, kind), {})
    wrapped = cast(_DistributedOptimizer, object.__new__(distributed))
    # A scheduler that was made before replaced the old object's step; ours must not be hidden.
    wrapped.__dict__.update({k: v for k, v in optimizer.__dict__.items() if k != "step"})
    wrapped._exchange = exchange
    wrapped._synchronized = False
    wrapped._should_synchronize = True
    return wrapped


def _options(
    op: int, predivide: float, compression: type[Compressor], sparse_as_dense: bool
) -> ExchangeOptions:
    reduce_op = check_op(op)
    check_compression(compression)
    check_flag("sparse_as_dense", sparse_as_dense)
    predivide = check_scale("gradient_predivide_factor", predivide)
    if predivide != 1.0 and reduce_op != Average:
        raise InvalidArgumentError("gradient_predivide_factor is for op=Average only")
    if not 0 < predivide < math.inf:
        raise InvalidArgumentError(
            f"gradient_predivide_factor={predivide} must be positive and finite"
        )
    return ExchangeOptions(reduce_op, 1.0 / predivide, predivide, compression, sparse_as_dense)


def _names_of(
    optimizer: torch.optim.Optimizer, named_parameters: Iterable[tuple[str, torch.Tensor]] | None
) -> dict[torch.Tensor, str]:
    """The optimizer's parameters with their names, in the optimizer's order."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    if named_parameters is None:
        return {p: f"noname.{i}" for i, p in enumerate(parameters)}
    named = list(named_parameters) if isinstance(named_parameters, Iterable) else [named_parameters]
    if not all(isinstance(item, tuple) and len(item) == 2 for item in named):
        raise InvalidArgumentError(
            "named_parameters should be a sequence of tuples (name, parameter), usually produced "
            "by model.named_parameters()."
        )
    counts = Counter(name for name, _ in named)
    duplicates = sorted(name for name, count in counts.items() if count > 1)
    if duplicates:
        raise InvalidArgumentError(
            "Parameter names in named_parameters must be unique. Found duplicates: "
            + ", ".join(duplicates)
        )
    name_of = {p: name for name, p in named}
    unnamed = sum(p not in name_of for p in parameters)
    if unnamed:
        raise InvalidArgumentError(
            "named_parameters was specified, but one or more model parameters were not named: "
            f"{unnamed} of {len(parameters)}"
        )
    return {p: name_of[p] for p in parameters}


def _groups_of(
    names: dict[torch.Tensor, str], num_groups: int, groups: int | list[Any] | None
) -> list[list[torch.Tensor]]:
    if num_groups:
        warnings.warn("num_groups is deprecated; use groups", DeprecationWarning, stacklevel=3)
        groups = num_groups if groups is None else groups
    if groups is None or groups == 0:
        return []
    if isinstance(groups, int) and groups > 0:
        parameters = list(names)
        count = min(groups, len(parameters))
        edges = [len(parameters) * i // count for i in range(count + 1)]
        return [parameters[a:b] for a, b in itertools.pairwise(edges)]
    if not isinstance(groups, list):
        raise InvalidArgumentError(
            "groups should be a non-negative integer or a list of lists of torch.Tensor."
        )
    return _checked_groups(names, groups)


def _checked_groups(names: dict[torch.Tensor, str], groups: list[Any]) -> list[list[torch.Tensor]]:
    if not all(isinstance(group, Iterable) for group in groups):
        raise InvalidArgumentError(
            "groups should be a non-negative integer or a list of lists of torch.Tensor."
        )
    members = [p for group in groups for p in group]
    if not all(isinstance(p, torch.Tensor) for p in members):
        raise InvalidArgumentError("groups must consist of torch.Tensor.")
    if len(set(members)) != len(members):
        raise InvalidArgumentError("A parameter can only appear once in groups.")
    if any(p not in names for p in members):
        raise InvalidArgumentError("groups contains a tensor that the optimizer does not update.")
    return [list(group) for group in groups]
