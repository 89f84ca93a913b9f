"""Ports that are chosen now and listened at later."""

from __future__ import annotations

import socket


def reserved_port(address: str = "127.0.0.1") -> socket.socket:
    """Holds a port of its own until it is closed, as the launcher does it: nobody else gets it, and
    whoever shares ports, as rank 0 does, may listen there. Raises OSError without such an address.
    """
    port = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        port.bind((address, 0))
    except OSError:
        port.close()
        raise
    return port
