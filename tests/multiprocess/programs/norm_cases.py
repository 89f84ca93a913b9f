"""SyncBatchNorm against torch's, which gets the batches of all ranks as one."""

from __future__ import annotations

import copy
import io
from functools import partial
from typing import Any

import torch
from model_case import case, failure, operations, same_everywhere
from torch import nn

import farandole.torch as hvd
from farandole import _native, _session

CHANNELS = 3


def batches(shape: tuple[int, ...], sizes: list[int], seed: int = 0) -> list[torch.Tensor]:
    """Every rank's batch, far from zero, where sums of squares would lose their digits."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.rand(size, CHANNELS, *shape, generator=generator, dtype=torch.float64) + 1e4
        for size in sizes
    ]


def close(actual: torch.Tensor | None, expected: torch.Tensor | None, tolerance: float) -> None:
    assert (actual is None) == (expected is None)
    if actual is not None:
        torch.testing.assert_close(
            actual, expected, rtol=tolerance, atol=tolerance, check_dtype=False
        )


def compare(ours: Any, reference: Any, everyone: list[torch.Tensor], tolerance: float) -> None:
    """One training step: output, gradients and running statistics."""
    mine = everyone[hvd.rank()].clone().requires_grad_()
    whole = torch.cat(everyone).clone().requires_grad_()
    begin = sum(len(batch) for batch in everyone[: hvd.rank()])
    part = slice(begin, begin + len(mine))
    weights = torch.linspace(-1, 1, whole.numel(), dtype=torch.float64).view(whole.shape).sin()
    output, expected = ours(mine), reference(whole)
    close(output, expected[part], tolerance)
    torch.autograd.backward((output * weights[part]).sum())
    torch.autograd.backward((expected * weights).sum())
    assert whole.grad is not None
    close(mine.grad, whole.grad[part], tolerance)
    for own, one in zip(ours.parameters(), reference.parameters(), strict=True):
        close(hvd.allreduce(own.grad, op=hvd.Sum), one.grad, tolerance)
        own.grad = one.grad = None
    for own, one in zip(ours.buffers(), reference.buffers(), strict=True):
        close(own, one, tolerance)
        same_everywhere(own)


@case
def batch_norm_equals_that_of_one_process() -> None:
    sizes = [rank + 2 for rank in range(hvd.size())]
    sizes[1] = 0  # has nothing, and takes part
    kinds: dict[tuple[int, ...], Any] = {(): nn.BatchNorm1d, (4,): nn.BatchNorm1d}
    kinds |= {(4, 3): nn.BatchNorm2d, (2, 3, 2): nn.BatchNorm3d}
    for shape, kind in kinds.items():
        for options in ({}, {"momentum": None}, {"affine": False}, {"track_running_stats": False}):
            torch.manual_seed(7)
            reference = kind(CHANNELS, eps=1e-3, dtype=torch.float64, **options)
            ours = hvd.SyncBatchNorm(CHANNELS, eps=1e-3, dtype=torch.float64, **options)
            ours.load_state_dict(reference.state_dict())
            for seed in range(2):
                compare(ours, reference, batches(shape, sizes, seed), 1e-9)
            ours.eval(), reference.eval()
            own = batches(shape, sizes, 9)[hvd.rank()]
            if len(own) > 1 or ours.running_mean is not None:
                expected = reference(own)
                assert operations(partial(ours, own)) == 0, "evaluation communicates nothing"
                close(ours(own), expected, 1e-9)


@case
def batch_norm_of_half_types_and_memory_formats() -> None:
    for dtype, tolerance in ((torch.bfloat16, 5e-2), (torch.float16, 1e-2), (torch.float32, 1e-3)):
        batch = batches((4, 4), [2] * hvd.size())
        everyone = [(one - 1e4).to(dtype) for one in batch]
        norm = hvd.SyncBatchNorm(CHANNELS)  # parameters stay float32, as in mixed precision
        mine = everyone[hvd.rank()].to(memory_format=torch.channels_last).requires_grad_()
        output = norm(mine)
        assert output.dtype == dtype
        assert output.is_contiguous(memory_format=torch.channels_last)
        expected = nn.BatchNorm2d(CHANNELS)(torch.cat(everyone).float())
        close(output, expected.chunk(hvd.size())[hvd.rank()], tolerance)
        torch.autograd.backward(output.float().square().sum())
        assert mine.grad is not None
        assert mine.grad.dtype == dtype
        assert [p.grad.dtype for p in norm.parameters() if p.grad is not None] == 2 * [torch.float]


class TwoAtOnce(nn.Module):
    """Norms side by side, one of which is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(2, CHANNELS), nn.BatchNorm1d(CHANNELS))
        self.second = nn.Sequential(nn.Linear(2, CHANNELS), nn.BatchNorm1d(CHANNELS))
        self.again = self.first[1]

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        first, second = self.first(batch), self.second(batch)
        result: torch.Tensor = self.again(first * second) + second
        return result


