"""farandole.torch on one rank: tensors, layouts, arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import farandole  # noqa: E402
import farandole.torch as hvd  # noqa: E402
from farandole import _native, _session  # noqa: E402
from farandole.torch.parameters import groups_of  # noqa: E402

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("session")]

DTYPES = [
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.bool,
    torch.complex64,
    torch.complex128,
]


def sample(dtype: Any, *shape: int) -> Any:
    shape = shape or (2, 3)
    count = int(torch.Size(shape).numel())
    return (torch.arange(count) % 3).reshape(shape).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_kind_takes_every_dtype(dtype: Any) -> None:
    tensor = sample(dtype)
    results = [
        hvd.allreduce(tensor, op=hvd.Sum),
        hvd.allgather(tensor),
        hvd.broadcast(tensor, 0),
        hvd.alltoall(tensor),
        hvd.reducescatter(tensor, op=hvd.Sum),
        hvd.synchronize(hvd.allreduce_async(tensor, op=hvd.Max))
        if not tensor.is_complex()
        else tensor.clone(),
    ]
    for result in results:
        assert result.dtype == dtype
        assert torch.equal(result, tensor)
        assert result.data_ptr() != tensor.data_ptr()


@pytest.mark.parametrize("shape", [(), (0,), (0, 4), (3, 0), (1, 1)])
def test_zero_dimensional_and_empty(shape: tuple[int, ...]) -> None:
    tensor = torch.ones(shape)
    assert torch.equal(hvd.allreduce(tensor, op=hvd.Sum), tensor)
    assert torch.equal(hvd.broadcast_(tensor, 0), tensor)
    if shape:
        assert torch.equal(hvd.allgather(tensor), tensor)


LAYOUTS = {
    "transposed": lambda t: t.t(),
    "stepped": lambda t: t[:, ::2],
    "expanded": lambda t: t[:1].expand(5, 6),
    "channels last": lambda t: torch.ones(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
    "conjugated": lambda t: torch.complex(t, t).conj(),
    "negated": lambda t: torch.complex(t, t).conj().imag,
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name: str) -> None:
    tensor = LAYOUTS[name](sample(torch.float32, 4, 6))
    assert torch.equal(hvd.allreduce(tensor, op=hvd.Sum), tensor)
    assert torch.equal(hvd.allgather(tensor), tensor)


@pytest.mark.parametrize("name", ["transposed", "stepped", "channels last", "negated"])
def test_layouts_in_place(name: str) -> None:
    tensor = LAYOUTS[name](sample(torch.float32, 4, 6))
    expected = tensor * 2
    assert hvd.allreduce_(tensor, op=hvd.Sum, prescale_factor=2.0) is tensor
    assert torch.equal(tensor, expected)


IN_PLACE: dict[str, Callable[[Any], Any]] = {
    "allreduce_": lambda t: hvd.allreduce_(t),
    "allreduce_async_": lambda t: hvd.allreduce_async_(t),
    "broadcast_": lambda t: hvd.broadcast_(t, 0),
    "broadcast_async_": lambda t: hvd.broadcast_async_(t, 0),
    "grouped_allreduce_": lambda t: hvd.grouped_allreduce_([torch.ones(1), t]),
    "grouped_allreduce_async_": lambda t: hvd.grouped_allreduce_async_([torch.ones(1), t]),
    "grouped_broadcast_": lambda t: hvd.grouped_broadcast_([torch.ones(1), t], 0),
    "grouped_broadcast_async_": lambda t: hvd.grouped_broadcast_async_([torch.ones(1), t], 0),
    "reduce_": lambda t: hvd.reduce_(t, 0),
    "reduce_async_": lambda t: hvd.reduce_async_(t, 0),
    "grouped_reduce_": lambda t: hvd.grouped_reduce_([torch.ones(1), t], 0),
    "grouped_reduce_async_": lambda t: hvd.grouped_reduce_async_([torch.ones(1), t], 0),
}


@pytest.mark.parametrize("form", IN_PLACE)
def test_what_cannot_hold_a_result_is_refused_before_anything_is_sent(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(IN_PLACE) == {name for name in hvd.__all__ if name.endswith("_") and name[0] != "_"}

    def nothing(*_: Any) -> None:
        raise AssertionError("the operation was submitted")

    monkeypatch.setattr(_session, "submit", nothing)
    monkeypatch.setattr(_session, "submit_all", nothing)
    with pytest.raises(hvd.InvalidArgumentError) as caught:
        IN_PLACE[form](torch.ones(1, 6).expand(5, 6))
    assert str(caught.value).partition('": ')[2] == (
        "the tensor of shape [5, 6] cannot hold a result in place: several of its elements are one "
        "place in memory (it is expanded); pass a copy, or use the form that returns a new one"
    )
    with torch.inference_mode():
        inference = torch.ones(4, 6)[:, ::2]
    with pytest.raises(hvd.InvalidArgumentError, match=r"only within torch\.inference_mode\(\)$"):
        IN_PLACE[form](inference)


def test_inference_tensor_in_place() -> None:
    with torch.inference_mode():
        inference = torch.ones(4, 6)[:, ::2]
        hvd.allreduce_(inference, op=hvd.Sum, prescale_factor=2.0)
        assert torch.equal(inference, torch.full((4, 3), 2.0))


def test_one_row_of_a_tensor_may_be_expanded_in_place() -> None:
    """An extent of 1 has whatever stride: nothing overlaps."""
    tensor = torch.ones(4, 6)[:, ::2].unsqueeze(0).expand(1, 4, 3)
    assert torch.equal(hvd.allreduce_(tensor, op=hvd.Sum), torch.ones(1, 4, 3))


def test_parameter_in_place() -> None:
    parameter = torch.nn.Parameter(torch.ones(3))
    hvd.broadcast_(parameter, 0)
    hvd.allreduce_(parameter, op=hvd.Sum, prescale_factor=3.0)
    assert parameter.tolist() == [3, 3, 3]
    stepped = torch.nn.Parameter(torch.ones(4))
    hvd.allreduce_(stepped[::2], op=hvd.Sum, prescale_factor=3.0)
    assert stepped.tolist() == [3, 1, 3, 1]


def test_results_live_without_their_session() -> None:
    result = hvd.allgather(torch.arange(6.0))
    hvd.shutdown()
    assert result.tolist() == [0, 1, 2, 3, 4, 5]
    result.add_(1)


def test_splits_may_be_a_tensor() -> None:
    output, received = hvd.alltoall(torch.arange(3.0), splits=torch.tensor([3], dtype=torch.int32))
    assert output.tolist() == [0, 1, 2]
    assert received.dtype == torch.int32
    assert received.tolist() == [3]


WRONG_TYPE: Any = [1.0]
WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "array": (lambda: hvd.allreduce(WRONG_TYPE), "a torch.Tensor is wanted, not a list"),
    "sparse": (lambda: hvd.allreduce(torch.eye(2).to_sparse()), "layout torch.sparse_coo"),
    "dense": (lambda: hvd.sparse_allreduce_async(torch.eye(2), "x", hvd.Sum), "sparse COO"),
    "sparse op": (
        lambda: hvd.sparse_allreduce_async(torch.eye(2).to_sparse(), "x", hvd.Max),
        "Sum and Average only",
    ),
    "dtype": (lambda: hvd.allreduce(torch.ones(2).to(torch.float8_e5m2)), "float8_e5m2 is not"),
    "both": (lambda: hvd.allreduce(torch.ones(2), True, op=hvd.Sum), "average=True and op=Sum are"),
    "parameters": (lambda: hvd.broadcast_parameters(3, 0), "params is a int; a model's"),
    "no parameter": (lambda: hvd.broadcast_parameters({"a": 1}, 0), "a is a int"),
}


@pytest.mark.parametrize("case", WRONG)
def test_is_refused(case: str) -> None:
    call, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        call()
    assert hvd.allreduce(torch.ones(1)).item() == 1


def test_device_without_memory_here_is_refused() -> None:
    with pytest.raises(hvd.UnsupportedError, match='device "meta"'):
        hvd.allreduce(torch.ones(2, device="meta"))


def test_sparse_call_that_raises_takes_one_automatic_name() -> None:
    def count() -> int:
        return int(_session.current().next_name(_native.ALLGATHER).rpartition(".")[2])

    for wrong in ((torch.eye(2), hvd.Sum), (torch.eye(2).to_sparse(), hvd.Max)):
        before = count()
        with pytest.raises(ValueError):
            hvd.sparse_allreduce_async(wrong[0], None, wrong[1])
        assert count() == before + 2


def test_sparse_sum_coalesces() -> None:
    tensor = torch.sparse_coo_tensor([[0, 0, 2]], [1.0, 2.0, 3.0], (4,), check_invariants=True)
    handle = hvd.sparse_allreduce_async(tensor, "sparse", hvd.Sum)
    assert handle().to_dense().tolist() == [3, 0, 3, 0]
    assert hvd.synchronize(handle) is handle()


MODEL = torch.nn.Linear(2, 2)


def optimizer(**options: Any) -> Any:
    inner = torch.optim.SGD(MODEL.parameters(), lr=0.1)
    options.setdefault("named_parameters", MODEL.named_parameters())
    return hvd.DistributedOptimizer(inner, **options)


BAD_OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "unnamed": ({"named_parameters": [("w", MODEL.weight)]}, "were not named: 1 of 2"),
    "twice": (
        {"named_parameters": [("w", MODEL.weight), ("w", MODEL.bias)]},
        "Found duplicates: w",
    ),
    "no tuples": ({"named_parameters": MODEL.parameters()}, "sequence of tuples"),
    "predivide": ({"op": hvd.Sum, "gradient_predivide_factor": 2.0}, "op=Average only"),
    "negative predivide": ({"gradient_predivide_factor": -1.0}, "must be positive"),
    "passes": ({"backward_passes_per_step": 0}, "a whole number from 1"),
    "groups": ({"groups": "two"}, "non-negative integer"),
    "negative groups": ({"groups": -1}, "non-negative integer"),
    "groups of names": ({"groups": [["w"]]}, "must consist of torch.Tensor"),
    "member twice": ({"groups": [[MODEL.weight], [MODEL.weight]]}, "only appear once"),
    "strange member": ({"groups": [[torch.ones(1)]]}, "does not update"),
    "op": ({"op": 17}, "op=17"),
    "predivided Adasum": ({"op": hvd.Adasum, "gradient_predivide_factor": 2.0}, "op=Average only"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_options_of_the_optimizer(case: str) -> None:
    options, message = BAD_OPTIONS[case]
    with pytest.raises(ValueError, match=message):
        optimizer(**options)


def test_is_not_wrapped_twice() -> None:
    with pytest.raises(ValueError, match="DistributedOptimizer already"):
        hvd.DistributedOptimizer(optimizer())


def test_options_that_are_not_there_yet() -> None:
    with pytest.raises(hvd.UnsupportedError, match="only the CPU"):
        hvd.join(0)


def test_num_groups_is_the_older_way_to_say_groups() -> None:
    said = "num_groups is deprecated; use groups"
    with pytest.warns(DeprecationWarning, match=f"^{said}$") as warned:
        hvd.DistributedOptimizer(torch.optim.SGD(MODEL.parameters(), lr=1), num_groups=1)
    assert [Path(one.filename).name for one in warned] == [Path(__file__).name]  # who called
    names = {p: name for name, p in MODEL.named_parameters()}
    each = [[p] for p in names]
    for options, wanted in {(1, None): [list(names)], (2, None): each, (1, 2): each}.items():
        with pytest.warns(DeprecationWarning, match=f"^{said}$"):
            assert groups_of(names, *options) == wanted


def test_optimizer_keeps_class_state_and_options() -> None:
    inner = torch.optim.AdamW(MODEL.parameters(), lr=0.3, betas=(0.5, 0.6))
    outer = hvd.DistributedOptimizer(inner, MODEL.named_parameters())
    assert isinstance(outer, torch.optim.AdamW)
    assert type(outer).__name__ == "AdamW"
    assert outer.param_groups is inner.param_groups
    assert outer.state is inner.state
    assert outer.defaults["betas"] == (0.5, 0.6)
    before = MODEL.weight.detach().clone()
    MODEL(torch.ones(2)).sum().backward()
    outer.step()
    outer.zero_grad()
    assert not torch.equal(MODEL.weight, before)
    assert len(inner.state) == 2


# Those of Horovod, version 0.28; what is ours besides has to be named.
SIGNATURES = {
    "init": "comm process_sets",
    "allreduce": "tensor average name compression op prescale_factor postscale_factor process_set",
    "allreduce_async": "tensor average name op prescale_factor postscale_factor process_set",
    "allreduce_": "tensor average name op prescale_factor postscale_factor process_set",
    "allreduce_async_": "tensor average name op prescale_factor postscale_factor process_set",
    "grouped_allreduce": "tensors average name compression op prescale_factor postscale_factor "
    "process_set",
    "grouped_allreduce_async": "tensors average name op prescale_factor postscale_factor "
    "process_set",
    "grouped_allreduce_": "tensors average name op prescale_factor postscale_factor process_set",
    "grouped_allreduce_async_": "tensors average name op prescale_factor postscale_factor "
    "process_set",
    "sparse_allreduce_async": "tensor name op process_set",
    "grouped_allgather": "tensors name process_set",
    "grouped_allgather_async": "tensors name process_set",
    "grouped_reducescatter": "tensors name compression op process_set prescale_factor "
    "postscale_factor",
    "grouped_reducescatter_async": "tensors name op process_set prescale_factor postscale_factor",
    "allgather": "tensor name process_set",
    "allgather_async": "tensor name process_set",
    "broadcast": "tensor root_rank name process_set",
    "broadcast_": "tensor root_rank name process_set",
    "broadcast_async": "tensor root_rank name process_set",
    "broadcast_async_": "tensor root_rank name process_set",
    "alltoall": "tensor splits name process_set",
    "alltoall_async": "tensor splits name process_set",
    "reducescatter": "tensor name compression op process_set prescale_factor postscale_factor",
    "reducescatter_async": "tensor name op process_set prescale_factor postscale_factor",
    "barrier": "process_set",
    "join": "device process_set",
    "add_process_set": "process_set",
    "remove_process_set": "process_set",
    "poll": "handle",
    "synchronize": "handle",
    "broadcast_parameters": "params root_rank process_set",
    "broadcast_optimizer_state": "optimizer root_rank model process_set",
    "broadcast_object": "obj root_rank name process_set",
    "allgather_object": "obj name process_set",
    "DistributedOptimizer": "optimizer named_parameters compression backward_passes_per_step op "
    "gradient_predivide_factor num_groups groups sparse_as_dense process_set",
}
DEFAULTS = {
    "comm": None,
    "process_sets": None,
    "settings": None,
    "out": None,
    "timeout": None,
    "average": None,
    "name": None,
    "compression": hvd.Compression.none,
    "prescale_factor": 1.0,
    "postscale_factor": 1.0,
    "process_set": hvd.global_process_set,
    "device": -1,
    "splits": None,
    "backward_passes_per_step": 1,
    "gradient_predivide_factor": 1.0,
    "num_groups": 0,
    "groups": None,
    "sparse_as_dense": False,
    "named_parameters": None,
    "model": None,
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_names_order_and_defaults_are_horovods(name: str) -> None:
    parameters = inspect.signature(getattr(hvd, name)).parameters
    ours = {n for n, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
    assert [n for n in parameters if n not in ours] == SIGNATURES[name].split()
    assert ours <= {"settings", "out", "timeout"}
    for parameter in parameters.values():
        if parameter.default is not inspect.Parameter.empty and parameter.name in DEFAULTS:
            assert parameter.default == DEFAULTS[parameter.name]
    root = parameters.get("root_rank")
    if root is not None:
        assert root.default == (0 if name == "broadcast_object" else inspect.Parameter.empty)
    scatters = name.startswith(("reducescatter", "grouped_reducescatter", "Distributed"))
    if "op" in parameters and name != "sparse_allreduce_async":
        assert parameters["op"].default == (hvd.Average if scatters else None)


def test_one_session_for_all_frameworks() -> None:
    assert hvd.is_initialized()
    assert farandole.is_initialized()
    assert hvd.size() == farandole.size() == 1
