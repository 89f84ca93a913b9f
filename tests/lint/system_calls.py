"""Calls of the operating system in the sources, and whether a failpoint stands at each.

What a file calls is read off its object file, so that a call which nobody thought of is noticed;
where it stands in the text is found by name. A call is covered inside the arguments of a failpoint,
or by one that bears its name a few lines above (`FARANDOLE_FAIL_CALL("a.open", 0) != 0 ? ...`).
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from architecture import without_comments


def _words(text: str) -> set[str]:
    return set(text.split())


FOLDERS = ("core", "controller", "collectives", "bindings")

# Calls that can fail for want of something, or because of what others do: each has a failpoint.
WATCHED = _words(
    """
    accept4 bind chdir close_range connect dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_wait
    eventfd execvpe fallocate fchmod fcntl fork fstat ftruncate getaddrinfo getifaddrs getpeername
    getrandom getrlimit
    getsockname getsockopt ioctl listen madvise memfd_create mmap open openat opendir pipe pipe2
    poll ppoll prctl pread pthread_atfork pthread_create pthread_setaffinity_np pwrite read recv
    recvmsg sched_setaffinity send sendmsg
    setpgid setrlimit setsockopt signalfd sigprocmask socket socketpair stat
    syscall timerfd_create timerfd_settime wait4 write
    """
)

# Calls without one, wherever they stand: why it would show nothing.
HARMLESS = {
    "_exit getpid getppid getpgrp geteuid pthread_self sched_yield sysconf": "cannot fail",
    "close closedir munmap": "gives back what is owned; nothing can be done where it fails",
    "kill raise shutdown": "fails where its target is gone, which is what was wanted",
    "eventfd_read eventfd_write": "fails where the count is what it was to become",
    "access isatty tcgetpgrp gethostname if_indextoname": "asks; 'no' is an answer",
    "sched_getaffinity": "asks; without an answer there are as many cores as the machine has",
    "getnameinfo": "asked for numbers it asks nobody",
    "setenv": "fails for want of memory; then hwloc looks for plugins, and ends there, too",
    "readdir": "an error ends the list, as its end does",
    "pause": "waits for a signal and always fails",
    "pthread_setname_np": "a thread without a name works",
    "sigaction signal pthread_sigmask": "fails for numbers that are no signals",
}

# Of the language, the C library and our own interface: no calls of the system.
LIBRARY = re.compile(
    "_Z|__|_GLOBAL_|_Unwind_|_?Py|fdl_|CRYPTO_|OPENSSL_|SHA256|hwloc_"
    "|pthread_(cond|mutex|once|detach|join|attr)|std(err|out)|f(put|print|writ|flush|ileno)"
    "|(sn|s|vsn)printf|str|mem|free|is(al|sp)|to(low|upp)|sig(add|del|empty|fill|ismember|abbrev)"
    "|(gm|local)time|inet_|in6addr_|gai_|getenv|environ|explicit_bzero|aligned_alloc|dirfd"
)

# What Asio's headers bring into the objects that use it, beside what stands in our text.
ASIO = _words(
    """
    epoll_create epoll_create1 epoll_ctl epoll_wait eventfd fcntl getaddrinfo getpeername
    getsockname getsockopt ioctl pipe poll pthread_create read recv recvmsg send sendmsg setsockopt
    socket timerfd_create timerfd_settime write accept4 bind connect listen
    """
)
ASIO_FILES = {"core/net/connection.cc", "core/net/io_thread.cc", "core/net/listener.cc"}

# What an object refers to by a header or a library, and never calls itself.
REFERENCES = {
    ("*", "getaddrinfo"): "the usual value of LookupLimits::resolver",
    ("core/base/log.cc", "syscall"): "spdlog asks for the number of the thread",
}

# Single places without a failpoint: part of their line, and why.
EXCEPTIONS = {
    ("core/base/failpoint.cc", "open(order().token"): "is the failpoint itself",
    ("core/base/fork_closed.cc", "fstat(fd, &now)"): "in a forked child: 'no' is an answer",
    ("core/base/fork_closed.cc", "nothing = eventfd("): "in a forked child: then it closes instead",
    ("core/base/fork_closed.cc", "dup3("): "likewise",
    ("core/net/heartbeat.cc", "EPOLL_CTL_DEL"): "fails where it is out of the set already",
    ("core/net/connection.cc", "socket(context)"): "the constructor of a member",
    ("core/net/listener.cc", "socket(std::move(s))"): "the constructor of a member",
    ("controller/launch/agent.cc", "prctl(PR_SET"): "cannot fail since Linux 3.4",
    ("controller/launch/keeper.cc", "prctl(PR_SET"): "cannot fail since Linux 3.4",
    ("controller/launch/launcher.cc", "prctl(PR_SET"): "cannot fail since Linux 3.4",
    ("controller/launch/outpost.cc", "prctl(PR_SET"): "cannot fail since Linux 3.4",
    ("controller/launch/fd.cc", "fcntl(fd, F_GETFD)"): "asks; 'no' is an answer",
    ("controller/launch/fd.cc", 'opendir("/proc/self/fd")'): "only on kernels before 5.9",
    ("controller/launch/output.cc", "ioctl(fd, TIOCGWINSZ"): "asks; 'no' is an answer",
    ("controller/launch/output.cc", "fstat(STDOUT_FILENO"): "asks; 'no' is an answer",
    ("controller/launch/program.cc", "stat(path.c_str()"): "why it fails is what the user is told",
    ("controller/launch/signals.cc", "sigprocmask(SIG_SETMASK, &none"): "cannot fail so called",
    ("controller/launch/signals.cc", "sigprocmask(SIG_UNBLOCK"): "cannot fail so called",
    ("controller/launch/signals.cc", "sigprocmask(SIG_SETMASK, &before"): "cannot fail so called",
    ("controller/launch/spawn.cc", "setpgid(pid, pid)"): "the child does it, too, and says so",
}

_HARMLESS_NAMES = _words(" ".join(HARMLESS))
_POINT = re.compile(r'FARANDOLE_FAIL_\w+\(\s*"(?:[^"]*\.)?([^".]+)"')
_NEAR = 3  # lines
_THREAD = re.compile(r"\bstd::(jthread|async)\b|\bstd::thread\s*(\w+\s*)?[({]")
THREADS = "core/base/thread.cc"


def imported(objects: list[Path]) -> set[str]:
    """C functions that object files take from elsewhere."""
    table = subprocess.run(
        ["nm", "--undefined-only", *map(str, objects)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    return set(re.findall(r"^\s+U (\w+)", table, re.MULTILINE))


def unknown(names: set[str]) -> set[str]:
    """Those of which nobody has said whether they need a failpoint."""
    return {n for n in names if not LIBRARY.match(n)} - WATCHED - _HARMLESS_NAMES


def _ends(text: str, start: int) -> int:
    """Where the parenthesis closes that opens behind `start`."""
    depth = 0
    for at in range(text.index("(", start), len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return at
    return len(text)


def calls(text: str, names: set[str]) -> Iterator[tuple[int, str]]:
    """Places and names of the calls in `text`, which is without comments. A function of the same
    name that is declared, or that belongs to an object or a class, is none."""
    for match in re.finditer(r"(?<![\w.:])(?:::)?(\w+)\s*\(", text):
        before = text[: match.start()].rstrip()
        if match.group(1) not in names or before.endswith("->"):
            continue
        qualified = match.group().startswith("::")
        word = re.search(r"([\w>&*~]+)$", before)
        keyword = word and word.group() in ("return", "else", "do", "co_return", "co_await")
        if word and not qualified and not keyword and not before.endswith("&&"):
            continue  # a type stands before it
        yield match.start(1), match.group(1)


def bare_calls(name: str, source: str, names: set[str]) -> list[str]:
    """Calls of `names` in a source file that have no failpoint."""
    text = without_comments(source)
    points = [(m.start(), m.group(1)) for m in _POINT.finditer(source) if text[m.start()] == "F"]
    inside = [(start, _ends(text, start)) for start, _ in points]
    lines = source.splitlines()
    faults = []
    for at, call in calls(text, names & WATCHED):
        number = text.count("\n", 0, at) + 1
        near = any(
            call == point and 0 <= number - 1 - text.count("\n", 0, start) <= _NEAR
            for start, point in points
        )
        line = lines[number - 1]
        excepted = any(file == name and part in line for file, part in EXCEPTIONS)
        if not near and not excepted and not any(a < at < b for a, b in inside):
            faults.append(f"{name}:{number}: {call} has no failpoint: {line.strip()}")
    for number, line in enumerate(text.splitlines(), 1):
        if name != THREADS and _THREAD.search(line):
            faults.append(f"{name}:{number}: threads are started by {THREADS} alone")
    return faults


def hidden_calls(name: str, source: str, names: set[str]) -> list[str]:
    """Watched calls that the object makes although the text does not show them."""
    shown = {call for _, call in calls(without_comments(source), WATCHED)}
    shown |= set(_POINT.findall(source))
    brought = set(ASIO) if name in ASIO_FILES else set()
    brought |= {call for file, call in REFERENCES if file in ("*", name)}
    return [f"{name}: calls {call}, unseen" for call in sorted(names & WATCHED - shown - brought)]


def idle_exceptions(root: Path) -> list[str]:
    """Exceptions for what is not there any more."""
    return [
        f"{file}: {part}"
        for file, part in EXCEPTIONS
        if part not in (root / file).read_text().replace("\n", " ")
    ]
