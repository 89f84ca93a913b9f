"""What scripts take from ``horovod.common.util``: answers about the build, and small helpers."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from farandole import capabilities

__all__ = [
    "ccl_built",
    "check_extension",
    "ddl_built",
    "extension_available",
    "gloo_built",
    "gpu_available",
    "is_iterable",
    "mpi_built",
    "nccl_built",
    "num_rank_is_power_2",
    "split_list",
]

Item = TypeVar("Item")


def extension_available(ext_base_name: str, verbose: bool = False) -> bool:
    """Whether there is something for that framework: for torch, where it is installed."""
    del verbose
    return ext_base_name == "torch" and importlib.util.find_spec("torch") is not None


def check_extension(ext_name: str, ext_env_var: str, pkg_path: str, *args: str) -> None:
    """Raises ImportError for a framework that is not served; torch needs no extension."""
    del ext_env_var, pkg_path
    if "torch" not in (ext_name.rpartition(".")[2], *args):
        raise ImportError(f"{ext_name} is not among what Farandole serves; horovod.torch is")


def gpu_available(ext_base_name: str, verbose: bool = False) -> bool:
    """False: collectives serve memory of the CPU."""
    del ext_base_name, verbose
    return False


def gloo_built(verbose: bool = False) -> bool:
    del verbose
    return capabilities.gloo_built()


def mpi_built(verbose: bool = False) -> bool:
    del verbose
    return capabilities.mpi_built()


def nccl_built(verbose: bool = False) -> int:
    del verbose
    return capabilities.nccl_built()


def ddl_built(verbose: bool = False) -> bool:
    del verbose
    return capabilities.ddl_built()


def ccl_built(verbose: bool = False) -> bool:
    del verbose
    return capabilities.ccl_built()


def num_rank_is_power_2(num_rank: int) -> bool:
    return num_rank > 0 and num_rank.bit_count() == 1


def split_list(l: Sequence[Item], n: int) -> list[Sequence[Item]]:  # noqa: E741
    """``n`` parts, one behind the other; the first ones have one item more where it does not
    divide."""
    each, more = divmod(len(l), n)
    ends = [each * (i + 1) + min(i + 1, more) for i in range(n)]
    return [l[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def is_iterable(x: Any) -> bool:
    return isinstance(x, Iterable) or hasattr(type(x), "__getitem__")
