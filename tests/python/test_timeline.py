"""The timeline of one rank: what it shows, when, and what cannot be recorded."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from timelines import read

import farandole as fdl
from farandole.timeline import merge

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("_left")]


@pytest.fixture
def _left() -> Iterator[None]:
    yield
    fdl.shutdown()


KINDS = {
    "allreduce": lambda name: fdl.allreduce(np.ones(4, "f4"), name=name),
    "allgather": lambda name: fdl.allgather(np.ones(4, "f4"), name=name),
    "broadcast": lambda name: fdl.broadcast(np.ones(4, "f4"), 0, name=name),
    "reducescatter": lambda name: fdl.reducescatter(np.ones(4, "f4"), name=name),
    "alltoall": lambda name: fdl.alltoall(np.ones(4, "f4"), name=name),
}


@pytest.mark.parametrize("kind", KINDS)
def test_phases_have_horovods_names(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "trace.json"
    fdl.init(settings={"timeline": path})
    for _ in range(2):
        KINDS[kind]('of "x"\\')
    fdl.shutdown()
    timeline = read(path)
    upper = kind.upper()
    first = [f"NEGOTIATE_{upper}", upper, "QUEUE", "INIT_COMMUNICATOR", f"SINGLE_{upper}"]
    again = [f"NEGOTIATE_{upper}", upper, "QUEUE", f"SINGLE_{upper}"]
    spans = timeline.spans[0, 'of "x"\\']
    assert [span.name for span in spans] == first + again
    assert [span.depth for span in spans] == [0, 0, 1, 1, 1, 0, 0, 1, 1]
    assert spans[1].args == {"dtype": "float32", "bytes": 16}
    (gone,) = timeline.marks  # its own goodbye
    assert (gone["name"], gone["args"]["rank"]) == ("RANK_GONE", 0)
    about = timeline.about[0]
    assert (about["rank"], about["size"], about["mark_cycles"]) == (0, 1, False)
    assert (about["lost"], about["unnamed"]) == (0, 0)


def test_rounds_are_marked_where_that_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    fdl.init(settings={"timeline": path, "timeline_mark_cycles": 1})
    for turn in range(3):
        fdl.allreduce(np.ones(4), name=f"x{turn}")
    fdl.shutdown()
    marks = read(path).marks
    assert [mark["name"] for mark in marks[:3]] == ["CYCLE_START"] * 3
    assert [mark["args"]["round"] for mark in marks[:3]] == [1, 2, 3]


def test_started_and_stopped_again_and_again(tmp_path: Path) -> None:
    fdl.init()
    fdl.stop_timeline()  # there is none
    fdl.allreduce(np.ones(4), name="before")
    for turn in range(3):
        path = tmp_path / "{rank}" / "trace.json"
        (tmp_path / "0").mkdir(exist_ok=True)
        fdl.start_timeline(path, mark_cycles=turn == 1)
        fdl.allreduce(np.ones(4), name=f"turn{turn}")
        fdl.stop_timeline()
        fdl.stop_timeline()
        fdl.allreduce(np.ones(4), name="between")
        timeline = read(tmp_path / "0/trace.json")
        assert set(timeline.spans) == {(0, f"turn{turn}")}
        assert [m["name"] for m in timeline.marks] == ["CYCLE_START"] * (turn == 1)


def test_what_was_submitted_before_it_began_is_not_in_it(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    fdl.init()
    before = [fdl.allreduce_async(np.ones(1 << 20), name=f"before{n}") for n in range(8)]
    fdl.start_timeline(path)
    fdl.allreduce(np.ones(4), name="after")
    for handle in before:
        handle.wait()
    fdl.stop_timeline()
    assert set(read(path).spans) == {(0, "after")}


def test_twice_is_an_error_that_names_the_first(tmp_path: Path) -> None:
    fdl.init(settings={"timeline": tmp_path / "a.json"})
    with pytest.raises(fdl.InvalidArgumentError) as raised:
        fdl.start_timeline(tmp_path / "b.json")
    assert str(raised.value) == (
        f"a timeline is recorded already, to {tmp_path}/a.json; stop it first"
    )
    assert not (tmp_path / "b.json").exists()


@pytest.mark.parametrize("path", ["y.{r}.json", "{rank}/{}.json"])
def test_a_place_that_is_not_known_is_refused(tmp_path: Path, path: str) -> None:
    fdl.init()
    with pytest.raises(fdl.InvalidArgumentError) as raised:
        fdl.start_timeline(tmp_path / path)
    assert str(raised.value) == (
        f'timeline: the path "{tmp_path}/{path}" has a place that is not known; only {{rank}} is'
    )
    assert list(tmp_path.iterdir()) == []
    fdl.start_timeline(tmp_path / "a{.json")  # a brace is no place
    fdl.stop_timeline()
    assert [one.name for one in tmp_path.iterdir()] == ["a{.json"]


@pytest.mark.parametrize("call", [lambda: fdl.start_timeline("x.json"), fdl.stop_timeline])
def test_before_init(call: Callable[[], None]) -> None:
    with pytest.raises(ValueError, match="call init\\(\\) first"):
        call()


def test_a_path_that_cannot_be_written_is_an_error_when_asked_for(tmp_path: Path) -> None:
    fdl.init()
    for path, why in {
        tmp_path / "no/such": "open: No such file or directory (errno 2)",
        tmp_path: "open: Is a directory (errno 21)",
    }.items():
        with pytest.raises(fdl.OperatingSystemError) as raised:
            fdl.start_timeline(path)
        assert str(raised.value) == f"timeline {path}: {why}"
    fdl.allreduce(np.ones(4), name="goes on")


def program(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import numpy as np, farandole as fdl\n" + code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )


def test_a_setting_that_cannot_be_obeyed_is_a_warning(tmp_path: Path) -> None:
    said = program(
        "fdl.init(); print(fdl.allreduce(np.ones(1), name='x'))",
        FARANDOLE_TIMELINE=str(tmp_path / "no/such"),
    )
    assert said.stdout == "[1.]\n"
    assert f"timeline {tmp_path}/no/such: open: No such file" in said.stderr
    assert "the job goes on without it" in said.stderr


def test_horovods_variables(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    code = "fdl.init(); fdl.allreduce(np.ones(1), name='x'); fdl.shutdown()"
    program(code, HOROVOD_TIMELINE=str(path), HOROVOD_TIMELINE_MARK_CYCLES="1")
    assert "CYCLE_START" in {mark["name"] for mark in read(path).marks}
    path.unlink()
    dynamic = f"fdl.init(); fdl.start_timeline({str(path)!r}); fdl.allreduce(np.ones(1), name='y')"
    said = program(dynamic, HOROVOD_TIMELINE="DYNAMIC")
    assert said.stderr == ""
    assert set(read(path).spans) == {(0, "y")}
    assert not Path("DYNAMIC").exists()


def test_a_full_file_is_a_warning_and_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    said = program(
        "import resource, sys\n"
        f"fdl.init(settings={{'timeline': {str(path)!r}}})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40000, resource.RLIM_INFINITY))\n"
        "for turn in range(3000):\n"
        "    result = fdl.allreduce(np.ones(1), name=f'x{turn}')\n"
        "fdl.shutdown()\n"
        "print(result)\n"
    )
    assert said.stdout == "[1.]\n"
    assert said.stderr.count("\n") == 1, said.stderr
    assert f"timeline {path}: write: File too large (errno 27)" in said.stderr
    assert "it ends here, and the job goes on without it" in said.stderr
    assert json.loads(path.read_text())
    assert path.stat().st_size <= 40000
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_forked_child_records_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    fdl.init(settings={"timeline": path})
    child = os.fork()
    if child == 0:
        code = 1
        try:
            fdl.start_timeline(tmp_path / "child.json")
        except fdl.AbortedError:
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    fdl.allreduce(np.ones(4), name="parent")
    fdl.shutdown()
    assert set(read(path).spans) == {(0, "parent")}


def test_threads_that_submit_while_it_starts_and_stops(tmp_path: Path) -> None:
    fdl.init()
    done = threading.Event()
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            while not done.is_set():
                fdl.allreduce(np.ones(4), name=f"thread{number}")
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(20):
        path = tmp_path / f"{turn}.json"
        fdl.start_timeline(path, mark_cycles=True)
        fdl.allreduce(np.ones(4), name="main")
        fdl.stop_timeline()
        assert (0, "main") in read(path).spans
    done.set()
    for thread in threads:
        thread.join(30)
    assert not failures


ONE_RANK = Path(__file__).with_name("timeline_of_one_rank.json")
SMALL = """
import sys, farandole.timeline as t
try:
    t.merge([sys.argv[1]], sys.argv[2])
