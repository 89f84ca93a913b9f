"""What a job does, seen from outside: figures and the timeline."""

from __future__ import annotations

import os

from farandole._session import check_usable, current
from farandole.arguments import check_flag, check_path


def counters() -> dict[str, int]:
    """What this rank has done since ``init()``, as numbers that only grow.

    ========================  ====================================================================
    ``submitted``             operations taken, those in flight included
    ``agreed``                operations that every rank had submitted, and alike
    ``rejected``              operations that ranks had submitted unlike: MismatchError mostly
    ``settled_ok``            operations that succeeded
    ``settled_failed``        operations that ended with an error, the rejected ones included
    ``buckets``               collectives run, each for one operation or for several fused
    ``bytes``                 size of this rank's input to those that succeeded
    ``busy_nanoseconds``      time within collectives, waiting for other ranks included
    ========================  ====================================================================

    An operation that was waited for is counted. May be called from any thread and while operations
    run; also when the job has failed, but not after ``shutdown()``.
    """
    return current().counters()


def start_timeline(file_path: str | os.PathLike[str], mark_cycles: bool = False) -> None:
    """Records from now on what becomes of each operation, to a file that ui.perfetto.dev and
    chrome://tracing open.

    file_path: ``{rank}`` in it stands for the rank's number: then every rank that calls this writes
        a file of its own. A path without it is that of rank 0, and on other ranks nothing is
        recorded. What is there already is replaced.
    mark_cycles: whether each round of agreement is shown, too.

    Needs no other rank, and delays no operation: where the file is too slow, records are left out,
    which it says; where it is full, it ends with a warning. The settings ``timeline`` and
    ``timeline_mark_cycles`` do this from ``init()`` on.

    Raises NotInitializedError; InvalidArgumentError where one is recorded already;
    OperatingSystemError where the file cannot be written.
    """
    check_usable()
    path = check_path("file_path", file_path)
    current().start_timeline(path, check_flag("mark_cycles", mark_cycles))


def stop_timeline() -> None:
    """Ends the recording, with all that was recorded; ``shutdown()`` does so, too. Does nothing
    where none is made.

    Raises NotInitializedError.
    """
    check_usable()
    current().stop_timeline()
