"""Process sets of a rank alone; those of several ranks are in tests/multiprocess."""

from __future__ import annotations

import pytest

import farandole as fdl

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("session")]


def test_ranks_of_a_process_set_without_session() -> None:
    assert fdl.global_process_set.ranks == [0]
    fdl.shutdown()
    with pytest.raises(fdl.NotInitializedError):
        assert fdl.global_process_set.ranks


def test_a_process_set_that_does_not_exist_has_no_members() -> None:
    other = fdl.ProcessSet([0])
    assert other.process_set_id is None
    assert other.ranks == [0]
    for ask in (other.rank, other.size, other.included, lambda: fdl.join(process_set=other)):
        with pytest.raises(fdl.InvalidArgumentError) as caught:
            ask()
        assert str(caught.value) == (
            "ProcessSet([0]) does not exist: give it to init(process_sets=[...]) or to "
            "add_process_set() on every rank"
        )
    assert not fdl.remove_process_set(other)


def test_process_sets_of_a_rank_alone() -> None:
    assert fdl.join() == 0
    with pytest.raises(fdl.InvalidArgumentError, match="are process set 0 already"):
        fdl.add_process_set([0])
    with pytest.raises(fdl.InvalidArgumentError, match="rank 3 does not exist; ranks are 0 to 0"):
        fdl.add_process_set([3])
    with pytest.raises(fdl.InvalidArgumentError, match="process set 0 already"):
        fdl.add_process_set(fdl.global_process_set)
    assert fdl.remove_process_set(fdl.global_process_set) is False
    assert fdl.global_process_set.process_set_id == 0
