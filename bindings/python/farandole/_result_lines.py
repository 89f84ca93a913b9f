"""How a rank of ``run()`` hands over what its function gave: as lines of its own standard output,
among those that the function prints.

Each is written at once and is short enough that the system keeps it whole, whatever else writes
there. It begins with a mark that only this call knows, behind whatever stands in an unfinished
line.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os

# Bytes of one write that a pipe never splits are 4096; base64 makes four of three.
_PIECE_BYTES = 2880
MARK = b"\x1e"
# Most of what a function gives, pickled: the caller keeps the results of all ranks in its memory.
MOST_BYTES = 64 << 20
# What stands around it, an error's text above all.
_BESIDE_BYTES = 4 << 20


def mark_of(token: str) -> bytes:
    return MARK + token.encode() + b" "


def send(fd: int, token: str, record: bytes) -> None:
    """Writes the whole record, however slowly it is read."""
    pieces = range(0, len(record), _PIECE_BYTES)
    end = f"end {hashlib.sha256(record).hexdigest()}".encode()
    bodies = (base64.b64encode(record[at : at + _PIECE_BYTES]) for at in pieces)
    for body in (*bodies, end):
        left = memoryview(mark_of(token) + body + b"\n")
        while left:
            left = left[os.write(fd, left) :]


class Record:
    """What came of one rank's record so far."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self.whole: bytes | None = None
        """The record, once it is here as it was sent."""

    def add(self, body: bytes) -> None:
        """What stands behind the mark in one line, without its end."""
        if body.startswith(b"end "):
            if hashlib.sha256(self._bytes).hexdigest().encode() == body[4:]:
                self.whole = bytes(self._bytes)
            return
        if len(self._bytes) > MOST_BYTES + _BESIDE_BYTES:
            return  # no rank of ours sends so much; the sum will be wrong
        try:
            self._bytes += base64.b64decode(body, validate=True)
        except binascii.Error:
            self._bytes.clear()  # somebody wrote in between: what is left matches no sum
