"""Scripts as users of Horovod have them: with its line of import and with ours, which bring the
same."""

from __future__ import annotations

import re

import pytest
from jobs import Report, launch_verbosely

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module", params=[2, 4], ids="{} ranks".format)
def printed(request: pytest.FixtureRequest) -> dict[str, str]:
    """What rank 0 printed, with either line; the others print nothing."""
    pytest.importorskip("torch")
    served = ("sh", "-c", 'exec "$1" -m farandole.horovod "$2"', "sh")
    reports: list[Report] = launch_verbosely(
        request.param, "example_scripts.py", timeout=250, wrapped=served
    )[0]
    outputs: dict[str, str] = {}
    for name in ("digits", "gpt_bf16", "words", "squares"):
        first, *others = [report[name] for report in reports]
        assert first["ours"] == first["horovods"]
        assert all(other == {"ours": "", "horovods": ""} for other in others)
        outputs[name] = first["ours"]
    return outputs


def figures(what: str, text: str) -> list[float]:
    return [float(number) for number in re.findall(rf"{what} ([\d.]+)", text)]


def test_digits_are_told_apart(printed: dict[str, str]) -> None:
    assert figures("accuracy", printed["digits"])[-1] > 0.85


@pytest.mark.parametrize("script", ["gpt_bf16", "words", "squares"])
def test_losses_fall(printed: dict[str, str], script: str) -> None:
    losses = figures("loss", printed[script])
    assert losses[-1] < 0.75 * losses[0], losses


@pytest.mark.parametrize("script", ["digits", "gpt_bf16", "words", "squares"])
def test_ranks_stay_one_model(printed: dict[str, str], script: str) -> None:
    assert printed[script].endswith("all ranks hold the same parameters\n")
