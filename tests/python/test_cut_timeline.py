"""Timelines of processes that were killed, maybe while they wrote."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import farandole as fdl
from farandole.timeline import merge

pytestmark = pytest.mark.timeout(60)


def test_a_killed_process_leaves_what_it_had_written(tmp_path: Path) -> None:
    path, mended = tmp_path / "trace.json", tmp_path / "mended.json"
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, signal, numpy as np, farandole as fdl\n"
            f"fdl.init(settings={{'timeline': {str(path)!r}}})\n"
            f"while os.path.getsize({str(path)!r}) < 1 << 20:\n"
            "    fdl.allreduce(np.ones(1), name='x')\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n",
        ],
        timeout=50,
        check=False,
    )
    assert killed.returncode == -9
    merge([path], mended)
    assert len(json.loads(mended.read_text())) > 1000


def test_what_was_cut_while_it_was_written_is_read_up_to_there(tmp_path: Path) -> None:
    path, mended = tmp_path / "trace.json", tmp_path / "mended.json"
    fdl.init(settings={"timeline": path})
    fdl.allreduce(np.ones(1), name="x")
    fdl.shutdown()
    whole = path.read_bytes()
    events = json.loads(whole)
    third_last = [at for at in range(len(whole)) if whole[at] == ord("\n")][-5]
    for size in range(third_last, len(whole)):
        path.write_bytes(whole[:size])
        merge([path], mended)
        ended = whole[:size].endswith(b"\n]")
        lines = len(events) if ended else whole[:size].count(b"\n") - 1  # each item has its own
        assert len(json.loads(mended.read_text())) == lines, size


@pytest.mark.parametrize("damage", [(b"}", b""), (b"\n]\n", b"\n]\n]\n")])
def test_what_was_not_cut_but_damaged_is_refused(
    tmp_path: Path, damage: tuple[bytes, bytes]
) -> None:
    path = tmp_path / "trace.json"
    fdl.init(settings={"timeline": path})
    fdl.shutdown()
    whole = path.read_bytes()
    path.write_bytes(whole.replace(damage[0], damage[1], 1))
    with pytest.raises(fdl.InvalidArgumentError, match=r"trace\.json is no timeline of Farandole"):
        merge([path], tmp_path / "merged.json")
