"""Where this rank is among the hosts of the job."""

from __future__ import annotations

from farandole._session import topology


def local_rank() -> int:
    """This process's place among the ranks of its host."""
    return topology().local_rank


def local_size() -> int:
    """Number of ranks on this host."""
    return topology().local_size


def cross_rank() -> int:
    """Place of this host among the hosts that have this local rank."""
    return topology().cross_rank


def cross_size() -> int:
    """Number of hosts that have this local rank."""
    return topology().cross_size


def is_homogeneous() -> bool:
    """Whether every host has as many ranks."""
    return topology().homogeneous
