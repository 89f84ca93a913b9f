"""farandole.torch on one rank: tensors that are part of a graph, and torch.compile."""

from __future__ import annotations

import subprocess
import sys
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
