"""farandole.run() in a real kernel of Jupyter: functions of cells, what they print, interrupts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

pytestmark = pytest.mark.timeout(150)
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


def outputs_of(folder: Path, *cells: str) -> list[list[dict[str, Any]]]:
    """What a new kernel answers to each cell."""
    v4: Any = nbformat.v4  # which has no types
    notebook = v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in cells])
    client = nbclient.NotebookClient(
        notebook,
        timeout=LIMIT,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    return [cell["outputs"] for cell in notebook["cells"]]


def test_functions_of_cells_run_on_every_rank(tmp_path: Path) -> None:
    called, failed, again = outputs_of(tmp_path, CALLS, FAILS, "farandole.run(train, (1.0,), np=1)")
    (result,) = (one for one in called if one["output_type"] == "execute_result")
    assert result["data"]["text/plain"] == "[(10, [6.0, 6.0]), (11, [6.0, 6.0])]"
    shown = "".join(one["text"] for one in called if one.get("name") == "stdout")
    assert sorted(shown.splitlines()) == ["[0] epoch 1", "[1] epoch 1"]
    shown = "".join(one["text"] for one in failed if one.get("name") == "stdout")
    assert shown == "KeyError in KeyError: 'no such batch'\n"
    assert again[-1]["data"]["text/plain"] == "[(10, [1.0, 1.0])]"
