"""A rank with workers like a data loader's: plain, in a session of its own, deaf to SIGTERM."""

import os
import signal
import sys


def worker(kind):
    if kind == "session":
        os.setsid()
    elif kind == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif kind == "orphan" and os.fork() != 0:
        os._exit(0)
    print("worker up", flush=True)
    while True:
        signal.pause()


for kind in ("plain", "session", "deaf", "orphan"):
    if os.fork() == 0:
        worker(kind)
if len(sys.argv) > 1 and sys.argv[1] == "leave":
    sys.exit(int(sys.argv[2]))
while True:
    signal.pause()
