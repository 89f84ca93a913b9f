"""Batch normalisation over the batches of all ranks."""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import is_lazy

from farandole import _native, _session
from farandole.agreement import SAME_MODEL, check_alike, told_as
from farandole.arguments import check_flag
from farandole.errors import InvalidArgumentError, MismatchError
from farandole.process_sets import (
    ProcessSet,
    check_process_set,
    contributors,
    global_process_set,
    is_alone,
)
from farandole.reduce_ops import Sum
from farandole.torch import ops
from farandole.torch.autograd import apply
from farandole.torch.tensors import check_module, check_tensor
from farandole.uncompiled import uncompiled


class SyncBatchNorm(_BatchNorm):
    """Batch normalisation whose mean and variance, in training, are those of all ranks' batches
    together, as if one process had the whole batch.

    Takes input of two dimensions or more (batch, channel, ...), on any device; its batches may have
    other sizes on other ranks, 0 included. Running statistics are the same on every rank. Gradients
    are those of the whole batch: of the input fully, of weight and bias this rank's part, which
    ``DistributedOptimizer`` and the like bring together as for every parameter. In evaluation, or
    on one rank, it is ``torch.nn.BatchNorm`` and communicates nothing.

    num_features, eps, momentum, affine, track_running_stats, device, dtype, bias: as for
        ``torch.nn.BatchNorm2d``, whose ``bias`` came with torch 2.13.
    process_set: as for ``allreduce``. Each training step makes two small exchanges, one forward and
        one backward, in which every rank of the set has to take part; one outside normalises alone.
        Backward takes part where the input needs a gradient: on every rank, or on none. One that
        has frozen all that comes before the layer calls ``input.requires_grad_()``, where others
        have not, or they wait for it.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
        process_set: ProcessSet = global_process_set,
        *,
        bias: bool = True,
    ) -> None:
        check_process_set(process_set)
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)
        if not check_flag("bias", bias):
            self.register_parameter("bias", None)
        self.process_set = process_set

    def _check_input_dim(self, input: torch.Tensor) -> None:
        if check_tensor(input).dim() < 2:
            raise InvalidArgumentError(
                f"input of {input.dim()} dimensions; a batch of two dimensions or more is wanted"
            )
        if input.shape[1] != self.num_features:
            raise InvalidArgumentError(
                f"input of shape {list(input.shape)} has {input.shape[1]} channels, not the "
                f"{self.num_features} of this layer"
            )
        if not input.is_floating_point():
            raise InvalidArgumentError(
                f"input of {str(input.dtype).removeprefix('torch.')}; real floating-point numbers "
                "are wanted"
            )

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """``input`` normalised: in training by all ranks' batches, for which every rank of the
        process set calls it, else as ``torch.nn.BatchNorm`` does."""
        if self.training:
            return self._train(input)
        self._check_input_dim(input)
        return super().forward(input)

    @uncompiled
    def _train(self, input: torch.Tensor) -> torch.Tensor:
        if is_alone(self.process_set):
            self._check_input_dim(input)
            return super().forward(input)
        # Before anything else: a step that raises on one rank counts there, too.
        name = _session.named(_native.ALLGATHER, None, check_process_set(self.process_set))
        self._check_input_dim(input)
        mean, variance, count = _whole_batch(input, name, self.process_set)
        if self.track_running_stats:
            self._track(mean, variance, count)
        scale = (variance + self.eps).rsqrt()
        whole = (mean, scale, count, name, self.process_set)
        result: torch.Tensor = apply(_Normalize, input, self.weight, self.bias, *whole)
        return result

    def _track(self, mean: torch.Tensor, variance: torch.Tensor, count: int) -> None:
        """The running statistics learn of this batch."""
        if self.running_mean is None or self.running_var is None:
            return
        with torch.no_grad():
            factor = 0.0 if self.momentum is None else self.momentum
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
                if self.momentum is None:
                    factor = 1.0 / float(self.num_batches_tracked)
            unbiased = variance * (count / (count - 1))
            for running, new in ((self.running_mean, mean), (self.running_var, unbiased)):
                running.lerp_(new.to(running), factor)

    def __getstate__(self) -> dict[str, Any]:
        everyone = self.process_set is global_process_set
        return {**self.__dict__, "process_set": None if everyone else self.process_set}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        if self.process_set is None:  # the one of all ranks, of which there is no copy
            self.process_set = global_process_set

    @classmethod
    def convert_sync_batchnorm(
        cls, module: torch.nn.Module, process_set: ProcessSet = global_process_set
    ) -> torch.nn.Module:
        """The module with every batch normalisation in it, whatever its dimensions, replaced by a
        SyncBatchNorm: of the same parameters, buffers, hooks and mode, so that an optimizer that
        was made before goes on working.

        module: is changed, and returned unless it is a batch normalisation itself. One that stands
            in several places stays one.
        process_set: as for ``allreduce``.
        """
        check_module(module)
        check_process_set(process_set)
        lazy = [name for name, one in module.named_modules() if _is_lazy_norm(one)]
        if lazy:
            raise InvalidArgumentError(
                f"{lazy[0] or 'the module'} does not know its number of channels yet; let a batch "
                "go through the model first"
            )
        return cls._converted(module, process_set, {})

    @classmethod
    def _converted(
        cls,
        module: torch.nn.Module,
        process_set: ProcessSet,
        done: dict[torch.nn.Module, torch.nn.Module],
    ) -> torch.nn.Module:
        if module in done:
            return done[module]
        done[module] = module
        if isinstance(module, _BatchNorm) and not isinstance(module, SyncBatchNorm):
            done[module] = cls._from(module, process_set)
        for name, child in list(module._modules.items()):
            if child is not None:
                done[module]._modules[name] = cls._converted(child, process_set, done)
        return done[module]

    @classmethod
    def _from(cls, norm: _BatchNorm, process_set: ProcessSet) -> SyncBatchNorm:
        """Everything that belongs to the other one, which is used no more."""
        made = cls.__new__(cls)
        made.__dict__.update(norm.__dict__)
        made.process_set = process_set
        return made


def _is_lazy_norm(module: torch.nn.Module) -> bool:
    tensors = (*module._parameters.values(), *module._buffers.values())
    return isinstance(module, _BatchNorm) and any(t is not None and is_lazy(t) for t in tensors)


def _per_channel(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """One number for each channel, shaped so that it meets a batch."""
    return values.view(1, -1, *([1] * (like.dim() - 2)))


def _others(batch: torch.Tensor) -> list[int]:
    """Every dimension but that of the channels."""
    return [0, *range(2, batch.dim())]


def _wide(batch: torch.Tensor) -> torch.Tensor:
    """Half types are too narrow to sum in."""
    return batch.float() if batch.dtype in (torch.float16, torch.bfloat16) else batch


_SAME_ORDER = "call the same layers, and what else communicates, in one order on every rank"


def _by_rank(everyone: torch.Tensor, channels: int, ranks: list[int]) -> torch.Tensor:
    """A row for each rank, of what ranks have sent. Raises, in the same words on every rank, where
    they have unlike numbers of channels."""
    width = 2 + 2 * channels
    if everyone.numel() % width == 0:
        rows = everyone.view(-1, width)
        if bool((rows[:, 0] == channels).all()):
            return rows
    found: list[int] = []
    while len(everyone):
        # Limited, since what comes from another call may be any number.
        found.append(int(everyone[0].nan_to_num().clamp(0, len(everyone))))
        everyone = everyone[2 + 2 * found[-1] :]
    names = contributors(ranks, len(found))
    check_alike("SyncBatchNorm", "the number of channels", names, found, SAME_MODEL)
    raise MismatchError(f"SyncBatchNorm: ranks disagree on what they call; {_SAME_ORDER}")


def _whole_batch(
    input: torch.Tensor, name: str, process_set: ProcessSet
) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Mean and variance of all ranks' batches together, and how many values each is of.

    One message with each rank's number, means and squared deviations. These are merged (Chan et
    al., 1979) in float64, alike on every rank, and without the cancellation of sums of squares.
    The number of channels stands before them: ranks in which it differs send unlike lengths.
    """
    channels = input.shape[1]
    count = input.numel() // channels if channels else 0
    mine = torch.zeros(2 + 2 * channels, dtype=torch.float64, device="cpu")
    mine[0] = channels
    if count:
        variance, mean = torch.var_mean(_wide(input.detach()), dim=_others(input), correction=0)
        mine[1] = count
        mine[2 : 2 + channels] = mean.cpu()
        mine[2 + channels :] = variance.cpu().double() * count
    ranks = process_set.ranks
    with told_as(f"SyncBatchNorm of {channels} channels", _SAME_ORDER):
        # Of a shape that hardly another call has, which some rank may make in the place of this.
        everyone = ops.allgather_async(mine.view(-1, 1, 1), name, process_set).wait().flatten()
    rows = _by_rank(everyone, channels, ranks)
    _, counts, means, squares = rows.split([1, 1, channels, channels], dim=1)
    total = float(counts.sum())
    if total < 2:
        raise InvalidArgumentError(
            f"expected more than 1 value per channel when training; all ranks together have "
            f"{total:g}"
        )
    mean = (means * counts).sum(0) / total
    variance = (squares + counts * (means - mean) ** 2).sum(0) / total
    kind = _wide(input).dtype
    mean, variance = (v.to(device=input.device, dtype=kind) for v in (mean, variance))
    return mean, variance, round(total)


