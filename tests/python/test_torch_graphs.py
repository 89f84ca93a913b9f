"""farandole.torch on one rank: tensors that are part of a graph, and torch.compile."""

from __future__ import annotations

import inspect
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import farandole.torch as hvd  # noqa: E402

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("session")]


def test_out_takes_no_part_in_a_graph() -> None:
    tensor = torch.ones(3, requires_grad=True)
    for given, out in ((tensor, torch.zeros(3)), (torch.ones(3), tensor)):
        with pytest.raises(ValueError, match="out= is not differentiable"):
            hvd.allreduce(given, out=out)
        with torch.no_grad():
            assert hvd.allreduce(given, out=out) is out


def test_what_is_overwritten_is_told_to_autograd() -> None:
    weight = torch.ones(3, requires_grad=True)
    for overwrite in (
        lambda t: hvd.allreduce_(t),
        lambda t: hvd.broadcast_async_(t, 0).wait(),
        lambda t: hvd.broadcast(torch.ones(3), 0, out=t),
    ):
        hidden = weight * 2
        product = hidden * hidden
        overwrite(hidden.detach())
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            product.sum().backward()


def test_in_place_within_a_graph() -> None:
    weight = torch.ones(4, requires_grad=True)
    hidden = weight * 2
    result = hvd.allreduce_(hidden[1:], op=hvd.Sum, prescale_factor=3.0)
    assert result.grad_fn is not None
    first, second = hvd.grouped_broadcast_([hidden * 1, hidden * 5], 0)
    (first + second).sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [12, 36, 36, 36]


def test_compiled_functions_break_where_ranks_meet() -> None:
    def function(x: Any) -> Any:
        y = hvd.allreduce(x * 2, op=hvd.Sum, prescale_factor=3.0) + 1
        handle = hvd.grouped_allgather_async([y, y * 2])
        first, second = hvd.synchronize(handle)
        place = (first + second) * 1
        hvd.broadcast_(place.detach(), 0)
        return place + handle.wait()[0]

    x = torch.arange(3.0, requires_grad=True)
    expected = function(x)
    expected.sum().backward()
    assert x.grad is not None
    gradient, x.grad = x.grad, None
    compiled = torch.compile(function, backend="eager")
    for _ in range(2):
        result = compiled(x)
        assert torch.equal(result, expected)
    result.sum().backward()
    assert torch.equal(x.grad, gradient)
    with pytest.raises(hvd.InvalidArgumentError, match="op=9"):
        torch.compile(lambda t: hvd.allreduce(t, op=9), backend="eager")(x)


