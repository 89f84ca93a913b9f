"""farandole.run() in a real kernel of Jupyter: functions of cells, what they print, interrupts."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

# A kernel is spoken to through libzmq, whose threads no sanitizer sees.
pytestmark = [pytest.mark.timeout(150), pytest.mark.uninstrumented]
LIMIT = 100  # seconds of a cell

CALLS = """
import farandole
offset = 10

def train(factor):
    import numpy as np
    farandole.init()
    print("epoch 1")
    total = farandole.allreduce(np.full(2, factor * (farandole.rank() + 1)), op=farandole.Sum)
    return farandole.rank() + offset, total.tolist()

farandole.run(train, (2.0,), np=2)
"""
FAILS = """
def fail():
    raise KeyError("no such batch")

try:
    farandole.run(fail, np=2)
except farandole.RunError as error:
    print(type(error.__cause__).__name__, "in", error.tracebacks[error.rank].splitlines()[-1])
"""
WAITS = """
import farandole

def wait():
    import os, signal
    print("waiting as", os.getpid())
    signal.pause()

try:
    farandole.run(wait, np=1)
except KeyboardInterrupt:
    print("interrupted")
"""


class Interrupting(nbclient.NotebookClient):
    """Interrupts the kernel, as the button of a notebook does, once a rank says that it waits."""

    interrupt: asyncio.Future[Any] | None = None

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        if "waiting as" in msg["content"].get("text", ""):
            kernel: Any = self.km
            self.interrupt = asyncio.ensure_future(kernel.interrupt_kernel())
        return super().process_message(msg, cell, cell_index)


def outputs_of(folder: Path, *cells: str) -> list[list[dict[str, Any]]]:
    """What a new kernel answers to each cell."""
    v4: Any = nbformat.v4  # which has no types
    notebook = v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in cells])
    client = Interrupting(
        notebook,
        timeout=LIMIT,
        startup_timeout=LIMIT,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    # Ports would be chosen before the kernel takes them, and another program may be quicker.
    manager: Any = client.create_kernel_manager()
    manager.transport, manager.ip = "ipc", str(folder / "kernel")
    client.execute()
    return [cell["outputs"] for cell in notebook["cells"]]


def printed(outputs: list[dict[str, Any]]) -> str:
    return "".join(one["text"] for one in outputs if one.get("name") == "stdout")


def test_functions_of_cells_run_on_every_rank(tmp_path: Path) -> None:
    called, failed, again = outputs_of(tmp_path, CALLS, FAILS, "farandole.run(train, (1.0,), np=1)")
    (result,) = (one for one in called if one["output_type"] == "execute_result")
    assert result["data"]["text/plain"] == "[(10, [6.0, 6.0]), (11, [6.0, 6.0])]"
    assert sorted(printed(called).splitlines()) == ["[0] epoch 1", "[1] epoch 1"]
    assert printed(failed) == "KeyError in KeyError: 'no such batch'\n"
    assert again[-1]["data"]["text/plain"] == "[(10, [1.0, 1.0])]"


def test_an_interrupt_ends_the_ranks_and_not_the_kernel(tmp_path: Path) -> None:
    waited, again = outputs_of(tmp_path, WAITS, "farandole.run(max, (3, 4), np=1)")
    rank = re.fullmatch(r"\[0\] waiting as (\d+)\ninterrupted\n", printed(waited))
    assert rank, waited
    with pytest.raises(ProcessLookupError):
        os.kill(int(rank[1]), 0)
    assert again[-1]["data"]["text/plain"] == "[4]"
