"""Tensors that are more than their values: tangents, and what torch.func makes of tensors. Nothing
of it would come through a collective, and so it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.autograd import forward_ad  # noqa: E402

import farandole.torch as hvd  # noqa: E402

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.usefixtures("session"),
    pytest.mark.filterwarnings("ignore:.torch.jit.script. is:DeprecationWarning"),  # torch's own
]

CALLS: dict[str, Callable[[Any], Any]] = {
    "allreduce": lambda t: hvd.allreduce(t, name="x"),
    "allreduce_": lambda t: hvd.allreduce_(t, name="x"),
    "compressed": lambda t: hvd.allreduce(t, name="x", compression=hvd.Compression.fp16),
    "allgather": lambda t: hvd.allgather(t, name="x"),
    "out": lambda t: hvd.allreduce(torch.ones(2, 3), name="x", out=t),
    "group": lambda t: hvd.grouped_broadcast([torch.ones(2, 3), t], 0, name="x"),
    "list": lambda t: hvd.scatter([t], 0, name="x"),
}


@pytest.mark.parametrize("call", CALLS)
def test_tangents(call: str) -> None:
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(torch.ones(2, 3), torch.ones(2, 3))
        with pytest.raises(hvd.UnsupportedError, match=r'"x.*the tensor has a tangent \(forward'):
            CALLS[call](dual)
        primal, tangent = forward_ad.unpack_dual(dual)
        assert torch.equal(hvd.allreduce(tangent), torch.ones(2, 3))
        assert torch.equal(hvd.allreduce(primal), torch.ones(2, 3))


@pytest.mark.parametrize("call", set(CALLS) - {"out"})
@pytest.mark.parametrize("transform", ["grad", "jvp", "vmap"])
def test_transformed_functions(call: str, transform: str) -> None:
    ones = torch.ones(2, 3)

    def inner(tensor: Any) -> Any:
        CALLS[call](tensor * 1)
        return tensor.sum()

    transformed: dict[str, Callable[[], Any]] = {
        "grad": lambda: torch.func.grad(inner)(ones),
        "jvp": lambda: torch.func.jvp(inner, (ones,), (ones,)),
        "vmap": lambda: torch.func.vmap(inner)(torch.ones(4, 2, 3)),
    }
    wanted = r'"x.*the tensor has no memory: .*; communicate outside of the function that torch\.f'
    with pytest.raises(hvd.UnsupportedError, match=wanted):
        transformed[transform]()
    assert torch.equal(hvd.allreduce(ones), ones)


def test_several_gradients_at_once() -> None:
    tensor = torch.ones(3, requires_grad=True)
    result = hvd.allreduce(tensor, op=hvd.Sum)
    each = torch.eye(3)
    with pytest.raises(hvd.UnsupportedError, match="ask for one after the other"):
        torch.autograd.grad(result, tensor, each, is_grads_batched=True, retain_graph=True)
    assert torch.equal(torch.autograd.grad(result, tensor, each[1])[0], each[1])
