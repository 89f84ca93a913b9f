"""Every argument of farandole.run(), with whatever could be wrong about it; and a disk that is full
once the ranks have ended."""

from __future__ import annotations

import inspect
import os
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
from argument_mistakes import LARGE, LARGE_SHOWN, Mistakes, each, flags
from model_mistakes import but_none, paths

import farandole
from farandole import running
from farandole.run_arguments import FLAGS

pytestmark = pytest.mark.timeout(150)


def wholes(what: str, least: int = 1, most: int = 65536) -> Mistakes:
    return each(
        f"{what}={{}}: a whole number from {least} to {most} is wanted",
        {
            "too small": (least - 1, f"{least - 1}"),
            "too large": (most + 1, f"{most + 1}"),
            "huge": (10**5000, "<int>"),
            "text": ("2", "'2'"),
            "float": (2.0, "2.0"),
            "true": (True, "True"),
            "false": (False, "False"),
            "array": (LARGE, LARGE_SHOWN),
        },
    )


def seconds(what: str, least: str, most: str) -> Mistakes:
    return each(
        f"{what}={{}}: a number of seconds from {least} to {most} is wanted",
        {
            "none at all": (0, "0"),
            "negative": (-1, "-1"),
            "too many": (1e9, "1000000000.0"),
            "nan": (float("nan"), "nan"),
            "infinite": (float("inf"), "inf"),
            "huge": (10**5000, "<int>"),
            "text": ("soon", "'soon'"),
            "true": (True, "True"),
            "false": (False, "False"),
            "array": (LARGE, LARGE_SHOWN),
        },
    )


def texts(what: str) -> Mistakes:
    return {
        **each(
            f"{what}={{}} is no text; a str that is not empty is wanted",
            {
                "nothing": ("", "''"),
                "number": (3, "3"),
                "bytes": (b"a:1", "b'a:1'"),
                "list": (["a:1"], "['a:1']"),
                "true": (True, "True"),
                "array": (LARGE, LARGE_SHOWN),
            },
        ),
        "null": ("a\0b", f"{what}='a\\x00b' contains a null character"),
        "surrogate": ("\ud800:1", f"{what}='\\ud800:1' cannot be written as UTF-8"),
    }


SIZES = (
    "{}: jobs of changing size are not there yet; leave it out, and give the number of ranks with "
    "np"
)
MPI = "{}: there is no MPI here; leave it out: the launcher starts the ranks by itself"
INTERFACES = (
    '{} "a/b" is not valid: names of at most 16 interfaces are wanted, as in '
    "eth0,ib0 (ip link shows them)"
)
RANGE = "cooldown_range={}: two whole numbers of seconds are wanted, the least and the most"
# Parameter -> what is wrong -> value, message.
WRONG: dict[str, Mistakes] = {
    "func": {
        "number": (7, "func is int; a function is wanted"),
        "none": (None, "func is NoneType; a function is wanted"),
        "a lambda that cannot be pickled": (
            threading.Lock().acquire,
            "the function or its arguments cannot be pickled: cannot pickle '_thread.lock' object",
        ),
    },
    "args": {
        "number": (7, "args is int; a tuple is wanted"),
        "text": ("ab", "args is str; a tuple is wanted"),
        "what cannot be pickled": (
            (threading.Lock(),),
            "the function or its arguments cannot be pickled: cannot pickle '_thread.lock' object",
        ),
    },
    "kwargs": {
        "list": ([1], "kwargs is list; a dict is wanted"),
        "names": (
            {"sep": "", 1: 2},
            "kwargs has the key 1; names of parameters, as text, are wanted",
        ),
    },
    "np": wholes("np"),
    "num_proc": wholes("num_proc"),
    "min_np": {**wholes("min_np"), "there": (1, SIZES.format("min_np"))},
    "min_num_proc": {**wholes("min_num_proc"), "there": (1, SIZES.format("min_num_proc"))},
    "max_np": {**wholes("max_np"), "there": (1, SIZES.format("max_np"))},
    "max_num_proc": {**wholes("max_num_proc"), "there": (1, SIZES.format("max_num_proc"))},
    "slots": {**wholes("slots"), "there": (2, SIZES.format("slots"))},
    "reset_limit": {
        **wholes("reset_limit", least=0),
        "there": (2, SIZES.format("reset_limit")),
    },
    "cooldown_range": {
        **each(
            RANGE,
            {
                "number": (3, "3"),
                "one": ((1,), "(1,)"),
                "three": ((1, 2, 3), "(1, 2, 3)"),
                "text": ("12", "'12'"),
                "texts": (("1", "2"), "('1', '2')"),
                "zero": ((0, 2), "(0, 2)"),
                "array": (LARGE, LARGE_SHOWN),
            },
        ),
        "there": ((1, 2), SIZES.format("cooldown_range")),
    },
    "hosts": {
        **texts("hosts"),
        "no slots": (
            "localhost",
            'hosts: "localhost" gives no number of slots; host:slots is wanted, as in localhost:4',
        ),
    },
    "hostfile": {
        **but_none(paths("hostfile")),
        "absent": ("/no/file", "hostfile: /no/file cannot be read: No such file or directory"),
    },
    "host_discovery_script": {
        **but_none(paths("host_discovery_script")),
        "there": ("x", SIZES.format("host_discovery_script")),
    },
    "start_timeout": seconds("start_timeout", "0.1", "86400"),
    "ssh_port": wholes("ssh_port", most=65535),
    "ssh_identity_file": but_none(paths("ssh_identity_file")),
    "disable_cache": flags("disable_cache"),
    "output_filename": but_none(paths("output_filename")),
    "verbose": each(
        "verbose={} is neither True nor False, nor a whole number from 0",
        {
            "negative": (-1, "-1"),
            "text": ("yes", "'yes'"),
            "float": (1.5, "1.5"),
            "array": (LARGE, LARGE_SHOWN),
        },
    ),
    "use_gloo": flags("use_gloo"),
    "use_mpi": {**flags("use_mpi"), "there": (True, MPI.format("use_mpi"))},
    "mpi_args": {**texts("mpi_args"), "there": ("-x", MPI.format("mpi_args"))},
    **{
        name: {**texts(name), "no name": ("a/b", INTERFACES.format(name))}
        for name in ("network_interface", "network_interfaces")
    },
    "executable": {
        **but_none(paths("executable")),
        "absent": (
            "/no/python",
            "executable='/no/python': this machine has no such program; the path of a Python is "
            "wanted",
        ),
    },
    "timeout": seconds("timeout", "0.001", "100000000"),
}
SAME = "{} and {} mean the same; give one of them"
TOGETHER: list[tuple[dict[str, Any], str]] = [
    ({}, "np is missing: how many ranks? As in run(func, np=2)"),
    ({"np": 2, "num_proc": 2}, SAME.format("np", "num_proc")),
    ({"np": 2, "min_np": 1, "min_num_proc": 1}, SAME.format("min_np", "min_num_proc")),
    ({"np": 2, "max_np": 2, "max_num_proc": 2}, SAME.format("max_np", "max_num_proc")),
    (
        {"np": 2, "network_interface": "lo", "network_interfaces": "lo"},
        SAME.format("network_interface", "network_interfaces"),
    ),
    (
        {"hosts": "localhost:1", "hostfile": "x"},
        "hosts and hostfile contradict each other: give one of them",
    ),
]


