"""Parameters, optimizers and objects that come from one rank to all."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from model_case import bits, case, failure, operations, same_everywhere
from torch import nn

import farandole.torch as hvd
from farandole.handles import Deadline
from farandole.torch import packing

SAME_MODEL = "give every rank the same model (names, shapes and dtypes)"
NUMBERS = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int8, torch.uint8]
OTHERS = [torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn, torch.uint16, torch.int32]


def tensors(seed: int) -> dict[str, torch.Tensor]:
    """Whatever a state_dict may hold, other values by each seed."""
    generator = torch.Generator().manual_seed(seed)

    def random(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        limit = 2 if dtype is torch.bool else 100
        return torch.randint(0, limit, shape, generator=generator).to(dtype)

    state = {str(dtype): random((3, 5), dtype) for dtype in (*NUMBERS, *OTHERS)}
    state["0-dim"] = random((), torch.float32)
    state["empty"] = random((0, 4), torch.float32)
    state["transposed"] = random((4, 6), torch.float64).t()
    state["strided"] = random((10, 10), torch.int64)[::2, 1::3]
    state["channels_last"] = random((2, 3, 4, 4), torch.float32).to(
        memory_format=torch.channels_last
    )
    state["conjugated"] = random((3,), torch.complex64).conj()
    state["large"] = random((70, 70), torch.float64)
    # Bits of a NaN that arithmetic would lose.
    state["nan"] = torch.tensor([0x7FA00000 + seed], dtype=torch.int32).view(torch.float32)
    return state


@case
def parameters_of_every_kind() -> None:
    for size, root in itertools.product((512, packing._BUFFER_BYTES), (0, hvd.size() - 1)):
        whole, packing._BUFFER_BYTES = packing._BUFFER_BYTES, size
        state = tensors(hvd.rank())
        items = list(state.items())
        if hvd.rank():  # names match, not places
            items.reverse()
        kept = {name: id(tensor) for name, tensor in items}
        hvd.broadcast_parameters(items, root)
        packing._BUFFER_BYTES = whole
        assert {name: id(tensor) for name, tensor in items} == kept
        assert bits(state) == bits(tensors(root))


@case
def parameters_take_two_messages() -> None:
    model = nn.Sequential(*(nn.Linear(8, 8) for _ in range(20)))
    assert operations(lambda: hvd.broadcast_parameters(model.state_dict(), 0)) == 2
    same_everywhere(model.state_dict())
    hvd.broadcast_parameters(model.parameters(), root_rank=1)
    hvd.broadcast_parameters([], 0)


@case
def parameters_that_differ() -> None:
    odd = hvd.rank() == hvd.size() - 1
    last, begin = hvd.size() - 1, "broadcast_parameters: ranks disagree"
    mine = {"a": torch.ones(2), "b": torch.ones(3, dtype=torch.float64 if odd else torch.float32)}
    assert failure(lambda: hvd.broadcast_parameters(mine, 0), hvd.MismatchError) == (
        f"{begin}: rank 0 has b: float32 [3], rank {last} has b: float64 [3]; {SAME_MODEL}"
    )
    mine = {"a": torch.ones(2), **({"c": torch.ones(1)} if odd else {})}
    assert failure(lambda: hvd.broadcast_parameters(mine, 0), hvd.MismatchError) == (
        f"{begin}: rank {last} has c: float32 [1], which rank 0 has not; {SAME_MODEL}"
    )
    mine = {"a": torch.full((2,), float(hvd.rank()))}
    text = failure(lambda: hvd.broadcast_parameters(mine, int(odd)), hvd.MismatchError)
    assert "root" in text, text
    hvd.broadcast_parameters(mine, 1)
    assert mine["a"].tolist() == [1.0, 1.0]


@case
def objects_take_few_messages() -> None:
    got: list[Any] = []
    root = hvd.size() - 1
    for size, messages in ((10, 1), (8000, 1), (100_000, 3)):
        sent = {"text": "x" * size} if hvd.rank() == root else None

        def send(sent: Any = sent) -> None:
            got.append(hvd.broadcast_object(sent, root))

        assert operations(send) == messages, size
        assert got.pop() == {"text": "x" * size}
    mine = ["y" * (hvd.rank() * 10_000)]
    assert operations(lambda: got.append(hvd.allgather_object(mine))) == 1
    assert got.pop() == [["y" * (rank * 10_000)] for rank in range(hvd.size())]


# Options besides the learning rate that give each class the most state.
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "Adam": [{"amsgrad": True}, {"fused": True}, {"foreach": True, "betas": (0.5, 0.75)}],
    "AdamW": [{"lr": torch.tensor(0.5), "foreach": False}, {"amsgrad": True, "maximize": True}],
    "LBFGS": [{"history_size": 3}, {"line_search_fn": "strong_wolfe"}],
    "RMSprop": [{"momentum": 0.5, "centered": True}],
    "SGD": [{"momentum": 0.5}, {"momentum": 0.5, "nesterov": True, "fused": True}],
}


def optimizers() -> Iterator[tuple[type[torch.optim.Optimizer], dict[str, Any], torch.dtype]]:
    """All that torch has, now and later."""
    kinds = [kind for kind in vars(torch.optim).values() if isinstance(kind, type)]
    kinds = [kind for kind in kinds if issubclass(kind, torch.optim.Optimizer)]
    assert len(kinds) > 14
    for kind in kinds:
        if kind is torch.optim.Optimizer:
            continue
        for options in OPTIONS.get(kind.__name__, [{}]):
            yield kind, options, torch.float32
    for kind in (torch.optim.Adafactor, torch.optim.AdamW, torch.optim.LBFGS):
        yield kind, {}, torch.bfloat16
    yield torch.optim.Adam, {}, torch.complex64


def made(kind: type[torch.optim.Optimizer], options: dict[str, Any], dtype: torch.dtype) -> Any:
    """An optimizer of two groups where the class has groups, with rank's own learning rate."""
    weights = [nn.Parameter(torch.ones(3, 4, dtype=dtype)) for _ in range(3)]
    rate = 0.01 * (hvd.rank() + 1)
    options = {"lr": rate, **options}
    if isinstance(options["lr"], torch.Tensor):
        options["lr"] = torch.tensor(rate)
    groups: Any = [{"params": weights[:2]}, {"params": weights[2:], "lr": options["lr"] * 2}]
    return kind(weights if kind is torch.optim.LBFGS else groups, **options)


