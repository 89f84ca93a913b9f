"""What scripts keep beyond shutdown(): it keeps nothing of the session, and says what became of
it."""

from __future__ import annotations

from pathlib import Path

import pytest
from jobs import launch

pytest.importorskip("torch")
pytestmark = pytest.mark.timeout(150)

NOT_INITIALISED = "NotInitializedError: Farandole is not initialised; call init() first"


@pytest.mark.parametrize(("ranks", "communicator"), [(2, "shm"), (4, "shm"), (2, "gloo")])
def test_shutdown_ends_the_session_whatever_is_kept(
    ranks: int, communicator: str, tmp_path: Path
) -> None:
    """Handles pending, finished, failed and never waited for, a thread that waits, an optimizer
    within its step, a process set, a timeline: two sessions with all of them, and a third."""
    reports = launch(
        ranks, "kept.py", timeout=120, KEPT_FOLDER=tmp_path, FARANDOLE_COMMUNICATOR=communicator
    )
    for report in reports:
        before, *after = report["used"]
        assert before["segments"] == 0
        assert after == [before] * 3, report["used"]
        check_what_is_told(report["rank"], ranks, report["ends"])
        # As before, although another session has operations of the same names meanwhile.
        for first, again in zip(report["ends"], report["again"], strict=True):
            assert again == {name: first[name] for name in again}
        # What an earlier session added and removed are sets of that one.
        assert report["sets"]["numbers"] == [1, 2]
        assert report["sets"]["changed"] == ["True", "ProcessSet([0])"] * 2
        assert report["total"] == f"tensor([{10 * ranks}, {10 * ranks}])"


def check_what_is_told(rank: int, ranks: int, ends: list[dict[str, str]]) -> None:
    for session, told in enumerate(ends, start=1):
        total = session * ranks
        assert told["finished"] == f"tensor([{total}, {total}])"
        assert told["gathered"].count(f"[{session}]") == ranks * (ranks + 1) // 2
        assert told["grouped"].count(f"{ranks}.") == 5
        assert f"values=tensor([{ranks}., {2 * ranks}.])" in told["sparse"]
        assert told["unlike"].startswith('MismatchError: allreduce "unlike": ranks disagree on')
        assert told["polled"] == "True"
        assert told["step"] == told["in set"] == NOT_INITIALISED
        # Ended by the own shutdown, or by that of another rank which was quicker.
        for name, what in (
            ("pending", f'allreduce "of rank {rank} alone": '),
            ("waited", f'allreduce "waited for by rank {rank}": '),
        ):
            assert told[name].startswith(
                (f"AbortedError: {what}ended by", f"PeerLostError: {what}rank ")
            ), told[name]
        assert told["shown"].startswith('<farandole.Handle allreduce "of rank ')
        assert ": failed: " in told["shown"]


@pytest.mark.parametrize("wrapped", ["optimizer", "adasum", "model"])
def test_models_and_optimizers_go_on_in_a_later_session(wrapped: str) -> None:
    """Of another size perhaps, and after one that ended between backward and step."""
    for report in launch(2, "later_session.py", wrapped):
        own = report["rank"] + 1
        assert report["steps"] == [own, 1.5, 1.5, 1.5, 1.5, own]
