"""Jobs that go well, at several sizes."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from jobs import Report, check_flat, launch, launch_verbosely

pytestmark = pytest.mark.timeout(200)


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_collectives_through_numpy(ranks: int) -> None:
    reports = launch(ranks, "collectives.py")
    assert all(r["checks"] > 200 and r["size"] == ranks for r in reports)
    assert [r["local"] for r in reports] == list(range(ranks))


@pytest.mark.parametrize("ranks", [2, 3])
def test_every_form_through_torch_with_gradients(ranks: int) -> None:
    pytest.importorskip("torch")
    reports = launch(ranks, "torch_forms.py", timeout=150)
    assert all(r["checks"] > 1000 for r in reports)


@pytest.mark.parametrize("ranks", [2, 3])
def test_collectives_over_gloo(ranks: int) -> None:
    reports = launch(ranks, "collectives.py", FARANDOLE_COMMUNICATOR="gloo")
    assert all(r["checks"] > 200 for r in reports)


@pytest.mark.parametrize(("ranks", "way"), [(4, "numpy"), (3, "torch")])
def test_process_sets(ranks: int, way: str) -> None:
    if way == "torch":
        pytest.importorskip("torch")
    reports = launch(ranks, "process_sets.py", way)
    assert all(r["checks"] > 40 and r["size"] == ranks for r in reports)


@pytest.mark.parametrize(("ranks", "way"), [(4, "numpy"), (3, "torch")])
def test_joins(ranks: int, way: str) -> None:
    if way == "torch":
        pytest.importorskip("torch")
    reports = launch(ranks, "joins.py", way)
    assert all(r["checks"] > 100 and r["size"] == ranks for r in reports)


def test_calls_whose_other_ranks_come_late() -> None:
    pytest.importorskip("torch")
    assert all(r["checks"] > 8 for r in launch(3, "late_ranks.py"))


@pytest.mark.parametrize(("ranks", "way"), [(2, "torch"), (3, "numpy"), (4, "torch")])
def test_adasum(ranks: int, way: str) -> None:
    if way == "torch":
        pytest.importorskip("torch")
    reports = launch(ranks, "adasum.py", way)
    assert all(r["checks"] > 80 and r["size"] == ranks for r in reports)


@pytest.mark.parametrize("communicator", ["gloo", "hierarchical"])
def test_adasum_on_two_hosts(communicator: str) -> None:
    wrapped = ("sh", "-c", 'FARANDOLE_HOST=h$((FARANDOLE_RANK > 0)) exec "$@"', "sh")
    reports, _ = launch_verbosely(
        3, "adasum.py", "numpy", wrapped=wrapped, FARANDOLE_COMMUNICATOR=communicator
    )
    assert all(r["checks"] > 80 for r in reports)


@pytest.mark.parametrize(
    ("ranks", "way", "communicator"),
    [(2, "numpy", "auto"), (3, "torch", "auto"), (4, "numpy", "auto"), (3, "numpy", "gloo")],
)
def test_to_one_rank_and_from_one(ranks: int, way: str, communicator: str) -> None:
    if way == "torch":
        pytest.importorskip("torch")
    reports = launch(ranks, "rooted.py", way, timeout=150, FARANDOLE_COMMUNICATOR=communicator)
    assert all(r["checks"] > 500 and r["size"] == ranks for r in reports)


@pytest.mark.parametrize("ranks", [2, 3])
def test_gradients_to_one_rank_and_from_one(ranks: int) -> None:
    pytest.importorskip("torch")
    reports = launch(ranks, "rooted_gradients.py", timeout=150)
    assert len(reports) == ranks and all(r["cases"] >= 9 for r in reports)


def test_one_rank_uses_torch_and_the_others_numpy() -> None:
    pytest.importorskip("torch")
    assert [r["size"] for r in launch(3, "mixed.py")] == [3, 3, 3]


@pytest.mark.parametrize(
    ("ranks", "way", "communicator"),
    [(2, "torch", "auto"), (3, "numpy", "auto"), (3, "torch", "gloo"), (4, "numpy", "gloo")],
)
def test_from_one_rank_to_another(ranks: int, way: str, communicator: str) -> None:
    if way == "torch":
        pytest.importorskip("torch")
    reports = launch(ranks, "messages.py", way, timeout=150, FARANDOLE_COMMUNICATOR=communicator)
    assert all(r["checks"] > 50 and r["size"] == ranks for r in reports)


@pytest.mark.measures
def test_a_slow_process_set_delays_no_other() -> None:
    """Blocked for 5 s; each of 200 barriers of the other takes less than 50 ms, where ranks run
    before everything else on the machine."""
    for r in launch(3, "slow_set.py"):
        took = r["took"]
        assert len(took) == (0 if r["rank"] == 1 else 200)
        assert max(took, default=0.0) < 0.05, took


@pytest.mark.measures
@pytest.mark.parametrize(("communicator", "connections"), [("shm", 0), ("gloo", 2)])
def test_300_process_sets_cost_2_kib_each_and_what_they_use(
    communicator: str, connections: int
) -> None:
    """One of them is used, by its two ranks."""
    for report in launch(9, "many_sets.py", FARANDOLE_COMMUNICATOR=communicator):
        before, added, used, removed = report["used"]
        grown = [{k: v - before[k] for k, v in later.items()} for later in (added, used, removed)]
        assert grown[0]["memory"] < 300 * 2048, report
        member = report["rank"] in report["first"]
        assert grown[1]["memory"] < 300 * 2048 + (16 << 20 if member else 0), report
        assert [g["threads"] for g in grown] == [0, int(member), 0], report
        assert [g["descriptors"] for g in grown] == [0, connections * int(member), 0], report


@pytest.mark.parametrize(
    ("program", "host", "local"),
    [
        ("collectives.py", "h$((FARANDOLE_RANK / 2))", [0, 1, 0, 1]),
        ("collectives.py", "h$((FARANDOLE_RANK % 2))", [0, 0, 1, 1]),
        ("collectives.py", "h$((FARANDOLE_RANK > 0))", [0, 0, 1, 2]),
        ("rooted.py numpy", "h$((FARANDOLE_RANK > 0))", [0, 0, 1, 2]),
        ("rooted.py numpy", "h$((FARANDOLE_RANK % 2))", [0, 0, 1, 1]),
        ("messages.py numpy", "h$((FARANDOLE_RANK > 0))", [0, 0, 1, 2]),
        ("torch_forms.py --one-dtype", "h$((FARANDOLE_RANK > 0))", [0, 0, 1, 2]),
    ],
    ids=[
        "neighbours",
        "alternating",
        "uneven",
        "uneven rooted",
        "alternating rooted",
        "uneven messages",
        "uneven through torch",
    ],
)
def test_collectives_on_two_hosts(program: str, host: str, local: list[int]) -> None:
    """Shared memory within each host and Gloo between them; the hosts are names alone."""
    if program.startswith("torch"):
        pytest.importorskip("torch")
    wrapped = ("sh", "-c", f'FARANDOLE_HOST={host} exec "$@"', "sh")
    reports, output = launch_verbosely(
        4, *program.split(), timeout=150, wrapped=wrapped, FARANDOLE_LOG_LEVEL="info"
    )
    assert all(r["checks"] > 130 for r in reports)
    assert [r["local"] for r in reports] == local
    assert "communicates over shared memory inside hosts and Gloo between them" in output, output


def test_without_room_for_shared_memory_gloo_serves_with_one_warning() -> None:
    # No file may grow beyond 32 KiB, a shared memory neither.
    reports, output = launch_verbosely(
        2,
        "collectives.py",
        wrapped=("sh", "-c", 'ulimit -f 64 && exec "$@"', "sh"),
        PYTHONDONTWRITEBYTECODE=1,
    )
    assert all(r["checks"] > 200 for r in reports)
    assert output.count("no shared memory, so that Gloo is used") == 1, output


def test_log_level_info_tells_who_joined_and_what_is_used() -> None:
    _, output = launch_verbosely(
        2, "mismatch.py", FARANDOLE_LOG_LEVEL="info", FARANDOLE_COMMUNICATOR="gloo"
    )
    assert len(re.findall(r"rank [01].*joined job \S+ of 2 ranks", output)) == 2, output
    assert len(re.findall(r"group \S+ of 2 ranks communicates over Gloo", output)) == 1, output


@pytest.mark.parametrize("ranks", [2, 3])
def test_unlike_groups_are_the_same_error_everywhere_and_the_job_goes_on(ranks: int) -> None:
    reports = launch(ranks, "groups.py")
    messages = reports[0]["messages"]
    assert all(r["messages"] == messages for r in reports)
    last = ranks - 1
    others = "rank 0 has" if ranks == 2 else "ranks 0-1 have"
    for name, (theirs, odd) in {
        "one more": ("a group of 2", "a group of 3"),
        "fewer": ("a group of 4", "a group of 1"),
        "group and tensor": ("one tensor", "a group of 2"),
        "tensor and group": ("a group of 3", "one tensor"),
        "other kinds": ("a group of 2", "a group of 3"),
        "in place": ("one tensor", "a group of 2"),
        "sparse and dense": ("one tensor", "a group of 3"),
        "dense and sparse": ("a group of 3", "one tensor"),
        "sparse and group": ("a group of 2", "a group of 3"),
    }.items():
        assert messages[name].startswith(
            f'group "{name}": ranks disagree on what it is: {others} {theirs}, '
            f"rank {last} has {odd}; "
        )
    sent = {r["sent"] for r in reports if r["sent"]}
    assert len(sent) == 1
    assert sent.pop().startswith(f'group "sent {last}->0": ranks disagree on what it is: rank 0 ')


@pytest.mark.parametrize("ranks", [2, 4])
def test_mismatch_is_the_same_error_everywhere_and_the_job_goes_on(ranks: int) -> None:
    reports = launch(ranks, "mismatch.py")
    messages = reports[0]["messages"]
    assert all(r["messages"] == messages for r in reports)
    last = ranks - 1
    assert f"rank {last} has float64" in messages["dtype"]
    assert "[2, 3]" in messages["shape"]
    assert "[2, 4]" in messages["shape"]
    assert f"rank {last} has Max" in messages["operation"]
    assert messages["small dtype"].endswith(
        f"rank {last} has float8_e5m2 [2, 3]; give tensors of one dtype and shape on every rank"
    )
    assert "float8_e4m3fn [*, 3]" in messages["bytes"]
    assert f"rank {last} has [*, 3]" in messages["bytes"]
    assert f"rank {last} has allgather" in messages["kind"]


@pytest.mark.parametrize("communicator", ["shm", "gloo"])
def test_counters_are_exact(communicator: str) -> None:
    reports = launch(2, "counters.py", FARANDOLE_COMMUNICATOR=communicator)
    for rank, report in enumerate(reports):
        working, idle = report["working"], report["idle"]
        assert 0 < working.pop("busy_nanoseconds") < idle.pop("busy_nanoseconds")
        moved = 20 * 1000 * 4 + 8 * (rank + 1)
        assert working == {
            "submitted": 24 if rank == 0 else 23,
            "agreed": 22,
            "rejected": 1,
            "settled_ok": 22,
            "settled_failed": 1,
            "buckets": 22,
            "bytes": moved,
        }
        assert idle == {
            "submitted": 25,
            "agreed": 24,
            "rejected": 1,
            "settled_ok": 24,
            "settled_failed": 1,
            "buckets": 24,
            "bytes": moved + 3 * 8,
        }


@pytest.mark.parametrize("communicator", ["shm", "gloo"])
@pytest.mark.parametrize("ranks", [2, 4])
def test_random_order_from_several_threads(ranks: int, communicator: str) -> None:
    reports = launch(ranks, "random_order.py", FARANDOLE_COMMUNICATOR=communicator)
    assert all(r["failures"] == [] for r in reports)


def test_without_fusion_and_without_cache() -> None:
    settings = {"FARANDOLE_FUSION_BYTES": 0, "FARANDOLE_CACHE_CAPACITY": 0}
    assert all(r["failures"] == [] for r in launch(2, "random_order.py", **settings))


@pytest.mark.parametrize("leaver", [0, 1])
def test_rank_that_leaves_after_the_work_harms_nobody(leaver: int) -> None:
    reports = launch(3, "departure.py", str(leaver))
    for rank, report in enumerate(reports):
        assert report["results"] == ([] if rank == leaver else list(range(100)))


@pytest.mark.parametrize("communicator", ["shm", "gloo"])
def test_init_and_shutdown_200_times_leak_nothing(
    communicator: str, pytestconfig: pytest.Config
) -> None:
    memory = not pytestconfig.getoption("--sanitized")  # which keeps freed memory back
    for report in launch(2, "cycles.py", "200", timeout=150, FARANDOLE_COMMUNICATOR=communicator):
        check_flat(report["used"], memory)


@pytest.mark.measures
@pytest.mark.parametrize(("communicator", "to_each_peer"), [("shm", 0), ("gloo", 1)])
def test_a_session_has_these_threads_and_sockets_and_no_others(
    communicator: str, to_each_peer: int
) -> None:
    own = {"fdl-io": 1, "fdl-heartbeat": 1, "fdl-lane-0": 1}
    for report in launch(3, "parts.py", FARANDOLE_COMMUNICATOR=communicator):
        assert report["threads"] == own
        # Control and heartbeats: rank 0 has those of both others. Nobody listens any more.
        control = 4 if report["rank"] == 0 else 2
        assert report["sockets"] == {"tcp": control + 2 * to_each_peer}


@pytest.mark.measures
def test_idle_jobs_use_less_than_half_a_percent_of_a_core() -> None:
    def idle(communicator: str) -> Report:
        return launch(2, "idle.py", "10", FARANDOLE_COMMUNICATOR=communicator)[0]

    with ThreadPoolExecutor() as pool:  # each measures its own processes
        for report in pool.map(idle, ["shm", "gloo"]):
            assert report["processes"] == 6, "launcher, agent, two keepers, two ranks"
            assert report["share"] < 0.005, report


def test_optimizer_options_and_mistakes() -> None:
    pytest.importorskip("torch")
    reports = launch(2, "optimizer.py", timeout=150)
    assert all(r["cases"] > 15 for r in reports)


@pytest.mark.parametrize("ranks", [2, 3])
def test_optimizer_with_adasum(ranks: int) -> None:
    pytest.importorskip("torch")
    reports = launch(ranks, "adasum_optimizer.py", timeout=150)
    assert all(r["cases"] > 8 for r in reports)


def test_adasum_trains_as_far_as_one_rank_that_goes_through_all_data() -> None:
    pytest.importorskip("torch")
    reports = launch(4, "adasum_training.py", timeout=150)
    one = reports[0]["one"]
    for r in reports:
        assert r["adasum"] < 1.15 * one
        assert r["average"] > 1.6 * one  # with the learning rate of one rank


@pytest.mark.parametrize("ending", ["shutdown", "exit"])
def test_who_is_done_leaves_no_slower_rank_without_an_answer(ending: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    os.mkfifo(tmp_path / "leaving")
    first, second = launch(2, "last_step.py", ending, str(tmp_path / "leaving"))
    assert first["gradient"] == second["gradient"] == 0.5


def test_models_state_norms_and_gradients() -> None:
    """Each case beside one process."""
    pytest.importorskip("torch")
    reports = launch(2, "models.py", timeout=150)
    assert all(r["cases"] > 20 for r in reports)


@pytest.mark.timeout(300)
def test_a_model_that_calls_collectives_is_compiled_to_machine_code(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    kept = {"TORCHINDUCTOR_CACHE_DIR": tmp_path, "TORCHINDUCTOR_COMPILE_THREADS": 1}
    # Before and behind the place where ranks meet.
    assert all(r["graphs"] == 2 for r in launch(2, "inductor.py", timeout=270, **kept))
    assert list(tmp_path.rglob("*.so")), "nothing was compiled"


@pytest.mark.parametrize("ranks", [3, 4])
def test_optimizers_and_models_on_more_ranks(ranks: int) -> None:
    """All cases but those of compilation, and a part of the arguments' combinations."""
    pytest.importorskip("torch")
    reports = launch(ranks, "wrappers.py", timeout=150)
    assert all(r["optimizers"] > 30 and r["models"] > 20 for r in reports)


