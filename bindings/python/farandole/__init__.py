"""Farandole: collective communication between the ranks of a job.

    import farandole as fdl

    fdl.init()
    total = fdl.allreduce(array, op=fdl.Sum)

Start the ranks with ``farandolerun -np 4 python program.py``; without it there is one.
For PyTorch: ``import farandole.torch``.
"""

from farandole._native import __version__
from farandole._session import (
    counters,
    cross_rank,
    cross_size,
    init,
    is_homogeneous,
    is_initialized,
    local_rank,
    local_size,
    rank,
    shutdown,
    size,
)
from farandole.capabilities import (
    ccl_built,
    cuda_built,
    ddl_built,
    gloo_built,
    gloo_enabled,
    mpi_built,
    mpi_enabled,
    mpi_threads_supported,
    nccl_built,
    rocm_built,
)
from farandole.compression import Compression
from farandole.errors import (
    AbortedError,
    FarandoleError,
    HorovodInternalError,
    InternalError,
    InvalidArgumentError,
    MismatchError,
    NotInitializedError,
    OperatingSystemError,
    PeerLostError,
    PendingError,
    TimeoutError,
    UnsupportedError,
)
from farandole.groups import (
    grouped_allreduce,
    grouped_allreduce_,
    grouped_allreduce_async,
    grouped_allreduce_async_,
)
from farandole.handles import Handle, poll, synchronize
from farandole.metrics import average_metrics
from farandole.objects import allgather_object, broadcast_object
from farandole.ops import (
    allgather,
    allgather_async,
    allreduce,
    allreduce_,
    allreduce_async,
    allreduce_async_,
    alltoall,
    alltoall_async,
    barrier,
    barrier_async,
    broadcast,
    broadcast_,
    broadcast_async,
    broadcast_async_,
    reducescatter,
    reducescatter_async,
)
from farandole.process_sets import ProcessSet, global_process_set
from farandole.reduce_ops import Adasum, Average, Max, Min, Product, ReduceOp, Sum

__all__ = [
    "AbortedError",
    "Adasum",
    "Average",
    "Compression",
    "FarandoleError",
    "Handle",
    "HorovodInternalError",
    "InternalError",
    "InvalidArgumentError",
    "Max",
    "Min",
    "MismatchError",
    "NotInitializedError",
    "OperatingSystemError",
    "PeerLostError",
    "PendingError",
    "ProcessSet",
    "Product",
    "ReduceOp",
    "Sum",
    "TimeoutError",
    "UnsupportedError",
    "__version__",
    "allgather",
    "allgather_async",
    "allgather_object",
    "allreduce",
    "allreduce_",
    "allreduce_async",
    "allreduce_async_",
    "alltoall",
    "alltoall_async",
    "average_metrics",
    "barrier",
    "barrier_async",
    "broadcast",
    "broadcast_",
    "broadcast_async",
    "broadcast_async_",
    "broadcast_object",
    "ccl_built",
    "counters",
    "cross_rank",
    "cross_size",
    "cuda_built",
    "ddl_built",
    "global_process_set",
    "gloo_built",
    "gloo_enabled",
    "grouped_allreduce",
    "grouped_allreduce_",
    "grouped_allreduce_async",
    "grouped_allreduce_async_",
    "init",
    "is_homogeneous",
    "is_initialized",
    "local_rank",
    "local_size",
    "mpi_built",
    "mpi_enabled",
    "mpi_threads_supported",
    "nccl_built",
    "poll",
    "rank",
    "reducescatter",
    "reducescatter_async",
    "rocm_built",
    "shutdown",
    "size",
    "synchronize",
]
