"""A rank whose interpreter ends while an operation is in flight that the other never joins.

What handlers of atexit meet goes into its report, which is written last of all.
"""

from __future__ import annotations

import atexit
import contextlib
import sys
import threading
from typing import Any

import numpy as np
from common import report

met: dict[str, Any] = {"kind": "", "text": "", "gathered": []}


def last_of_all() -> None:
    """Registered before the package is imported, so it runs after the package's own handler."""
    try:
        fdl.allreduce(np.ones(1))
    except fdl.FarandoleError as error:
        met.update(kind=type(error).__name__, text=str(error))
    # Results outlive the session.
    report(rank, **met, gathered_sum=float(gathered.sum()), handle=repr(handle))


atexit.register(last_of_all)

import farandole as fdl  # noqa: E402

fdl.init()
rank = fdl.rank()
gathered = fdl.allgather(np.ones(3), name="both")
memory = np.ones(1 << 16)
handle = fdl.allreduce_async(memory, name=f"mine {rank}")


def wait() -> None:
    with contextlib.suppress(fdl.HorovodInternalError):
        handle.wait()


def first_of_all() -> None:
    """Registered after the package's: its session is still there."""
    met["alive"] = fdl.is_initialized()
    handle.done()


ending = sys.argv[1]
several = [fdl.allreduce_async(np.ones(8), name=f"{rank}/{i}") for i in range(100)]
fdl.barrier()  # nobody leaves before the other has come as far
if ending == "daemon":
    threading.Thread(target=wait, daemon=True).start()
elif ending == "handler":
    atexit.register(first_of_all)
elif ending == "dropped":
    del several, memory
elif ending == "exit":
    sys.exit(0)