except OSError as error:
    print(error.errno, open(sys.argv[2]).read())
"""


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="only root can make namespaces"
)
def test_a_merge_on_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    large = tmp_path / "large.json"
    large.write_text(ONE_RANK.read_text().replace("of this machine", "x" * 200_000))
    script = (
        f"mount -t tmpfs -o size=128k tmpfs {there} && printf before > {there}/merged.json && "
        f'"$@" && ls {there}'
    )
    program = [sys.executable, "-c", SMALL, str(large), f"{there}/merged.json"]
    said = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", *program],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (said.stdout, said.stderr) == ("28 before\nmerged.json\n", "")


def test_a_merged_file_takes_the_place_of_another(tmp_path: Path) -> None:
    """With its permissions, and where a link leads; what is no file is written as it is."""
    merged, link = tmp_path / "merged.json", tmp_path / "link.json"
    merged.write_text("before")
    merged.chmod(0o640)
    link.symlink_to(merged)
    merge([ONE_RANK], link)
    assert json.loads(merged.read_text())[0]["name"] == "farandole_timeline"
    assert merged.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["link.json", "merged.json"]
    reading, writing = os.pipe()
    merge([ONE_RANK], f"/dev/fd/{writing}")
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert json.loads(pipe.read())[0]["args"]["aligned_by"] == "clock"


def test_a_merge_leaves_no_name_of_the_file_behind(tmp_path: Path) -> None:
    """Also where the file has the longest name that there is."""
    longest = os.pathconf(tmp_path, "PC_NAME_MAX")
    merged, other = tmp_path / ("m" * longest), tmp_path / "other.json"
    merge([ONE_RANK], merged)
    whole = merged.read_text()
    merged.write_text("before" + "x" * 2 * len(whole))
    other.hardlink_to(merged)
    merge([ONE_RANK], merged)
    assert merged.samefile(other)
    assert other.read_text() == whole
    assert sorted(os.listdir(tmp_path)) == [merged.name, "other.json"]


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="only root can make namespaces"
)
def test_a_merge_into_a_file_that_is_mounted(tmp_path: Path) -> None:
    """It cannot be replaced; in the second folder nothing can be made either."""
    merged = tmp_path / "merged.json"
    merged.write_text("before")
    mount = "mount -t tmpfs tmpfs {0} && touch {0}/at && mount --bind merged.json {0}/at && "
    script = (
        f"cd {tmp_path} && mkdir one two && {mount.format('one')}"
        f'"$1" -c "$2" {ONE_RANK} one/at && cp merged.json first.json && '
        f"printf before > merged.json && {mount.format('two')} mount -o remount,ro two && "
        f'"$1" -c "$2" {ONE_RANK} two/at && cmp merged.json first.json && ls one two'
    )
    said = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", sys.executable, SMALL],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (said.stdout, said.stderr) == ("one:\nat\n\ntwo:\nat\n", "")
    assert json.loads(merged.read_text())[0]["name"] == "farandole_timeline"


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM])
def test_a_merge_in_a_folder_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Whose files may be written; what is not there yet cannot be made."""
    opened = Path.open

    def refuse(path: Path, mode: str = "r", *more: Any, **options: Any) -> Any:
        if "x" in mode:
            raise OSError(code, os.strerror(code), str(path))
        return opened(path, mode, *more, **options)

    merged = tmp_path / "merged.json"
    merged.write_text("before")
    monkeypatch.setattr(Path, "open", refuse)
    merge([ONE_RANK], merged)
    assert json.loads(merged.read_text())[0]["name"] == "farandole_timeline"
    with pytest.raises(OSError, match="timeline"):
        merge([ONE_RANK], tmp_path / "absent.json")
    assert os.listdir(tmp_path) == ["merged.json"]


def test_a_merge_in_place_on_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    """A limit of the process on the size of files stands for the disk's."""
    merged, other = tmp_path / "merged.json", tmp_path / "other.json"
    merged.write_text("before")
    other.hardlink_to(merged)
    program = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    program += "resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))" + SMALL
    said = subprocess.run(
        [sys.executable, "-c", program, str(ONE_RANK), str(merged)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (said.stdout, said.stderr) == (f"{errno.EFBIG} before\n", "")
    assert other.read_text() == "before"
