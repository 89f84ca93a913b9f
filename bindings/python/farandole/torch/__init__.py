"""Farandole for PyTorch, with the names of Horovod: ``import farandole.torch as hvd``."""

from farandole import (
    AbortedError,
    FarandoleError,
    Handle,
    InternalError,
    InvalidArgumentError,
    MismatchError,
    NotInitializedError,
    OperatingSystemError,
    PeerLostError,
    PendingError,
    ReduceOp,
    TimeoutError,
    UnsupportedError,
    __version__,
    allgather_object,
    average_metrics,
    broadcast_object,
    counters,
)
from farandole.torch import mpi_ops as mpi_ops
from farandole.torch.compression import Compression, Compressor
from farandole.torch.functions import broadcast_optimizer_state, broadcast_parameters
from farandole.torch.learning_rate import WarmupLR, scale_learning_rate
from farandole.torch.mpi_ops import *  # noqa: F403
from farandole.torch.optimizer import DistributedOptimizer
from farandole.torch.parallel import DistributedDataParallel
from farandole.torch.sampler import DistributedSampler
from farandole.torch.sync_batch_norm import SyncBatchNorm

# Besides what mpi_ops has.
__all__ = [
    "AbortedError",
    "Compression",
    "Compressor",
    "DistributedDataParallel",
    "DistributedOptimizer",
    "DistributedSampler",
    "FarandoleError",
    "Handle",
    "InternalError",
    "InvalidArgumentError",
    "MismatchError",
    "NotInitializedError",
    "OperatingSystemError",
    "PeerLostError",
    "PendingError",
    "ReduceOp",
    "SyncBatchNorm",
    "TimeoutError",
    "UnsupportedError",
    "WarmupLR",
    "__version__",
    "allgather_object",
    "average_metrics",
    "broadcast_object",
    "broadcast_optimizer_state",
    "broadcast_parameters",
    "counters",
    "scale_learning_rate",
]
__all__ += mpi_ops.__all__
