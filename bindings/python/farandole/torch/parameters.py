"""Which parameters an optimizer has, by which names ranks match them, and which belong together."""

from __future__ import annotations

import itertools
import warnings
from collections import Counter
from collections.abc import Iterable
from typing import Any

import torch

from farandole.errors import InvalidArgumentError


class Names:
    """Names of parameters, those included that an optimizer gets later.

    first: the optimizer's parameters with their names, in the optimizer's order.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        named_parameters: Iterable[tuple[str, torch.Tensor]] | None,
    ) -> None:
        self._known: dict[torch.Tensor, str] = {}
        self._unnamed = itertools.count()
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        if named_parameters is not None:
            self._known = _checked_names(named_parameters)
            unnamed = sum(p not in self._known for p in parameters)
            if unnamed:
                raise InvalidArgumentError(
                    "named_parameters was specified, but one or more model parameters were not "
                    f"named: {unnamed} of {len(parameters)}"
                )
        self.first = self.of(parameters)

    def of(self, parameters: Iterable[torch.Tensor]) -> dict[torch.Tensor, str]:
        """Their names; those without one are numbered in this order."""
        for p in parameters:
            if p not in self._known:
                self._known[p] = f"noname.{next(self._unnamed)}"
        return {p: self._known[p] for p in parameters}


def _checked_names(
    named_parameters: Iterable[tuple[str, torch.Tensor]],
) -> dict[torch.Tensor, str]:
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
    return {p: name for name, p in named}


def groups_of(
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
