"""Which of a rank's sockets its children have, however they are made; the job goes on."""

from __future__ import annotations

import multiprocessing
import os
import pty
import subprocess
import sys
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext

import numpy as np
from common import report

import farandole as fdl

LIST = "import forked_sockets; print(*forked_sockets.sockets(), sep='\\n')"


def sockets() -> set[str]:
    """Those of this process, by inode."""
    found = set()
    for entry in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{entry}"))
        except OSError:  # that of the listing itself
            continue
    return {link for link in found if link.startswith("socket:")}


def tell(to: Connection) -> None:
    to.send(sockets())


def of_forked() -> set[str]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, "\n".join(sockets()).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        found = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    return set(found.split())


def of_forked_at_a_terminal() -> set[str]:
    reading, writing = os.pipe()
    child, terminal = pty.fork()
    if child == 0:
        os.write(writing, "\n".join(sockets()).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        found = pipe.read()
    os.close(terminal)
    os.waitpid(child, 0)
    return set(found.split())


def of_executed(forked: bool) -> set[str]:
    """`forked`: by fork and exec, as Python does where it has something to call between them; else
    by vfork."""
    listed = subprocess.run(
        [sys.executable, "-c", LIST],
        cwd=os.path.dirname(os.path.abspath(__file__)),
        capture_output=True,
        text=True,
        check=True,
        close_fds=False,
        preexec_fn=(lambda: None) if forked else None,
    )
    return set(listed.stdout.split())


def of_process(context: SpawnContext | ForkServerContext) -> set[str]:
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=tell, args=(there,))
    process.start()
    found: set[str] = here.recv()
    process.join()
    assert process.exitcode == 0
    return found


def main() -> None:
    before = sockets()
    fdl.init()
    rank, size = fdl.rank(), fdl.size()
    assert fdl.allreduce(np.ones(1), op=fdl.Sum)[0] == size
    own = sockets() - before
    children = {
        "fork": of_forked(),
        "forkpty": of_forked_at_a_terminal(),
        "exec": of_executed(forked=False),
        "fork, exec": of_executed(forked=True),
        "spawn": of_process(multiprocessing.get_context("spawn")),
        "forkserver": of_process(multiprocessing.get_context("forkserver")),
    }
    assert fdl.allreduce(np.ones(1), op=fdl.Sum)[0] == size
    shared = {kind: len(found & own) for kind, found in children.items()}
    report(rank, own=len(own), shared=shared)


if __name__ == "__main__":
    main()