def step(optimizer: Any, seed: int) -> None:
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    generator = torch.Generator().manual_seed(seed)
    noise = [torch.rand(p.shape, generator=generator).to(p.dtype) for p in weights]

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        parts = [((p - n).abs() ** 2).sum() for p, n in zip(weights, noise, strict=True)]
        loss = torch.stack(parts).sum()
        torch.autograd.backward(loss)
        if isinstance(optimizer, torch.optim.SparseAdam):
            for p in weights:
                assert p.grad is not None
                p.grad = p.grad.to_sparse(1)
        return loss

    if isinstance(optimizer, torch.optim.LBFGS):
        optimizer.step(closure)
    else:
        closure()
        optimizer.step()


def forbidden(*_: Any, **__: Any) -> None:
    raise AssertionError("step() of the user's optimizer was called")


def contents(optimizer: Any) -> Any:
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    options = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
    return bits([[dict(optimizer.state.get(p, {})) for p in weights], options])


@case
def every_optimizer_of_torch() -> None:
    root = hvd.size() - 1
    for kind, options, dtype in optimizers():
        optimizer = made(kind, options, dtype)
        # Rank 0 has no state yet, the others have unlike states.
        for seed in range(hvd.rank()):
            step(optimizer, seed + hvd.rank())
        before = contents(optimizer)
        weights = [p for group in optimizer.param_groups for p in group["params"]]
        values = bits(weights)
        own_step, optimizer.step = optimizer.step, forbidden
        hvd.broadcast_optimizer_state(optimizer, root)
        optimizer.step = own_step
        assert bits(weights) == values, kind
        everyone = hvd.allgather_object((before, contents(optimizer)))
        assert all(after == everyone[root][0] for _, after in everyone), (kind, options)
        hvd.broadcast_parameters(weights, root)
        step(optimizer, 99)
        same_everywhere([weights, contents(optimizer)])


