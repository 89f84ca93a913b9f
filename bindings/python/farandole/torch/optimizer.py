"""DistributedOptimizer: gradients are averaged over the ranks while backward still runs."""

from __future__ import annotations

import warnings
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, cast

import torch

from farandole.arguments import (
    shown,
)
from farandole.errors import InvalidArgumentError
from farandole.process_sets import ProcessSet, check_process_set, global_process_set
from farandole.reduce_ops import Adasum, Average
from farandole.torch.compression import Compression, Compressor
from farandole.torch.deltas import DeltaExchange
from farandole.torch.exchange_options import OF_EXCHANGES, ExchangeOptions, exchange_options
from farandole.torch.gradients import GradientExchange
from farandole.torch.parameters import Names, groups_of
from farandole.torch.tensors import check_optimizer

__all__ = ["DistributedOptimizer"]

# By which torch.amp.GradScaler tells a step what it has found on this rank, and its scale.
_TOLD = ("found_inf", "grad_scale")


class _DistributedOptimizer(torch.optim.Optimizer):
    """The methods that the user's optimizer gets. See DistributedOptimizer."""

    _exchange: GradientExchange
    _names: Names
    _arguments: dict[str, Any]
    _synchronized: bool
    _should_synchronize: bool
    _inner: weakref.ref[torch.optim.Optimizer]

    @property
    def _parameter_names(self) -> dict[torch.Tensor, str]:
        return self._exchange.names

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """torch.amp.GradScaler asks this in its ``step``, before it looks at any gradient: they
        have to be those of all ranks by then."""
        self._before_unscaling()
        return bool(self.__dict__.get("_step_supports_amp_scaling", False))

    @_step_supports_amp_scaling.setter
    def _step_supports_amp_scaling(self, supports: bool) -> None:
        self.__dict__["_step_supports_amp_scaling"] = supports

    def _before_unscaling(self) -> None:
        if self._should_synchronize and not self._exchange.finished:
            self._follow()
            self._exchange.finish()

    @property
    def backward_passes_per_step(self) -> int:
        """How often gradients add up locally before they are exchanged."""
        return self._exchange.passes_per_step

    @property
    def op(self) -> int:
        """What becomes of the gradients of all ranks."""
        return cast(int, self._arguments["op"])

    @property
    def gradient_predivide_factor(self) -> float:
        """What divides gradients before their sum."""
        return cast(float, self._arguments["gradient_predivide_factor"])

    @property
    def sparse_as_dense(self) -> bool:
        """Whether sparse gradients are exchanged as dense ones."""
        return cast(bool, self._arguments["sparse_as_dense"])

    @property
    def process_set(self) -> ProcessSet:
        """Whose ranks train together."""
        return cast(ProcessSet, self._arguments.get("process_set", global_process_set))

    @staticmethod
    def find_duplicates(lst: Iterable[Any]) -> set[Any]:
        """What stands in ``lst`` more than once."""
        try:
            counts = Counter(iter(lst))
        except TypeError:
            raise InvalidArgumentError(
                f"lst={shown(lst)}: a list of names, or of what else a set may hold, is wanted"
            ) from None
        return {element for element, count in counts.items() if count > 1}

    def set_backward_passes_per_step(self, passes: int) -> None:
        """Lets gradients of so many ``passes`` add up locally before they are exchanged."""
        self._exchange.set_passes_per_step(passes)

    def synchronize(self) -> None:
        """Waits until every gradient is that of all ranks. ``step`` does it otherwise; call it to
        clip gradients, say, and then step within ``skip_synchronize()``."""
        self._follow()
        self._exchange.finish()
        self._synchronized = True

    def _follow(self) -> None:
        """Parameters may have come or gone, also by way of the wrapped optimizer."""
        parameters = [p for group in self.param_groups for p in group["params"]]
        names = self._exchange.names
        if len(parameters) != len(names) or not all(p in names for p in parameters):
            self._exchange.follow(self._names.of(parameters))

    @contextmanager
    def skip_synchronize(self) -> Iterator[None]:
        """``step`` inside of it takes the gradients as they are: ``synchronize`` came before."""
        self._should_synchronize = False
        try:
            yield
        finally:
            self._should_synchronize = True

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        _check_closure(closure)
        self._count_step()
        if self._should_synchronize:
            if self._synchronized and self._exchange.finished:
                warnings.warn(
                    "optimizer.step() called without optimizer.skip_synchronize() context after "
                    "optimizer.synchronize(). This can cause training slowdown. You may want to "
                    "consider using optimizer.skip_synchronize() context if you use "
                    "optimizer.synchronize() in your code.",
                    stacklevel=2,
                )
            if self._exchange.in_flight() or (closure is None and not self._exchange.finished):
                self.synchronize()
            if closure is not None:
                closure = self._synchronizing(closure)
        self._synchronized = self._exchange.finished = False
        return super().step(closure)

    def _count_step(self) -> None:
        """A scheduler that was made for the wrapped optimizer looks there for whether a step has
        been taken; those of older versions of torch for how many."""
        inner = self._inner()
        if inner is not None and "step" in inner.__dict__:
            vars(inner)["_opt_called"] = True
            vars(inner)["_step_count"] = vars(inner).get("_step_count", 0) + 1

    # torch calls the user's step hooks around the class's own step, to which this one leads.
    step.hooked = True  # type: ignore[attr-defined]

    def _synchronizing(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        """The closure computes gradients, each time it is called: they are all ranks' when it
        returns."""

        def synchronized() -> Any:
            with torch.enable_grad():
                loss = closure()
            self.synchronize()
            self._synchronized = self._exchange.finished = False
            return loss

        return synchronized

    def zero_grad(self, *args: Any, **kwargs: Any) -> None:
        if self._exchange.in_flight():
            raise AssertionError(
                "optimizer.zero_grad() was called after loss.backward() but before "
                "optimizer.step() or optimizer.synchronize(). This is prohibited as it can cause "
                "a race condition."
            )
        self._exchange.finished = False
        super().zero_grad(*args, **kwargs)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Exchanges the gradients of ``param_group``, too. On every rank alike."""
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise InvalidArgumentError(
                f"param_group={shown(param_group)}: a dict with params, and options of theirs, is "
                "wanted"
            )
        super().add_param_group(param_group)
        self._follow()

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

    def __reduce__(self) -> tuple[Any, ...]:
        """Parameters, options and state; the copy exchanges gradients under the same names."""
        kind = type(self).__bases__[-1]
        named = [(name, p) for p, name in self._exchange.names.items()]
        return _restored, (kind, self.__getstate__(), named, self._arguments)


class _DistributedAdasumOptimizer(_DistributedOptimizer):
    """What differs for ``op=Adasum``: each rank's optimizer takes its own step, and what the steps
    have moved is combined."""

    _exchange: DeltaExchange

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """To torch.amp.GradScaler: that ``step`` takes its scale, and what overflow it has found on
        this rank, as ``grad_scale`` and ``found_inf``, and that it is called whatever was found.
        The ranks agree in there, which all of them come to."""
        return True

    @_step_supports_amp_scaling.setter
    def _step_supports_amp_scaling(self, supports: bool) -> None:
        self.__dict__["_step_supports_amp_scaling"] = supports

    def synchronize(self) -> None:
        """Nothing: gradients are this rank's own, and may be changed until the step."""

    def skip_synchronize(self) -> NoReturn:
        raise AssertionError(
            "Skipping synchronization is not supported when using Adasum optimizer: gradients are "
            "this rank's own, and may be changed without it."
        )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        _check_closure(closure)
        self._count_step()
        self._follow()
        # What a scaler tells of this step; it takes it back, but not where the step raises.
        told = {name: self.__dict__.pop(name) for name in _TOLD if name in self.__dict__}
        result = self._step(closure, told)
        self.__dict__.update(told)
        return result

    step.hooked = True  # type: ignore[attr-defined]

    def _step(self, closure: Callable[[], Any] | None, told: dict[str, Any]) -> Any:
        """Where a scaler has found an overflow on one rank, all leave the step out. Gradients are
        unscaled otherwise, but where the wrapped optimizer does that itself."""
        if told and self._exchange.overflows(told["found_inf"]):
            self._exchange.reset()
            return None
        own = super(_DistributedOptimizer, self).step
        again = None if closure is None else self._uncounted(closure)
        itself = self.__dict__.get("_step_supports_amp_scaling", False)
        if not itself and told.get("grad_scale") is not None:
            self._exchange.unscale(told["grad_scale"])

        def step() -> Any:
            if itself:
                self.__dict__.update(told)
            try:
                return own(again)
            finally:
                for name in told:
                    self.__dict__.pop(name, None)

        return self._exchange.combine(step)

    def _uncounted(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        """The closure runs backward as often as the optimizer calls it."""

        def call() -> Any:
            self._exchange.reset()
            return closure()

        return call

    def zero_grad(self, *args: Any, **kwargs: Any) -> None:
        self._exchange.reset()
        super().zero_grad(*args, **kwargs)


def _check_closure(closure: object) -> None:
    if closure is not None and not callable(closure):
        raise InvalidArgumentError(
            f"closure={shown(closure)} cannot be called; a function without arguments is wanted"
        )


def _restored(
    kind: type[torch.optim.Optimizer],
    state: dict[str, Any],
    named: list[tuple[str, torch.Tensor]],
    arguments: dict[str, Any],
) -> _DistributedOptimizer:
    inner = kind.__new__(kind)
    inner.__setstate__(state)
    given = {key: value for key, value in arguments.items() if key in OF_EXCHANGES}
    return _wrapped(inner, Names(inner, named), exchange_options(**given), arguments)


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

    optimizer: any of torch's; it stays usable, with schedulers that were made for it. Parameters
        may be added later and thawed, alike on every rank, and frozen on any.
    named_parameters: names by which ranks match gradients, such as ``model.named_parameters()``;
        without it their order in the optimizer counts. Several optimizers may have parameters of
        the same names. Every rank makes its optimizers in one order, whatever their names; copies,
        and those of before a ``shutdown()``, count from their first exchange on.
    compression: what gradients travel as: ``Compression.none``, ``.fp16`` or ``.bf16``, or a
        Compressor of your own, which may have a state for each parameter; sparse gradients travel
        as they are then.
    backward_passes_per_step: how often gradients add up locally before they are exchanged.
    op: ``Average`` or ``Sum`` (also ``Min``, ``Max`` and ``Product``) of gradients; or ``Adasum``
        of what each rank's own step has moved: gradients and the optimizer's state stay its own.
    gradient_predivide_factor: splits the division by the number of ranks: gradients are divided by
        it before the sum and by size()/factor after it. For ``Average``.
    groups: a number of groups into which parameters are divided in order, or lists of parameters;
        the gradients of a group start together, whatever the other arguments are. With Adasum all
        start together.
    num_groups: the older way to say ``groups=2``.
    sparse_as_dense: exchange sparse gradients as dense ones; the step finds them sparse all the
        same. What moves with Adasum is dense.
    process_set: whose ranks train together; a rank outside of it trains alone.

    Raises InvalidArgumentError for a wrong argument, and in ``backward`` where a parameter is in
    another one, or in a DistributedDataParallel, that is in use, too; ``step()`` and
    ``synchronize()`` raise what ``allreduce`` does. For one thread at a time.
    """
    check_optimizer(optimizer)
    if isinstance(optimizer, _DistributedOptimizer):
        raise InvalidArgumentError(
            "the optimizer is a DistributedOptimizer already; wrap the plain one, once"
        )
    check_process_set(process_set)
    names = Names(optimizer, named_parameters)
    predivide = gradient_predivide_factor
    options = exchange_options(op, predivide, compression, sparse_as_dense, process_set)
    arguments = {
        "compression": compression,
        "backward_passes_per_step": backward_passes_per_step,
        "op": op,
        "gradient_predivide_factor": gradient_predivide_factor,
        "groups": groups_of(names.first, num_groups, groups),
        "sparse_as_dense": sparse_as_dense,
    }
    if process_set is not global_process_set:
        arguments["process_set"] = process_set
    made = _wrapped(optimizer, names, options, arguments)
    made._exchange.count()  # nothing fails from here on, on this rank alone
    return made


def _wrapped(
    optimizer: torch.optim.Optimizer,
    names: Names,
    options: ExchangeOptions,
    arguments: dict[str, Any],
) -> _DistributedOptimizer:
    """A DistributedOptimizer that has yet to be counted, with those arguments, checked."""
    adasum = options.op == Adasum
    exchanged = DeltaExchange if adasum else GradientExchange
    passes = arguments["backward_passes_per_step"]
    exchange = exchanged(names.first, options, passes, arguments["groups"])
    kind = type(optimizer)
    methods = _DistributedAdasumOptimizer if adasum else _DistributedOptimizer
    distributed = type(kind.__name__, (methods, kind), {})
    wrapped = cast(_DistributedOptimizer, object.__new__(distributed))
    # A scheduler that was made before replaced the old object's step; ours must not be hidden.
    wrapped.__dict__.update({k: v for k, v in optimizer.__dict__.items() if k != "step"})
    wrapped._exchange = exchange
    wrapped._names = names
    wrapped._inner = weakref.ref(optimizer)
    wrapped._arguments = arguments
    wrapped._synchronized = False
    wrapped._should_synchronize = True
    return wrapped
