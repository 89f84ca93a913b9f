"""Forked children of ranks: whatever they call has a clear error or an answer that harms nobody,
and the parent's job goes on."""

from __future__ import annotations

import os

import pytest
from jobs import launch

pytestmark = pytest.mark.timeout(150)

# Of threads that only the parent has the child has memory of OpenSSL's, which nobody can free.
LEAKS = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"

FORKED = [
    "AbortedError",
    "this process was forked from one that had initialised Farandole; a forked child cannot "
    "communicate: use the parent, or start the child anew (spawn)",
]
# What needs no job, or only does something to an object of the child's own.
ANSWERED = {
    *("is_initialized", "shutdown", "gloo_enabled", "mpi_enabled", "ProcessSet", "run"),
    *(f"{what}_built" for what in ("ccl", "cuda", "ddl", "gloo", "mpi", "nccl", "rocm")),
    *("SyncBatchNorm", "SyncBatchNorm.convert_sync_batchnorm", "timeline.merge"),
    *("data.AsyncDataLoaderMixin", "data.AsyncDataLoaderMixin.close_async_loader"),
    "data.BaseDataLoader",
    *(
        f"Compression.{kind}.{way}compress"
        for kind in ("none", "fp16", "bf16")
        for way in ("", "de")
    ),
    *(
        f"DistributedDataParallel.{name}"
        for name in (
            "load_state_dict",
            "named_buffers",
            "named_parameters",
            "no_sync",
            "state_dict",
        )
    ),
    *(
        f"DistributedOptimizer.{name}"
        for name in (
            *("add_param_group", "load_state_dict", "set_backward_passes_per_step"),
            *("find_duplicates", "skip_synchronize", "zero_grad"),
        )
    ),
    *(
        f"DistributedSampler.{name}"
        for name in ("load_state_dict", "record_batch", "set_epoch", "state_dict")
    ),
}


def plain(name: str) -> str:
    return name.removeprefix("farandole.").removeprefix("torch.")


def test_forked_child_gets_an_error_and_the_parent_goes_on() -> None:
    for report in launch(2, "forked.py", ASAN_OPTIONS=LEAKS):
        assert "forked" in report["seen"]
        assert report["status"] == 0


def test_no_child_has_the_sockets_of_its_rank() -> None:
    """Else nobody hears the end of a rank whose child outlives it. However the child is made."""
    for report in launch(2, "forked_sockets.py", ASAN_OPTIONS=LEAKS, FARANDOLE_COMMUNICATOR="gloo"):
        assert report["own"] >= 3, "control, heartbeat and data"
        kinds = ("fork", "forkpty", "exec", "fork, exec", "spawn", "forkserver")
        assert report["shared"] == dict.fromkeys(kinds, 0)


@pytest.mark.threads_after_fork
def test_a_forked_child_may_call_everything() -> None:
    """What there is comes from the packages: a new function that hangs or answers fails this."""
    reports = launch(2, "forked_calls.py", ASAN_OPTIONS=LEAKS, timeout=140)
    for report in reports:
        outcomes = report["outcomes"]
        later = {name: outcomes.pop(name) for name in list(outcomes) if name.startswith("after")}
        assert later["after shutdown: barrier"] == [
            "NotInitializedError",
            "Farandole is not initialised; call init() first",
        ]
        untold = [name for name, told in outcomes.items() if not told]
        assert not untold, f"never came back from {untold} (status {report['status']})"
        assert report["status"] == 0
        others = {plain(name): told for name, told in outcomes.items() if told != FORKED}
        assert {name for name, (kind, _) in others.items() if kind} == set(), others
        assert set(others) <= ANSWERED
        assert len(outcomes) - len(others) > 50
        assert sum(name.startswith("in flight") for name in outcomes) >= 8
    kind, text = later["after shutdown: init"]
    assert kind == "TimeoutError", text
    assert text.startswith("rank 1 could not reach rank 0 at 127.0.0.1:")