@pytest.fixture(scope="module")
def trained() -> tuple[Report, list[Report]]:
    """What training brings on one rank, and on each of two."""
    pytest.importorskip("torch")
    served = ("sh", "-c", 'exec "$1" -m farandole.horovod "$2" --steps 50', "sh")
    (alone,), together = (
        launch_verbosely(ranks, "training.py", wrapped=served)[0] for ranks in (1, 2)
    )
    return alone, together


def test_script_that_imports_horovod(trained: tuple[Report, list[Report]]) -> None:
    for report in (trained[0], *trained[1]):
        assert (report["version"], report["arguments"]) == ("0.28.1", ["--steps", "50"])
        assert report["served"] == ["horovod", "horovod.torch", "horovod.torch.mpi_ops"]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-10), ("float32", 1e-4)])
def test_training_on_two_ranks_equals_training_on_one(
    trained: tuple[Report, list[Report]], dtype: str, tolerance: float, optimizer: str
) -> None:
    name = f"{dtype}.{optimizer}"
    alone, together = trained[0][name], [report[name] for report in trained[1]]
    assert together[0]["weights"] == together[1]["weights"]
    assert len(alone["losses"]) == 50
    assert alone["losses"][-1] < alone["losses"][0] / 2
    for what in ("losses", "weights"):
        assert together[0][what] == pytest.approx(alone[what], rel=tolerance, abs=tolerance)
