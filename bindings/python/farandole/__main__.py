"""Tells build systems where the C and C++ interfaces of the installed package lie.

cmake -DCMAKE_PREFIX_PATH="$(python -m farandole --cmake-dir)" ...
PKG_CONFIG_PATH="$(python -m farandole --pkgconfig-dir)" pkg-config --cflags --libs farandole
"""

from __future__ import annotations

import argparse
from pathlib import Path

from farandole import __version__

_PACKAGE = Path(__file__).resolve().parent
_FOLDERS = {
    "cmake-dir": _PACKAGE / "lib/cmake/farandole",
    "pkgconfig-dir": _PACKAGE / "lib/pkgconfig",
    "include-dir": _PACKAGE / "include",
    "lib-dir": _PACKAGE / "lib",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m farandole",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    which = parser.add_mutually_exclusive_group(required=True)
    for name in _FOLDERS:
        which.add_argument(f"--{name}", dest="which", action="store_const", const=name)
    print(_FOLDERS[parser.parse_args().which])


if __name__ == "__main__":
    main()