class _Normalize(torch.autograd.Function):
    """(input - mean) * scale * weight + bias, where mean and scale depend on every rank's input."""

    @staticmethod
    def forward(
        ctx: Any,
        input: torch.Tensor,
        weight: torch.Tensor | None,
        bias: torch.Tensor | None,
        mean: torch.Tensor,
        scale: torch.Tensor,
        count: int,
        name: str,
        process_set: ProcessSet,
    ) -> torch.Tensor:
        ctx.save_for_backward(input, weight, mean, scale)
        ctx.exchange = (count, f"{name}.gradient", process_set)
        factor = scale if weight is None else scale * weight
        result = (_wide(input) - _per_channel(mean, input)) * _per_channel(factor, input)
        if bias is not None:
            result = result + _per_channel(bias, input)
        return result.to(input.dtype)

    @staticmethod
    @once_differentiable
    @uncompiled
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        input, weight, mean, scale = ctx.saved_tensors
        gradient = _wide(gradient)
        dims = _others(input)
        normal = (_wide(input) - _per_channel(mean, input)) * _per_channel(scale, input)
        of_bias = gradient.sum(dims)
        of_weight = (gradient * normal).sum(dims)
        of_input = None
        if ctx.needs_input_grad[0]:
            count, name, process_set = ctx.exchange
            sums = torch.cat([of_bias, of_weight]).cpu().double()
            what = f"backward of SyncBatchNorm of {input.shape[1]} channels"
            with told_as(what, _SAME_ORDER):
                totals = ops.allreduce_async(sums, None, name, Sum, process_set=process_set).wait()
            means = (totals / count).to(device=input.device, dtype=gradient.dtype)
            bias_mean, weight_mean = (_per_channel(half, input) for half in means.chunk(2))
            factor = scale if weight is None else scale * weight
            of_input = (gradient - bias_mean - normal * weight_mean) * _per_channel(factor, input)
            of_input = of_input.to(input.dtype)
        if weight is not None:
            of_weight = of_weight.to(weight.dtype)
        return (
            of_input,
            of_weight if ctx.needs_input_grad[1] else None,
            of_bias.to(of_weight.dtype) if ctx.needs_input_grad[2] else None,
            None,
            None,
            None,
            None,
            None,
        )
