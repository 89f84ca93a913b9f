"""A model whose gradients are the average of all ranks', without a word to its optimizer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from farandole import _session
from farandole.agreement import SAME_MODEL, Question
from farandole.arguments import check_compression_of_parameters, check_flag
from farandole.errors import InvalidArgumentError, MismatchError
from farandole.handles import Deadline
from farandole.process_sets import ProcessSet, check_process_set, global_process_set, is_alone
from farandole.torch import ops
from farandole.torch.compression import Compression, Compressor
from farandole.torch.functions import broadcast_parameters
from farandole.torch.packing import broadcast_packed, check_writable
from farandole.torch.reducer import Reducer
from farandole.torch.tensors import check_module, kind_of
from farandole.uncompiled import uncompiled

_OWN = "module."


class DistributedDataParallel(torch.nn.Module):
    """Wraps a model; after ``loss.backward()`` the gradients of its parameters are the average of
    all ranks', and any optimizer may step.

    Each gradient's communication starts as soon as backward has computed it, and small ones travel
    together. ``state_dict()``, ``load_state_dict()`` and ``named_parameters()`` have the model's
    own names, so that checkpoints fit the model with and without the wrapper;
    ``load_state_dict()`` takes those of ``torch.nn.parallel.DistributedDataParallel``, too.
    Evaluation communicates nothing.

    module: the model; every rank's has the same parameters. It is ``.module`` of the wrapper, whose
        ``forward`` has to be called, not the model's own.
    compression: as for ``DistributedOptimizer``.
    broadcast_buffers: before each forward in training all ranks get the buffers (running
        statistics) of the first rank that has not joined.
    init_sync: all ranks get the parameters and buffers of the first rank at once.
    find_unused_parameters: at the end of backward ranks tell each other, in one small message,
        which parameters they have used; one that nobody used keeps the gradient that it had, or
        none. False saves the message as soon as each parameter that some rank trains has been used
        by one, mostly in the first backward: gradients that are missing count as zero. Either way a
        parameter may be used by some ranks only, and frozen on some, which send zeros for it and
        leave it, and the ``grad`` that it may still have, as they are. With False parameters are
        thawed alike on every rank, but for those that some rank trained in the first backward.
        Every rank's backward has to reach a parameter that it trains: one that reaches none, since
        all are frozen there, takes no part, and the other ranks wait.
    process_set: whose ranks train together; a rank outside of it trains alone.

    Every rank of the set makes it, with the same arguments, and waits for the others: where they
    differ all raise the same MismatchError. A backward raises InvalidArgumentError where a
    parameter is in another one, or in a DistributedOptimizer, that is in use, too.

    For one thread at a time. Of wrappers that work at once, ranks have to run the first forward,
    and that after a ``join``, in one order.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        compression: type[Compressor] = Compression.none,
        broadcast_buffers: bool = True,
        init_sync: bool = True,
        find_unused_parameters: bool = True,
        process_set: ProcessSet = global_process_set,
    ) -> None:
        check_module(module)
        check_compression_of_parameters(compression, "farandole.torch")
        check_process_set(process_set)
        super().__init__()
        self.module = module
        self._compression = compression
        self._broadcast_buffers = check_flag("broadcast_buffers", broadcast_buffers)
        self._find_unused = check_flag("find_unused_parameters", find_unused_parameters)
        self._process_set = process_set
        self._synchronizing = True
        self._alone = is_alone(process_set)
        syncing = check_flag("init_sync", init_sync)
        if not self._alone:
            self._check_alike(syncing)
        if syncing and not self._alone:
            tensors = [*module.named_parameters(), *module.named_buffers()]
            broadcast_parameters(tensors, process_set.ranks[0], process_set)
        self._begin()

    def _check_alike(self, init_sync: bool) -> None:
        """Raises on every rank alike where ranks were given unlike ones: what one communicates then
        another never comes to."""
        facts = [
            f"init_sync={init_sync}",
            f"broadcast_buffers={self._broadcast_buffers}",
            f"find_unused_parameters={self._find_unused}",
            f"compression={_name_of(self._compression)}",
        ]
        facts += sorted(f"{name}: {_kind(p)}" for name, p in self.named_parameters())
        if init_sync:
            facts += sorted(f"{name}: {_kind(b)}" for name, b in self.named_buffers())
        what = name = "DistributedDataParallel"
        remedy = f"{SAME_MODEL} and the same arguments"
        Question(what, remedy, facts, self._process_set, name).wait(Deadline())

    def _begin(self) -> None:
        """What no copy and no pickle of the wrapper takes along."""
        self._reducer = Reducer(
            dict(self.module.named_parameters()),
            self._compression,
            self._find_unused,
            self._process_set,
        )
        # Without a cycle: a wrapper that nobody holds any more is to exchange nothing.
        register: Any = self._register_load_state_dict_pre_hook
        register(_add_own_name, with_module=True)

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled() or not self._begin_forward():
            return self.module(*inputs, **kwargs)
        output = self.module(*inputs, **kwargs)
        self._reducer.watch(output)
        return output

    @uncompiled
    def _begin_forward(self) -> bool:
        """Whether there is anybody to exchange with: in a later session that may be otherwise."""
        if _session.is_initialized():
            self._alone = is_alone(self._process_set)
        if self._alone:
            return False
        self._reducer.expect(self._synchronizing)
        if self._synchronizing and self._broadcast_buffers and self.training:
            buffers = list(self.module.buffers())
            check_writable(buffers)
            self._share_buffers(buffers)
        return True

    def _share_buffers(self, buffers: list[torch.Tensor]) -> None:
        """Those of the first rank that has not joined. Who has, ranks learn from the refusal of the
        first one's, which all get alike; no rank can join while the others ask."""
        process_set = self._process_set
        first = process_set.ranks[0]
        try:
            broadcast_packed(buffers, first, "buffers", process_set, Deadline())
        except MismatchError:
            own = torch.tensor([_session.rank()], device="cpu")
            there = int(ops.allgather_async(own, "buffers.ranks", process_set).wait()[0])
            if there == first:
                raise
            broadcast_packed(buffers, there, "buffers", process_set, Deadline())

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Forwards in it, with their backwards, communicate nothing: gradients add up locally until
        a backward whose forward was outside, which exchanges the whole sum."""
        before = self._synchronizing
        self._synchronizing = False
        try:
            yield
        finally:
            self._synchronizing = before

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, Any]]:
        """The model's, with its names."""
        return self.module.named_parameters(*args, **kwargs)

    def named_buffers(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, torch.Tensor]]:
        """The model's, with its names."""
        return self.module.named_buffers(*args, **kwargs)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The model's, with its names."""
        return self.module.state_dict(*args, **kwargs)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Takes what ``state_dict()`` returned, of the wrapper, of the model alone or of torch's
        wrapper.

        strict, assign: as for ``torch.nn.Module``.
        """
        if not isinstance(state_dict, Mapping):
            raise InvalidArgumentError(
                f"state_dict is a {type(state_dict).__name__}; what state_dict() of such a model "
                "returned is wanted"
            )
        named = self._with_models_names(state_dict)
        return self.module.load_state_dict(named, strict=strict, assign=assign)

    def _with_models_names(self, state_dict: Mapping[str, Any]) -> Mapping[str, Any]:
        """Of torch's wrapper all names begin with "module."; the model's own may as well."""
        if set(state_dict) <= set(self.module.state_dict()):
            return state_dict
        if not all(name.startswith(_OWN) for name in state_dict):
            return state_dict
        named = OrderedDict((name[len(_OWN) :], v) for name, v in state_dict.items())
        metadata = getattr(state_dict, "_metadata", None)
        if metadata is not None:
            named._metadata = OrderedDict(  # type: ignore[attr-defined]
                (name.removeprefix("module").removeprefix("."), v)
                for name, v in metadata.items()
                if name
            )
        return named

    def __getstate__(self) -> dict[str, Any]:
        everyone = self._process_set is global_process_set
        left_out: dict[str, Any] = {
            "_reducer": None,
            "_load_state_dict_pre_hooks": OrderedDict(),
            "_process_set": None if everyone else self._process_set,
        }
        return {**self.__dict__, **left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        if self._process_set is None:  # the one of all ranks, of which there is no copy
            self._process_set = global_process_set
        self._begin()


def _name_of(compression: Any) -> str:
    """That of its class: two objects of one are alike on two ranks."""
    return (compression if isinstance(compression, type) else type(compression)).__name__


def _kind(p: torch.Tensor) -> str:
    return "of a shape that is not known yet" if is_lazy(p) else kind_of(p)


def _add_own_name(
    wrapper: DistributedDataParallel, state_dict: dict[str, Any], prefix: str, *_: Any
) -> None:
    """Where a module that holds the wrapper is loaded, torch looks for the model as its child."""
    mine = {n[len(prefix) :]: v for n, v in state_dict.items() if n.startswith(prefix)}
    for name in mine:
        del state_dict[prefix + name]
    for name, value in wrapper._with_models_names(mine).items():
        state_dict[f"{prefix}{_OWN}{name}"] = value
