"""Operations that some ranks wait for and one has not submitted: what rank 0 says of them."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from jobs import PROGRAMS, launch_verbosely

pytestmark = pytest.mark.timeout(120)

PROGRAM = (PROGRAMS / "stalls.py").read_text().splitlines()


def line_of(text: str) -> int:
    (number,) = (n for n, line in enumerate(PROGRAM, start=1) if text in line)
    return number


def warnings(output: str) -> list[str]:
    """What rank 0 has warned of, without time and label."""
    return re.findall(r"\[farandole rank 0\] warning: (.*)", output)


def test_names_the_tensor_the_ranks_and_the_line_where_the_missing_one_sleeps() -> None:
    reports, output = launch_verbosely(3, "stalls.py", "asleep", "6", FARANDOLE_STALL_CHECK_TIME=1)
    assert [r["outcome"] for r in reports] == ["", "", ""]
    said = warnings(output)
    assert re.fullmatch(
        r'allreduce "lost/gradient" has waited for [\d.]+ s: '
        r"ranks 0-1 have submitted it, rank 2 has not",
        said[0],
    )
    assert said[1] == "  rank 2, which is waited for:"
    assert said[2] == "    thread MainThread:"
    assert re.fullmatch(
        rf'      File ".*stalls\.py", line {line_of("the line where it stands")}, in asleep',
        said[said.index("        threading.Event().wait(seconds)  # the line where it stands") - 1],
    )
    # Once, and again after as long as it had waited.
    ages = [float(age) for age in re.findall(r"has waited for ([\d.]+) s", "\n".join(said))]
    assert 2 <= len(ages) <= 3, ages
    assert all(later >= 2 * age - 1 for age, later in itertools.pairwise(ages)), ages


def test_a_rank_that_computes_is_seen_where_it_is() -> None:
    _, output = launch_verbosely(2, "stalls.py", "busy", "3", FARANDOLE_STALL_CHECK_TIME=1)
    assert "rank 0 has submitted it, rank 1 has not" in output
    assert re.search(r"stalls\.py\", line \d+, in busy", output)


def test_a_rank_that_keeps_the_interpreter_delays_nobody() -> None:
    # Rank 0 waits for answers for 3 s, and the rank that keeps its interpreter gives its own after
    # half of that.
    _, output = launch_verbosely(2, "stalls.py", "selfish", "9", FARANDOLE_STALL_CHECK_TIME=3)
    said = warnings(output)
    assert said[0].endswith("rank 0 has submitted it, rank 1 has not")
    assert said[1] == "  rank 1, which is waited for:"
    assert "did not say where it is within 1.5 s" in said[2], said
    assert not any("thread MainThread" in line for line in said)


@pytest.mark.parametrize("setting", ["FARANDOLE_STALL_SHUTDOWN_TIME", "horovod"])
def test_the_policy_ends_the_job_on_all_ranks(setting: str) -> None:
    names: dict[str, Any] = {"FARANDOLE_STALL_SHUTDOWN_TIME": 2, "FARANDOLE_STALL_CHECK_TIME": 1}
    if setting == "horovod":
        names = {"HOROVOD_STALL_SHUTDOWN_TIME_SECONDS": 2, "HOROVOD_STALL_CHECK_TIME_SECONDS": 1}
    reports, output = launch_verbosely(3, "stalls.py", "asleep", "5", **names)
    why = (
        r'TimeoutError: allreduce "lost/gradient" has waited for [\d.]+ s: '
        r"ranks 0-1 have submitted it, rank 2 has not \(FARANDOLE_STALL_SHUTDOWN_TIME; .*\)"
    )
    for report in reports[:2]:
        assert re.fullmatch(why, report["outcome"]), output
    # The one that was away may begin it only then.
    assert "has waited for" in reports[2]["outcome"], output


@pytest.mark.parametrize("how", ["FARANDOLE_STALL_CHECK_DISABLE", "HOROVOD_STALL_CHECK_DISABLE"])
def test_nobody_looks_where_that_is_not_wanted(how: str) -> None:
    given: dict[str, Any] = {
        how: 1,
        "FARANDOLE_STALL_CHECK_TIME": 0.5,
        "FARANDOLE_STALL_SHUTDOWN_TIME": 1,
    }
    reports, output = launch_verbosely(2, "stalls.py", "asleep", "2.5", **given)
    assert [r["outcome"] for r in reports] == ["", ""]
    assert warnings(output) == []


def test_a_program_that_waits_for_nobody_is_not_told_of() -> None:
    # For longer than the limit, but in no step.
    _, output = launch_verbosely(2, "stalls.py", "steps", "5", FARANDOLE_STALL_CHECK_TIME=3)
    assert warnings(output) == []