@case
def state_goes_into_the_tensors_that_are_there() -> None:
    """Graphs that were captured or compiled for them stay right, and tensors stay one."""
    optimizer = made(torch.optim.AdamW, {"lr": torch.tensor(0.5)}, torch.float32)
    step(optimizer, hvd.rank())
    p = optimizer.param_groups[0]["params"][0]
    kept = (optimizer.state[p]["exp_avg"], optimizer.param_groups[0]["lr"], optimizer.state)
    count = operations(lambda: hvd.broadcast_optimizer_state(optimizer, root_rank=0))
    assert count <= 5, count
    assert kept[0] is optimizer.state[p]["exp_avg"]
    assert kept[1] is optimizer.param_groups[0]["lr"]
    assert kept[2] is optimizer.state
    wrapped = hvd.DistributedOptimizer(optimizer)
    hvd.broadcast_optimizer_state(wrapped, 1, model=None)
    assert wrapped.state is optimizer.state
    same_everywhere(contents(wrapped))


@case
def optimizers_that_differ() -> None:
    odd = hvd.rank() == 1
    weights = [nn.Parameter(torch.ones(3 if odd else 2))]
    text = failure(
        lambda: hvd.broadcast_optimizer_state(torch.optim.SGD(weights, 0.1), 0), hvd.MismatchError
    )
    assert "rank 0 has parameter 0 of group 0: float32 [2], rank 1 has" in text, text
    kind = torch.optim.SGD if odd else torch.optim.AdamW
    text = failure(
        lambda: hvd.broadcast_optimizer_state(kind([nn.Parameter(torch.ones(2))], 0.1), 0),
        hvd.MismatchError,
    )
    begin = "broadcast_optimizer_state: ranks disagree: rank 0 has"
    end = "give every rank an optimizer of one class, over the same parameters in the same groups"
    assert text == f"{begin} AdamW, rank 1 has SGD; {end}"
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(2))], 0.1)
    if odd:
        optimizer.add_param_group({"params": []})
    unlike = f"{begin} parameter groups: 1, rank 1 has parameter groups: 2; {end}"
    for root in (0, 1):
        work = partial(hvd.broadcast_optimizer_state, optimizer, root)
        assert failure(work, hvd.MismatchError) == unlike

    class Unpicklable:
        def __reduce__(self) -> Any:
            raise RuntimeError("not this one")

    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(2))], 0.1)
    if odd:
        optimizer.param_groups[0]["odd"] = Unpicklable()
    try:
        hvd.broadcast_optimizer_state(optimizer, 1)
    except (RuntimeError, hvd.InvalidArgumentError) as error:
        assert ("not this one" if odd else "cannot be pickled") in str(error), error
    else:
        raise RuntimeError("nobody noticed")
    hvd.broadcast_optimizer_state(optimizer, 0)


@case
def buffers_of_which_the_first_is_refused() -> None:
    """Those behind it are waited for, and the error is the first one's."""
    odd = hvd.rank() == 1
    before = packing._BUFFER_BYTES
    packing._BUFFER_BYTES = 64
    try:
        state = [torch.ones(17 if odd else 16), *(torch.ones(16) for _ in range(5))]
        everyone = hvd.global_process_set
        work = partial(packing.broadcast_packed, state, 0, "unlike", everyone, Deadline())
        text = failure(work, hvd.MismatchError)
    finally:
        packing._BUFFER_BYTES = before
    assert '"unlike.0"' in text, text
