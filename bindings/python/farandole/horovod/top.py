"""What stands in ``horovod`` itself."""

from __future__ import annotations

from farandole.horovod import VERSION as __version__
from farandole.running import run

__all__ = ["__version__", "run"]
