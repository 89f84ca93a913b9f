"""Scripts that say ``import horovod.torch as hvd``, run as they are without Horovod.

    python -m farandole.horovod train.py --epochs 3

``serve()`` lets Farandole answer for the modules named ``horovod`` in this process.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

# The version of Horovod whose names are served.
VERSION = "0.28.1"

# On sys.path, for processes that multiprocessing starts with it: there lies a module "horovod" that
# does no more than call serve().
BOOTSTRAP = str(Path(__file__).resolve().parent / "bootstrap")

# Horovod's modules, and the ones whose names they have.
_SERVED = {
    "horovod": "farandole.horovod.top",
    "horovod.common": "farandole",
    "horovod.common.exceptions": "farandole.horovod.exceptions",
    "horovod.common.process_sets": "farandole",
    "horovod.common.util": "farandole.horovod.util",
    "horovod.data": "farandole.data",
    "horovod.data.data_loader_base": "farandole.data",
    "horovod.runner": "farandole.horovod.top",
    "horovod.torch": "farandole.torch",
    "horovod.torch.compression": "farandole.torch.compression",
    "horovod.torch.functions": "farandole.torch",
    "horovod.torch.mpi_ops": "farandole.torch.mpi_ops",
    "horovod.torch.optimizer": "farandole.torch.optimizer",
    "horovod.torch.sync_batch_norm": "farandole.torch",
}
_REFUSED = (
    "Farandole serves horovod.torch, horovod.data, horovod.common and horovod.runner; {} is not "
    "among what it has"
)
# What to do instead, for what lies there or below.
_INSTEAD = {
    "horovod.torch.elastic": "start a failed job anew from its checkpoint meanwhile",
    "horovod.runner": "start jobs with farandolerun, or with run() of horovod.runner",
}
# In the environment, which processes inherit: it has been said that another Horovod is set aside.
_SAID = "_FARANDOLE_SETS_HOROVOD_ASIDE"


class _Loader(importlib.abc.Loader):
    """Makes a module that has the names of another one."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        source = importlib.import_module(_SERVED[module.__name__])

        def missing(name: str) -> Any:
            """What the source does not list: looked up when asked for, and never a special name."""
            whole = f"{module.__name__}.{name}"
            if whole in _SERVED:
                return importlib.import_module(whole)
            if not name.startswith("__") and hasattr(source, name):
                return getattr(source, name)
            if whole in _INSTEAD:
                raise AttributeError(_refusal(whole), name=name)
            raise AttributeError(
                f"module {module.__name__!r} is served by {source.__name__}, which has no {name!r}"
            )

        names = source.__all__
        module.__doc__ = source.__doc__
        module.__dict__.update({name: getattr(source, name) for name in names})
        module.__dict__["__all__"] = list(names)
        module.__dict__["__getattr__"] = missing


class _Finder(importlib.abc.MetaPathFinder):
    """Answers for ``horovod`` and all below it, before whatever is installed."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] != "horovod":
            return None
        if fullname not in _SERVED:
            # Without the name, by which `from horovod.torch import elastic` would know it and say
            # only that there is no such name.
            raise ModuleNotFoundError(_refusal(fullname))
        if fullname == "horovod":
            _tell_of_the_other()
        below = any(name.startswith(f"{fullname}.") for name in (*_SERVED, "horovod.runner."))
        return importlib.machinery.ModuleSpec(
            fullname, _Loader(), origin=_SERVED[fullname], is_package=below
        )


def _refusal(name: str) -> str:
    text = _REFUSED.format(name)
    for place, instead in _INSTEAD.items():
        if f"{name}.".startswith(f"{place}."):
            text += f"; {instead}"
    return text


def _tell_of_the_other() -> None:
    """A Horovod that is installed is not the one that the script gets: rank 0 says so, once for
    itself and the processes that it starts."""
    if _SAID in os.environ:
        return
    places = [place for place in sys.path if place != BOOTSTRAP]
    real = importlib.machinery.PathFinder.find_spec("horovod", places)
    if real is not None and os.environ.get("FARANDOLE_RANK", "0") == "0":
        os.environ[_SAID] = "1"
        print(
            f"farandole: import horovod is served by Farandole, not by Horovod ({real.origin})",
            file=sys.stderr,
            flush=True,
        )


def serve() -> None:
    """From now on ``import horovod`` and what lies below it gets Farandole, in this process and in
    those that multiprocessing starts from it. May be called again.

    Raises RuntimeError where another Horovod is imported already.
    """
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    loaded = [name for name in sys.modules if name.partition(".")[0] == "horovod"]
    if any(not isinstance(sys.modules[name].__loader__, _Loader) for name in loaded):
        raise RuntimeError(
            "horovod is imported already; call farandole.horovod.serve() before, or start the "
            "script with python -m farandole.horovod"
        )
    _tell_of_the_other()  # now: of processes that are started later several may be the first
    sys.meta_path.insert(0, _Finder())
    if BOOTSTRAP not in sys.path:
        sys.path.insert(1 if sys.path else 0, BOOTSTRAP)
