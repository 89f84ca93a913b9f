"""What stands in ``horovod`` itself."""

from __future__ import annotations

from typing import Any

import farandole
from farandole.horovod import VERSION as __version__

__all__ = ["__version__"]


def __getattr__(name: str) -> Any:
    """``horovod.run``: here as soon as Farandole has it."""
    if name == "run":
        return getattr(farandole, name)
    raise AttributeError(f"module 'horovod' has no attribute {name!r}")
