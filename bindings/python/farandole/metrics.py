"""Figures of a whole job from those of its ranks."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

from farandole import _native, _session
from farandole.arguments import shown
from farandole.errors import InvalidArgumentError, MismatchError
from farandole.handles import Deadline, GroupHandle
from farandole.objects import start_allgather_object
from farandole.process_sets import (
    ProcessSet,
    check_process_set,
    contributors,
    global_process_set,
)
from farandole.public import public


@public
def average_metrics(
    metrics: Mapping[str, Any],
    weight: float = 1.0,
    name: str | None = None,
    process_set: ProcessSet = global_process_set,
    *,
    timeout: float | None = None,
) -> dict[str, float]:
    """The average over the ranks of each figure, as floats, the same on every rank, in one message.

    metrics: numbers, or arrays and tensors of one element on any device, by names, which are the
        same on every rank in any order.
    weight: what this rank's figures count; the number of samples that they are of, say, where ranks
        have unlike numbers. 0 for a rank that has none.
    name, process_set, timeout: as for ``allreduce``; so are errors and threads.
    """
    name = _session.named(_native.ALLGATHER, name, check_process_set(process_set))
    deadline = Deadline(timeout)
    if not isinstance(metrics, Mapping):
        raise InvalidArgumentError(
            f"metrics is a {type(metrics).__name__}; a dict of names and numbers is wanted"
        )
    values = {key: _number(key, value) for key, value in metrics.items()}
    sent = start_allgather_object((_check_weight(weight), values), name, process_set)

    ranks = process_set.ranks

    def combine(results: list[Any]) -> dict[str, float]:
        return _averaged(values, results[0], ranks)

    averages: dict[str, float] = deadline.wait(GroupHandle([sent], combine))
    return averages


def _averaged(values: dict[str, float], everyone: list[Any], ranks: list[int]) -> dict[str, float]:
    keys = set(everyone[0][1])
    names = contributors(ranks, len(everyone))
    for name, (_, theirs) in zip(names, everyone, strict=True):
        odd = sorted(map(str, keys ^ set(theirs)))
        if odd:
            mine, other = (names[0], name) if odd[0] in map(str, keys) else (name, names[0])
            raise MismatchError(
                f"metrics: {mine} has {odd[0]!r}, {other} has not; give the same names on every "
                "rank"
            )
    total = math.fsum(weight for weight, _ in everyone)
    if total == 0:
        raise InvalidArgumentError("the weights of all ranks are 0; nothing can be averaged")
    # What counts nothing may be no number at all: the average of no samples.
    counting = [(weight, theirs) for weight, theirs in everyone if weight]
    return {key: sum(weight * theirs[key] for weight, theirs in counting) / total for key in values}


def _number(key: object, value: Any) -> float:
    single = value
    if hasattr(value, "item"):
        with contextlib.suppress(TypeError, ValueError, RuntimeError):  # of several elements
            single = value.item()
    if not isinstance(single, Real):
        raise InvalidArgumentError(
            f"metrics: {key}={shown(value)} is no number, nor an array of one element"
        )
    return float(single)


def _check_weight(weight: Any) -> float:
    if not isinstance(weight, Real) or not 0 <= float(weight) < math.inf:
        raise InvalidArgumentError(f"weight={shown(weight)}: a finite number from 0 is wanted")
    return float(weight)
