"""To which cores the threads of a session are bound: as the kernel says, in whole jobs."""

from __future__ import annotations

import os
from typing import Any

import pytest
from jobs import Report, hand_made_job, launch, launch_verbosely

pytestmark = pytest.mark.timeout(100)

USABLE = sorted(os.sched_getaffinity(0))
FIRST, LAST = USABLE[0], USABLE[-1]
BEYOND = LAST + 4711


def cores(places: dict[str, str], named: str = "fdl-") -> set[str]:
    return {cpus for name, cpus in places.items() if name.startswith(named)}


def check(reports: list[Report], expected: list[int], unbound: dict[str, str]) -> None:
    """Every thread of the library is where it is to be, and the caller's where it was."""
    for report, core in zip(reports, expected, strict=True):
        places = report["places"]
        assert {"caller", "fdl-io", "fdl-heartbeat", "fdl-lane-0"} <= set(places), places
        assert cores(places) == {str(core)}, places
        assert cores(places, "caller") == cores(unbound, "caller")


@pytest.fixture(scope="module")
def unbound() -> dict[str, str]:
    (report,) = launch(1, "places.py")
    return dict(report["places"])


@pytest.mark.parametrize("communicator", ["shm", "gloo"])
@pytest.mark.parametrize("variable", ["FARANDOLE_THREAD_AFFINITY", "HOROVOD_THREAD_AFFINITY"])
def test_by_a_variable(communicator: str, variable: str, unbound: dict[str, str]) -> None:
    chosen: Any = {variable: f"{LAST},{FIRST}", "FARANDOLE_COMMUNICATOR": communicator}
    reports = launch(2, "places.py", "--sets", **chosen)
    check(reports, [LAST, FIRST], unbound)
    for report in reports:
        assert {"fdl-lane-1", "fdl-lane-2"} & set(report["places"])


def test_by_the_flag_which_goes_before_the_variable(unbound: dict[str, str]) -> None:
    """A list may be longer than there are ranks, and name a core twice."""
    flags = ("--thread-affinity", f"{LAST},{LAST},{FIRST}")
    reports, output = launch_verbosely(
        2,
        "places.py",
        flags=flags,
        FARANDOLE_THREAD_AFFINITY=BEYOND,
        FARANDOLE_LOG_LEVEL="info",
    )
    check(reports, [LAST, LAST], unbound)
    assert output.count(f"threads are bound to core {LAST}") == 2, output


def test_the_writer_of_a_timeline_whenever_it_begins(unbound: dict[str, str]) -> None:
    chosen: Any = {"FARANDOLE_THREAD_AFFINITY": f"{LAST},{FIRST}"}
    reports = launch(2, "places.py", "--timeline", **chosen)
    check(reports, [LAST, FIRST], unbound)
    assert all("fdl-timeline" in report["places"] for report in reports)


def test_one_rank_alone(unbound: dict[str, str]) -> None:
    assert cores(unbound) == cores(unbound, "caller")
    assert {"fdl-engine", "fdl-loopback", "fdl-lane-0"} <= set(unbound)
    (report,) = launch(1, "places.py", FARANDOLE_THREAD_AFFINITY=LAST)
    assert cores(report["places"]) == {str(LAST)}
    assert set(report["places"]) == set(unbound)


def test_without_the_launcher_and_by_hosts() -> None:
    """Local ranks are those of the hosts that ranks name."""
    hosts = ("a", "b", "a")
    chosen = f"{FIRST},{LAST}"
    with hand_made_job(3, "places.py", HOROVOD_THREAD_AFFINITY=chosen, FARANDOLE_HOST=hosts) as job:
        reports = [rank.report() for rank in job]
        assert [report["local"] for report in reports] == [0, 0, 1]
        for report, core in zip(reports, (FIRST, FIRST, LAST), strict=True):
            assert cores(report["places"]) == {str(core)}
        assert [rank.wait() for rank in job] == [0, 0, 0]


def test_a_rank_whose_core_is_not_there_fails_and_the_others_hear_why() -> None:
    lists = (f"{FIRST},{BEYOND}",) * 2
    with hand_made_job(2, "places.py", FARANDOLE_THREAD_AFFINITY=lists) as job:
        other, refused = (rank.report() for rank in job)
    text = (
        f"--thread-affinity (FARANDOLE_THREAD_AFFINITY): core {BEYOND} of local rank 1 does not "
        "exist, or not for this process, which runs on CPUs "
    )
    assert (refused["kind"], refused["text"].startswith(text)) == ("InvalidArgumentError", True)
    assert refused["text"].endswith("; name one of these")
    assert other["kind"] == "PeerLostError"
    assert text in other["text"]


def test_a_list_that_is_too_short_is_the_same_error_everywhere() -> None:
    with hand_made_job(2, "places.py", FARANDOLE_THREAD_AFFINITY=FIRST) as job:
        for rank in job:
            report = rank.report()
            assert (report["kind"], report["text"]) == (
                "InvalidArgumentError",
                f"--thread-affinity (FARANDOLE_THREAD_AFFINITY): {FIRST} names 1 core, but 2 "
                "ranks run on this host; name one for each",
            )


def test_inside_of_what_ranks_are_bound_to() -> None:
    ranks = min(len(USABLE), 2)
    flags = ("--bind-to", "hwthread", "--thread-affinity", ",".join(map(str, USABLE)))
    reports = launch_verbosely(ranks, "places.py", flags=flags)[0]
    for report, core in zip(reports, USABLE[:ranks], strict=True):
        assert cores(report["places"]) == cores(report["places"], "caller") == {str(core)}
