"""Failpoints as the sources name them, and what can be ordered at each."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("core", "collectives", "controller", "bindings")
MACRO = re.compile(r'FARANDOLE_FAIL(POINT|_CALL|_SIZE|_CODE)\(\s*"([^"]+)"')

DEATHS = ("kill", "segv", "throw", "stop")
# A call that a signal interrupts, and a transfer of less than was asked for, are no failures.
HARMLESS = {"short", str(errno.EINTR)}

# Calls in functions of the launcher that throw nothing, as the compiler sees to: there is no
# exception that could come from there.
UNTHROWN = {"fd.point_at_null", "fd.write_all", "output_queue.takes_more", "poll_wait.poll_until"}

_INTERRUPTED = re.compile(
    "read|write|pwrite|send|recv|sendmsg|recvmsg|pread|poll|ppoll|epoll_wait|wait4|futex|fallocate|accept4"
)
_ERRORS = {
    "read pread": [errno.EIO],
    "write pwrite fallocate ftruncate": [errno.ENOSPC],
    "send sendmsg recv recvmsg": [errno.ECONNRESET, errno.ENOMEM],
    "async_read_some async_wait": [errno.ECONNRESET, errno.ENOMEM],
    "socket accept4 open openat memfd_create eventfd epoll_create1 pipe2 socketpair signalfd "
    "dup2 syscall opendir getaddrinfo": [errno.EMFILE, errno.ENOMEM],
    "pthread_create": [errno.EAGAIN],
    "pthread_atfork": [errno.ENOMEM],
    "close_range": [errno.ENOSYS],
    "ioctl madvise": [errno.EINVAL],
    "mmap fork getifaddrs poll epoll_ctl epoll_wait execvpe": [errno.ENOMEM],
    "ppoll": [errno.ENOMEM],
    "connect": [errno.ECONNREFUSED, errno.ETIMEDOUT],
    "bind listen": [errno.EADDRINUSE],
    "fcntl setsockopt getsockopt getsockname getrandom stat fstat setpgid prctl fchmod "
    "sigprocmask getrlimit setrlimit sched_setaffinity pthread_setaffinity_np chdir": [errno.EPERM],
    "wait4 futex": [],
}


@dataclass(frozen=True)
class Point:
    """A place in the sources."""

    name: str
    path: str
    kinds: frozenset[str]  # of the macros that bear its name

    def actions(self) -> list[str]:
        """Orders that make sense here, as FDL_FAILPOINT takes them."""
        if self.kinds == {"POINT"}:
            return list(DEATHS)
        call = self.name.rpartition(".")[2]
        numbers = [n for names, errors in _ERRORS.items() if call in names.split() for n in errors]
        if not any(call in names.split() for names in _ERRORS):
            raise ValueError(f"{self.path}: {self.name}: no errors are known of {call}")
        if _INTERRUPTED.fullmatch(call):
            numbers.append(errno.EINTR)
        short = ["short"] if "_SIZE" in self.kinds else []
        return ["kill", "stop", *short, *map(str, numbers)]

    def all_actions(self) -> list[str]:
        """And what else the full sweep orders: of what stands around a call, something throws."""
        actions = self.actions()
        thrown = "throw" in actions or self.name.rpartition(".")[0] in UNTHROWN
        return actions if thrown else [*actions, "throw"]

    def roles(self) -> list[str]:
        """Whose passages count: ranks, or the launcher's own processes."""
        if self.path.startswith("controller/launch/"):
            return ["job"]
        return ["0", "1", "job"] if self.path.startswith("core/base/") else ["0", "1"]


def points() -> Iterator[Point]:
    """Every failpoint of the sources, by name."""
    kinds: dict[str, set[str]] = {}
    paths: dict[str, str] = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.cc")):
            for kind, name in MACRO.findall(path.read_text()):
                kinds.setdefault(name, set()).add(kind)
                found = paths.setdefault(name, str(path.relative_to(ROOT)))
                assert found == str(path.relative_to(ROOT)), f"{name} stands in two files"
    for name in sorted(kinds):
        yield Point(name, paths[name], frozenset(kinds[name]))
