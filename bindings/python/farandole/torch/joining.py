"""Ranks that have nothing more to submit."""

from __future__ import annotations

import farandole
from farandole.arguments import shown
from farandole.errors import UnsupportedError
from farandole.process_sets import ProcessSet, global_process_set
from farandole.torch.eager import eager


@eager
def join(device: int = -1, process_set: ProcessSet = global_process_set) -> int:
    """``farandole.join``, with Horovod's first argument.

    device: -1, the CPU; there is no other so far.
    process_set: as there; so are what it does, returns and raises.
    """
    if device != -1:
        raise UnsupportedError(f"join(device={shown(device)}): only the CPU, -1, is supported")
    return farandole.join(process_set)
