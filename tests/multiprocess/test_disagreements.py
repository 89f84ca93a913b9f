"""Ranks that disagree in calls of torch's."""

from __future__ import annotations

import re

import pytest
from jobs import launch

pytestmark = pytest.mark.timeout(200)

# What the error of a disagreement says, by the last word of its case.
SAYS = {
    "dtype": "rank 0 has float32, rank 3 has float64; give tensors of one dtype, and compress "
    "alike, on every rank",
    "shape": "disagree on shape",
    "columns": "disagree on shape: rank 0 has [*, 2], rank 3 has [*, 3]; give tensors alike in all",
    "dimensions": "disagree on shape",
    "operation": "disagree on",
    "average": "reduce op: rank 0 has Average, rank 3 has Sum; call it with one op on every rank",
    "prescale": "disagree on prescale: rank 0 has 1, rank 3 has 2",
    "postscale": "disagree on postscale: rank 0 has 1, rank 3 has 2",
    "compression": "disagree on dtype: rank 0 has float32, rank 3 has float16",
    "root": "disagree on root rank: rank 0 has 0, rank 3 has 1",
    "sets": "its ranks: rank 0 has [1], rank 3 has [0]; give one list of ranks on every rank",
    "optimizer": "rank 0 has",
    "model": "rank 0 has",
    "features": "SyncBatchNorm: ranks disagree on the number of channels: rank 0 has 2, rank 3 has "
    "3; give every rank the same model (names, shapes and dtypes)",
}

SAME_MODEL = "give every rank the same model (names, shapes and dtypes)"
# What functions say that make no operation of their own name, and what is wrong by them.
FUNCTIONS = {
    "broadcast_parameters": SAME_MODEL,
    "broadcast_optimizer_state": (
        "give every rank an optimizer of one class, over the same parameters in the same groups"
    ),
    "DistributedDataParallel": f"{SAME_MODEL} and the same arguments",
    "DistributedOptimizer": (
        f"{SAME_MODEL}, and its DistributedOptimizer the same op and sparse_as_dense"
    ),
}
DIFFERENCES = {
    "parameters": ("broadcast_parameters", "bias: float32 [{}]", 2, 3),
    "names of parameters": ("broadcast_parameters", "{}: float32 [2]", "even", "odd"),
    "class of the optimizer": ("broadcast_optimizer_state", "{}", "SGD", "Adam"),
    "wrapped model": ("DistributedDataParallel", "bias: float32 [{}]", 2, 3),
    "model wrapped as it is": ("DistributedDataParallel", "bias: float32 [{}]", 2, 3),
    "wrapped buffers": ("DistributedDataParallel", "running_mean: float32 [{}]", 2, 3),
    "first state of a wrapped model": ("DistributedDataParallel", "init_sync={}", False, True),
    "buffers of a wrapped model": ("DistributedDataParallel", "broadcast_buffers={}", False, True),
    "unused parameters of a wrapped model": (
        *("DistributedDataParallel", "find_unused_parameters={}", False, True),
    ),
    "compression of a wrapped model": (
        *("DistributedDataParallel", "compression={}", "NoneCompressor", "BF16Compressor"),
    ),
    "optimizer": ("DistributedOptimizer", "bias: float32 [{}]", 2, 3),
    "adasum of an optimizer": (
        *("DistributedOptimizer", "{}", "an op other than Adasum", "op=Adasum"),
    ),
}

# What a disagreement ends with.
REMEDY = re.compile(r"; (give|call it with|change|remove) .*$")


def test_mismatch_through_torch_is_the_same_error_everywhere_and_the_job_goes_on() -> None:
    pytest.importorskip("torch")
    reports = launch(4, "mismatch_torch.py", timeout=150)
    messages = reports[0]["messages"]
    assert len(messages) > 50
    assert all(r["messages"] == messages for r in reports)
    for name, text in messages.items():
        assert "ranks disagree" not in text or REMEDY.search(text), (name, text)
        text = text.replace("ranks 0-2 have", "rank 0 has")
        assert name == "metrics" or "rank 3 has" in text, (name, text)
        assert SAYS.get(name.split()[-1], "rank 0 ") in text, (name, text)
    assert "rank 3 has 'b', rank 0 has not" in messages["metrics"]
    for name, (function, fact, first, other) in DIFFERENCES.items():
        assert messages[name] == (
            f"{function}: ranks disagree: rank 0 has {fact.format(first)}, rank 3 has "
            f"{fact.format(other)}; {FUNCTIONS[function]}"
        ), name