@case
def whole_model_is_converted() -> None:
    torch.manual_seed(3)
    reference = TwoAtOnce().double()
    calls: list[int] = []
    plain = copy.deepcopy(reference)
    plain.first[1].register_forward_hook(lambda *_: calls.append(1))
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
    model = hvd.SyncBatchNorm.convert_sync_batchnorm(plain)
    assert model is plain
    assert model.first[1] is model.again
    kinds = {type(one) for one in model.modules()}
    assert hvd.SyncBatchNorm in kinds
    assert nn.BatchNorm1d not in kinds
    step_like_one_process(model, optimizer, copy.deepcopy(reference))
    assert len(calls) == 2, "hooks stay"
    model = hvd.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(reference))
    stored = io.BytesIO()
    torch.save(model, stored)
    stored.seek(0)
    for one in (copy.deepcopy(model), torch.load(stored, weights_only=False)):
        trained = torch.optim.SGD(one.parameters(), lr=0.1)
        step_like_one_process(one, trained, copy.deepcopy(reference))
    single = hvd.SyncBatchNorm.convert_sync_batchnorm(nn.BatchNorm2d(4).eval())
    assert isinstance(single, hvd.SyncBatchNorm)
    assert not single.training


def step_like_one_process(model: Any, optimizer: Any, reference: Any) -> None:
    everyone = torch.rand(4 * hvd.size(), 2, dtype=torch.float64)
    everyone = hvd.broadcast(everyone, 0)
    mine = everyone.chunk(hvd.size())[hvd.rank()]
    torch.autograd.backward(model(mine).pow(3).sum())
    for p in model.parameters():
        hvd.allreduce_(p.grad, op=hvd.Sum)
    optimizer.step()
    whole = torch.optim.SGD(reference.parameters(), lr=0.1)
    torch.autograd.backward(reference(everyone).pow(3).sum())
    whole.step()
    for own, one in zip(model.state_dict().values(), reference.state_dict().values(), strict=True):
        close(own, one, 1e-9)


@case
def batch_norm_of_too_little() -> None:
    norm = hvd.SyncBatchNorm(CHANNELS)
    batch = torch.ones(1 if hvd.rank() == 0 else 0, CHANNELS)
    text = failure(lambda: norm(batch), hvd.InvalidArgumentError)
    assert "all ranks together have 1" in text, text
    norm(torch.ones(1, CHANNELS))


@case
def batch_norms_of_unlike_channels() -> None:
    last = hvd.size() - 1
    for odd, channels in ((0, 4), (0, 1), (last, 4), (last, 1)):
        mine = channels if hvd.rank() == odd else CHANNELS
        norm = hvd.SyncBatchNorm(mine)
        text = failure(partial(norm, torch.ones(2, mine)), hvd.MismatchError)
        first, other = (channels, CHANNELS) if odd == 0 else (CHANNELS, channels)
        assert text == (
            f"SyncBatchNorm: ranks disagree on the number of channels: rank 0 has {first}, rank "
            f"{last if odd else 1} has {other}; give every rank the same model (names, shapes and "
            "dtypes)"
        )
        assert hvd.SyncBatchNorm(CHANNELS)(torch.randn(2, CHANNELS)).shape == (2, CHANNELS)


