"""The walk of docs/architecture.md, steps 1 to 3 and 13: a gradient on its way from backward to the
native call and back, in the order in which it happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import farandole  # noqa: E402
import farandole.torch as hvd  # noqa: E402
from farandole import _native, _session  # noqa: E402

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("session")]

Walk = list[tuple[str, Any]]


class Watched:
    """A native object whose calls are written down, and made."""

    def __init__(self, native: Any, walk: Walk) -> None:
        self._native, self._walk = native, walk

    def submit(self, kind: int, name: str, tensor: Any, output: Any, *rest: Any) -> Watched:
        if kind == _native.ALLREDUCE:
            self._walk.append(("submit", (name, tensor.data_ptr(), output.data_ptr())))
        else:
            assert kind == _native.ALLGATHER
            self._walk.append(("submit", (name,)))
        return Watched(self._native.submit(kind, name, tensor, output, *rest), self._walk)

    def wait(self, *timeout: Any) -> bool:
        done: bool = self._native.wait(*timeout)
        self._walk.append(("waited", threading.get_ident()))
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)


@pytest.fixture
def walk(session: None) -> Iterator[Walk]:
    """What is asked of the default session while the test runs."""
    steps: Walk = []
    with pytest.MonkeyPatch.context() as patched:
        watched: Any = Watched(_session.current(), steps)
        joined = _session._joined()._replace(session=watched)
        patched.setattr(_session._default, "joined", joined)
        # One rank that takes itself for one of two: it submits what it would otherwise leave out.
        patched.setattr(_session, "size", lambda: 2)
        yield steps


def test_gradients_walk_from_backward_to_the_native_call(walk: Walk) -> None:
    first, last = torch.nn.Linear(3, 2, bias=False), torch.nn.Linear(2, 1, bias=False)
    model = torch.nn.Sequential(first, last)
    optimizer = hvd.DistributedOptimizer(
        torch.optim.SGD(model.parameters(), lr=0.5), named_parameters=model.named_parameters()
    )
    hidden = first(torch.ones(1, 3))
    hidden.register_hook(lambda _: walk.append(("backward", "reaches the first layer")))
    before = last.weight.detach().clone()
    walk.clear()
    last(hidden).sum().backward()
    gradients = {name: p.grad.data_ptr() for name, p in model.named_parameters()}
    # Communication of the last layer begins while backward still computes, in place. Before the
    # first step ranks ask each other whether they have the same parameters, and who trains which.
    (asked, (question, *_)) = walk.pop(1)
    assert (asked, question) == ("submit", "optimizers.1.0.0.trained.1")
    assert walk == [
        ("submit", ("optimizers.1.0.0.digest",)),
        ("submit", ("gradient/1.weight", gradients["1.weight"], gradients["1.weight"])),
        ("backward", "reaches the first layer"),
        ("submit", ("gradient/0.weight", gradients["0.weight"], gradients["0.weight"])),
    ]
    walk.clear()
    assert torch.equal(last.weight, before), "no parameter changes before the step"
    optimizer.step()
    # The first step asks of what layout gradients are that some rank lacks; this one lacks none.
    for known in ("all have the same parameters", "and train all of them"):
        assert walk.pop(0) == ("waited", threading.get_ident()), known
    (asked, (question, *_)), *waits = walk
    assert (asked, question) == ("submit", "gradient/0.weight.layouts.0.2")
    assert waits == [("waited", threading.get_ident())] * 2, walk
    assert torch.equal(last.weight, before - 0.5 * last.weight.grad)


def test_an_asynchronous_call_walks_to_the_native_call(walk: Walk) -> None:
    tensor = torch.ones(4)
    handle = hvd.allreduce_async_(tensor, name="walk", op=farandole.Sum)
    memory = tensor.data_ptr()
    assert walk == [("submit", ("walk", memory, memory))]
    assert hvd.synchronize(handle) is tensor
    assert walk[1:] == [("waited", threading.get_ident())]
