"""Learning rates of a batch that has become as many times larger as there are ranks."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim.lr_scheduler import LinearLR

from farandole.arguments import check_count, check_scale, shown
from farandole.errors import InvalidArgumentError
from farandole.process_sets import ProcessSet, check_process_set, global_process_set
from farandole.torch.tensors import check_optimizer


def scale_learning_rate(
    optimizer: torch.optim.Optimizer,
    factor: float | None = None,
    process_set: ProcessSet = global_process_set,
) -> None:
    """Multiplies the learning rate of every group, and of groups to come.

    optimizer: any of torch's, before schedulers are made for it, which would not know.
    factor: a positive number; None is the number of ranks, by which the batch has grown (Goyal et
        al., 2017). Where gradients add up locally over several backwards, or for an optimizer that
        wants the square root, say so.
    process_set: whose ranks train together, and one outside of it alone; communicates nothing.
    """
    check_optimizer(optimizer)
    check_process_set(process_set)
    by = float(_together(process_set)) if factor is None else _positive("factor", factor)
    if any("initial_lr" in group for group in optimizer.param_groups):
        raise InvalidArgumentError(
            "a scheduler was made for the optimizer, which keeps the old learning rate; scale it "
            "first"
        )
    defaults = optimizer.defaults.get("lr")
    if isinstance(defaults, torch.Tensor):  # of which a group may hold the very object
        optimizer.defaults["lr"] = defaults.clone() * by
    elif defaults is not None:
        optimizer.defaults["lr"] = defaults * by
    scaled: set[int] = set()
    for group in optimizer.param_groups:
        rate = group["lr"]
        if not isinstance(rate, torch.Tensor):
            group["lr"] = rate * by
        elif id(rate) not in scaled:  # stays the same object, and may be that of several groups
            scaled.add(id(rate))
            rate.mul_(by)


class WarmupLR(LinearLR):
    """Raises the learning rate from that of one rank to the full one, evenly over the first steps.

    A scheduler of torch: call ``step()`` after each step of the optimizer; it composes with others
    in ``SequentialLR`` and ``ChainedScheduler``, and has a ``state_dict()``. For SGD with momentum
    nothing is to be corrected, because torch's momentum does not contain the learning rate.

    optimizer: with its full learning rate, see ``scale_learning_rate``.
    warmup_steps: how many steps it takes; of five epochs, say, ``5 * len(loader)``.
    start_factor: by what the rate is multiplied at first, above 0 and at most 1; None: 1 / number
        of ranks.
    last_epoch: as for torch's schedulers: the last step when resuming, -1 to begin.
    process_set: whose ranks train together, and one outside of it alone; communicates nothing.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        warmup_steps: int,
        start_factor: float | None = None,
        last_epoch: int = -1,
        process_set: ProcessSet = global_process_set,
    ) -> None:
        check_optimizer(optimizer)
        check_process_set(process_set)
        steps = check_count("warmup_steps", warmup_steps)
        begin = (
            1.0 / _together(process_set)
            if start_factor is None
            else _positive("start_factor", start_factor)
        )
        if begin > 1:
            raise InvalidArgumentError(f"start_factor={shown(start_factor)} is above 1")
        super().__init__(optimizer, begin, 1.0, steps, last_epoch)


def _together(process_set: ProcessSet) -> int:
    return process_set.size() if process_set.included() else 1


def _positive(what: str, value: Any) -> float:
    number = check_scale(what, value)
    if not 0 < number < float("inf"):
        raise InvalidArgumentError(f"{what}={number} must be positive and finite")
    return number
