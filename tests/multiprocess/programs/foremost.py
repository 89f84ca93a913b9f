"""Running before everybody else on the machine, for what is measured in milliseconds."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct

SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}  # no function of libc
SLICE = 100_000  # nanoseconds; the least there is


def go_foremost() -> None:
    """From now on this thread, and those that it starts, run before all others of the machine, as
    far as they may: by weight, which only root may give, and by slices so short that a kernel since
    6.12 lets nobody else finish his when one of them wakes up. Others still get their share: no
    real-time. They stay on one core, ranks in turn: where they may run anywhere, some of them wait
    for each other while somebody else has the other core, until the kernel balances them."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(os.environ["FARANDOLE_RANK"]) % len(cores)]})
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    if call := SCHED_SETATTR.get(os.uname().machine):
        # struct sched_attr: size, policy, flags, niceness, priority, slice, deadline, period
        niceness = os.getpriority(os.PRIO_PROCESS, 0)
        wanted = struct.pack("IIQiIQQQ", 48, os.SCHED_OTHER, 0, niceness, 0, SLICE, 0, 0)
        ctypes.CDLL(None).syscall(call, 0, wanted, 0)  # what older kernels make of it is no matter
