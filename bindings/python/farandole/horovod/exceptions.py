"""What Horovod has in ``horovod.common.exceptions``."""

from __future__ import annotations

from farandole.errors import HorovodInternalError

__all__ = ["HorovodInternalError", "HostsUpdatedInterrupt"]


class HostsUpdatedInterrupt(RuntimeError):
    """What elastic training raises where hosts have come or gone. Nothing here does: it is for
    programs that name it in an ``except``."""

    def __init__(self, skip_sync: bool = False) -> None:
        super().__init__()
        self.skip_sync = skip_sync
