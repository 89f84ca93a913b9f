"""Says which signals reach it; ends after the one its first argument names, with its second."""

import os
import signal
import sys

last, code = sys.argv[1], int(sys.argv[2])


def heard(number, _frame):
    name = signal.Signals(number).name
    os.write(1, f"heard {name}\n".encode())
    if name == last:
        sys.exit(code)


for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGTSTP", "SIGCONT"):
    signal.signal(getattr(signal, name), heard)
os.write(1, b"ready\n")
while True:
    signal.pause()
