"""What this build of Farandole can do and what it uses, under the names by which Horovod's users
ask. The answers are about Farandole: what it does not use is not built, whatever Horovod would say
on the same machine."""

from __future__ import annotations

from farandole import _session


def gloo_built() -> bool:
    """True: Gloo is part of every build."""
    return True


def gloo_enabled() -> bool:
    """True: ranks communicate through Gloo between hosts, and through shared memory inside one."""
    return True


def mpi_built() -> bool:
    """False: Farandole needs no MPI and uses none."""
    return False


def mpi_enabled() -> bool:
    """False, also under ``mpirun``: ranks find each other without MPI."""
    return False


def mpi_threads_supported() -> bool:
    """False, since there is no MPI; every function may be called from several threads all the same.
    Raises NotInitializedError without ``init()``."""
    _session.check_usable()
    return False


def nccl_built() -> int:
    """The version of NCCL that collectives use, as NCCL counts it: 0, since none does so far."""
    return 0


def cuda_built() -> bool:
    """False: memory of CUDA devices is not communicated so far."""
    return False


def rocm_built() -> bool:
    """False: memory of ROCm devices is not communicated."""
    return False


def ccl_built() -> bool:
    """False: oneCCL is not used."""
    return False


def ddl_built() -> bool:
    """False: IBM's DDL is not used."""
    return False