def test_the_compiler_is_not_loaded_by_those_who_do_not_compile() -> None:
    program = (
        "import sys, torch, farandole.torch as hvd\n"
        "hvd.init(); hvd.allreduce(torch.ones(1)); hvd.shutdown()\n"
        "assert 'torch._dynamo' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


ROOTED = ("broadcast", "reduce", "gather", "scatter")
KINDS = ("allreduce", "allgather", "alltoall", "reducescatter", *ROOTED)


def settled(made: Any) -> Any:
    return made.wait(30) if isinstance(made, hvd.Handle) else made


def of_kind(name: str) -> Callable[[Any], Any]:
    """One of the forms of a kind of operation."""
    kind = name.removeprefix("grouped_").removesuffix("_").removesuffix("_async")
    root = {"root_rank": 0} if kind in ROOTED else {}
    function = getattr(hvd, name)

    def call(x: Any) -> Any:
        given = x.detach() * 2
        return settled(function([given] if name.startswith("grouped_") else given, **root))

    return call


def moved(name: str) -> Callable[[Any], Any]:
    """A message, to or from a rank that is not there."""
    function = getattr(hvd, name)

    def call(x: Any) -> Any:
        tensors = [x] if name.startswith("grouped_") else x
        received = [1, 5] if name.startswith("grouped_") else [5]
        given = received if "recv" in name else [tensors, 5]
        try:
            return settled(function(*given))
        except hvd.InvalidArgumentError as error:
            return str(error)

    return call


def sums_of_sparse(x: Any) -> Any:
    tensor = torch.sparse_coo_tensor([[2, 0]], x[:2] * 2, (4,), check_invariants=True)
    first, second = (hvd.sparse_allreduce_async(tensor, n, hvd.Sum) for n in ("a", None))
    return first().to_dense(), hvd.synchronize(second).to_dense(), hvd.poll(first)


def same_parameters(x: Any) -> Any:
    weights = [x.detach() * 2, x.detach() * 3]
    hvd.broadcast_parameters(weights, 0)
    return weights


def same_optimizer(x: Any) -> Any:
    optimizer = MOMENTUM
    hvd.broadcast_optimizer_state(optimizer, 0)
    return [state["momentum_buffer"] * x for state in optimizer.state.values()]


def momentum() -> Any:
    weight = torch.nn.Parameter(torch.ones(3))
    weight.grad = torch.ones(3)
    optimizer = torch.optim.SGD([weight], lr=0.5, momentum=0.5)
    optimizer.step()
    return optimizer


MOMENTUM = momentum()


def process_set(x: Any) -> Any:
    try:
        hvd.add_process_set([0])
    except hvd.InvalidArgumentError as error:
        return str(error), hvd.remove_process_set(hvd.global_process_set)


COMMUNICATE: dict[str, Callable[[Any], Any]] = {
    "add_process_set": process_set,
    "allgather_object": lambda x: hvd.allgather_object("a"),
    "average_metrics": lambda x: hvd.average_metrics({"loss": 2.0}, 3),
    "barrier": lambda x: hvd.barrier(),
    "barrier_async": lambda x: hvd.barrier_async().wait(),
    "broadcast_object": lambda x: hvd.broadcast_object({"a": 1}, 0),
    "broadcast_optimizer_state": same_optimizer,
    "broadcast_parameters": same_parameters,
    "is_initialized": lambda x: hvd.is_initialized(),
    "join": lambda x: hvd.join(),
    "rank": lambda x: (hvd.rank(), hvd.size(), hvd.local_rank(), hvd.cross_size()),
    "sparse_allreduce_async": sums_of_sparse,
    **{
        f"{g}{kind}{form}": of_kind(f"{g}{kind}{form}")
        for g in ("", "grouped_")
        for kind in KINDS
        for form in ("", "_async", "_", "_async_")
        if hasattr(hvd, f"{g}{kind}{form}")
    },
    **{
        f"{g}{way}{form}": moved(f"{g}{way}{form}")
        for g in ("", "grouped_")
        for way in ("send", "recv")
        for form in ("", "_async")
    },
}
# Which a case of another's name calls, or which are no part of a step.
OTHERS = {
    "DistributedOptimizer",
    *("cross_rank", "cross_size", "is_homogeneous", "local_rank", "local_size", "size"),
    *("poll", "remove_process_set", "synchronize"),
    *("counters", "init", "scale_learning_rate", "shutdown", "start_timeline", "stop_timeline"),
    *("ccl_built", "cuda_built", "ddl_built", "gloo_built", "gloo_enabled", "mpi_built"),
    *("mpi_enabled", "mpi_threads_supported", "nccl_built", "rocm_built"),
}


def test_every_function_is_compiled_below() -> None:
    functions = {name for name in hvd.__all__ if inspect.isfunction(getattr(hvd, name))}
    assert functions == {*COMMUNICATE, *OTHERS}
    assert not OTHERS & {*COMMUNICATE}


@pytest.mark.parametrize("name", COMMUNICATE)
def test_compiled_it_gives_the_same(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """And the compiler has nothing to say of it."""
    case = COMMUNICATE[name]

    def function(x: Any) -> Any:
        y = x * 2
        made = case(y)
        return made, y + 1

    x = torch.arange(3.0, requires_grad=True)
    expected = function(x)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = torch.compile(function, backend="eager")(x)
    assert repr(made) == repr(expected)
    assert [str(one.message) for one in caught] == []
    assert capfd.readouterr().err == ""