SAME_ORDER = "call the same layers, and what else communicates, in one order on every rank"


def next_name() -> str:
    """That of the next gathering without a name."""
    begin, _, taken = _session.current().next_name(_native.ALLGATHER).rpartition(".")
    return f"{begin}.{int(taken) + 1}"


def mismatch(work: Any) -> str:
    try:
        work()
    except hvd.MismatchError as error:
        return str(error)
    raise RuntimeError("no MismatchError")


@case
def another_call_in_the_place_of_a_batch_norm() -> None:
    """It is told of what it called, the others of the layer, forward and backward."""
    norm, odd, last = hvd.SyncBatchNorm(CHANNELS), hvd.rank() == hvd.size() - 1, hvd.size() - 1
    batch = torch.randn(4, CHANNELS, requires_grad=True)
    for dtype, what in ((torch.float32, "dtype"), (torch.float64, "shape")):
        own = f'allgather "{next_name()}": ranks disagree on {what}: '
        ones = torch.ones(1, 1 + 2 * CHANNELS, dtype=dtype)
        text = mismatch(partial(hvd.allgather, ones) if odd else partial(norm, batch))
        begin = "" if odd else f"SyncBatchNorm of {CHANNELS} channels: "
        assert text.startswith(begin + own) and f", rank {last} has" in text, text
        assert odd or text.endswith(f"; {SAME_ORDER}"), text
        assert norm(batch).shape == (4, CHANNELS)
    name = f"{next_name()}.gradient"
    output = norm(batch)
    work = partial(hvd.allreduce, torch.ones(2), name=name, op=hvd.Sum)
    text = mismatch(work if odd else output.sum().backward)
    begin = "" if odd else f"backward of SyncBatchNorm of {CHANNELS} channels: "
    assert text.startswith(f'{begin}allreduce "{name}": ranks disagree on '), text
    assert odd or text.endswith(f"; {SAME_ORDER}"), text
    norm(batch).sum().backward()
    assert batch.grad is not None and bool(batch.grad.isfinite().all())


@case
def another_call_like_that_of_a_batch_norm() -> None:
    """Whatever it has gathered; of its own call it cannot know that it was another."""
    norm, odd = hvd.SyncBatchNorm(CHANNELS), hvd.rank() == hvd.size() - 1
    for value in (float("nan"), float("inf"), -1.0, 1e300, 0.5, float(CHANNELS)):
        if odd:
            hvd.allgather(torch.full((5, 1, 1), value, dtype=torch.float64))
        else:
            text = mismatch(partial(norm, torch.ones(2, CHANNELS)))
            assert text.startswith("SyncBatchNorm: ranks disagree on "), text
        assert norm(torch.randn(2, CHANNELS)).shape == (2, CHANNELS)


@case
def batch_norm_without_bias() -> None:
    """As torch's has it from 2.13 on; made so, and converted."""
    reference = nn.BatchNorm1d(CHANNELS, dtype=torch.float64)
    nn.init.uniform_(reference.weight, 1, 2)
    hvd.broadcast_(reference.weight, 0)
    reference.register_parameter("bias", None)
    ours = hvd.SyncBatchNorm(CHANNELS, dtype=torch.float64, bias=False)
    assert [name for name, _ in ours.named_parameters()] == ["weight"]
    ours.load_state_dict(reference.state_dict())
    converted = hvd.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(reference))
    for norm in (ours, converted):
        compare(norm, copy.deepcopy(reference), batches((), [2] * hvd.size()), 1e-9)


@case
def batches_of_other_numbers() -> None:
    norm = hvd.SyncBatchNorm(CHANNELS)
    for dtype in (torch.int64, torch.complex64):
        batch = torch.ones(4, CHANNELS, dtype=dtype)
        text = failure(partial(norm, batch), hvd.InvalidArgumentError)
        name = str(dtype).removeprefix("torch.")
        assert text == f"input of {name}; real floating-point numbers are wanted"
    assert norm(torch.randn(4, CHANNELS)).shape == (4, CHANNELS)
