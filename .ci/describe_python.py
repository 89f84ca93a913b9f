"""Prints which interpreter a virtual environment is to be made from, and whether it brings a torch.

Three lines: the interpreter (never that of the environment itself), its version, and the folders in
which a torch >= 2.0 lies, or nothing.
"""

import os
import sys


def torch_folders() -> str:
    try:
        from importlib.metadata import PackageNotFoundError, distribution
    except ImportError:
        return ""
    try:
        found = distribution("torch")
    except PackageNotFoundError:
        return ""
    if int(found.version.split(".")[0]) < 2:
        return ""
    folder = str(found.locate_file(""))
    own = os.path.realpath(sys.argv[1]) if len(sys.argv) > 1 else None
    return "" if own and os.path.realpath(folder).startswith(own + os.sep) else folder


def main() -> None:
    if sys.version_info < (3, 10):
        version = ".".join(map(str, sys.version_info[:3]))
        sys.exit(
            f"farandole: {sys.executable} is Python {version}; 3.10 or newer is wanted (PYTHON=)"
        )
    print(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
    print(sys.version.split()[0])
    print(torch_folders())


main()