def test_every_parameter_is_tried() -> None:
    parameters = set(inspect.signature(farandole.run).parameters)
    assert set(WRONG) == parameters
    assert set(FLAGS) == parameters - {"func", "args", "kwargs", "executable"}


@pytest.mark.parametrize("parameter", WRONG)
def test_wrong_arguments_start_nothing(parameter: str, capfd: Any) -> None:
    assert WRONG[parameter]
    for value, message in WRONG[parameter].values():
        usual: dict[str, Any] = {"func": print}
        if parameter not in ("num_proc", "hosts", "hostfile"):
            usual["np"] = 1
        with pytest.raises(farandole.InvalidArgumentError) as caught:
            farandole.run(**{**usual, parameter: value})
        assert str(caught.value) == f"run(): {message}"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("given", "message"), TOGETHER, ids=lambda x: "")
def test_what_is_wrong_together(given: dict[str, Any], message: str) -> None:
    with pytest.raises(farandole.InvalidArgumentError) as caught:
        farandole.run(print, **given)
    assert str(caught.value) == f"run(): {message}"


def test_right_arguments_become_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    class Job:
        def __init__(self, command: list[str], *_: Any) -> None:
            seen.append(command)

        def run(self) -> list[Any]:
            return []

    monkeypatch.setattr(running, "_Job", Job)
    farandole.run(
        print,
        np=2,
        hosts="a:1,b:1",
        ssh_port=22,
        ssh_identity_file=Path("key"),  # type: ignore[arg-type]
        start_timeout=77.0,
        timeout=1.5,
        disable_cache=True,
        use_gloo=False,
        verbose=2,
        network_interfaces="lo",
        executable=Path("/a/python"),  # type: ignore[arg-type]
    )
    farandole.run(print, num_proc=1, verbose=0, use_mpi=False)
    words = "-np=2 --hosts=a:1,b:1 --start-timeout=77 --ssh-port=22 --ssh-identity-file=key "
    words += "--disable-cache --verbose --network-interfaces=lo --timeout=1.5 -- /a/python"
    assert seen[0][2:-2] == words.split()
    assert seen[1][2:4] == ["-np=1", "--"]


def full_disk(*_: Any, **__: Any) -> Any:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("fails", [False, True])
def test_a_full_disk_loses_no_result(
    fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ranks printed stays as it is, with what was sent beside it."""
    monkeypatch.setattr(Path, "replace", full_disk)
    folder = tmp_path / "out"

    def work(fails: bool) -> int:
        print("printed")
        if fails:
            raise ValueError("mine")
        return 7

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if fails:
            with pytest.raises(farandole.RunError, match=r"raised ValueError: mine\n"):
                farandole.run(work, (True,), np=2, output_filename=str(folder))
        else:
            results = farandole.run(work, (False,), np=2, output_filename=str(folder))
            assert results == [7, 7]
    of_job = [str(one.message) for one in said if one.category is RuntimeWarning]
    assert of_job == [
        f"run(): the rank's result could not be taken out of {folder}/rank.0/stdout: No space left "
        "on device (errno 28), and so of 1 more; what it printed is there, and lines of the result "
        "beside it"
    ]
    assert sorted(os.listdir(folder / "rank.0")) == ["stderr", "stdout"]
    assert "printed\n" in (folder / "rank.0/stdout").read_text()
