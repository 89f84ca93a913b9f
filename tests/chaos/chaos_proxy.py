"""A proxy for TCP streams that delays, jitters, stalls, cuts, corrupts or half-closes them.

    chaos_proxy.py --listen ADDRESS:PORT (--to ADDRESS:PORT | --redirected) [--control-port PORT]

Writes `listening PORT`, then obeys one order per line of standard input and answers `done WHEN`
with the nanosecond of CLOCK_MONOTONIC at which the fault first touched a stream. Ends with its
input. Orders name the streams they mean: `all`, or `control`, `heartbeat` or `data`.

    delay STREAMS SECONDS JITTER   everything takes that much longer from now on
    stall STREAMS                  nothing is passed on any more, nothing is closed
    cut STREAMS                    half of the next piece, then the end of both sides
    corrupt STREAMS                one bit of the next piece is another, then all goes on
    corrupt-header STREAMS         the same in the next piece that begins with a header of Gloo's
    half-close STREAMS             the end towards the destination, while answers pass
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import socket
import struct
import sys
import time
from dataclasses import dataclass, field

SO_ORIGINAL_DST = 80
PIECE = 1 << 16
GLOO_MAGIC = b"Fdg1"  # of collectives/gloo/transport/frame.h
QUEUED = 256  # pieces that wait for their time, per direction


@dataclass
class Settings:
    control_port: int
    target: tuple[str, int] | None  # None: where the connection was going
    random: random.Random = field(default_factory=lambda: random.Random(1))


class Direction:
    """Passes on what one side sends to the other."""

    def __init__(self, source: socket.socket, to: socket.socket, settings: Settings) -> None:
        self.source, self.to, self.settings = source, to, settings
        self.delay = self.jitter = 0.0
        self.stalled = self.closed = False
        self.next: str = ""  # what is to be done to the next piece
        self.touched: asyncio.Future[int] | None = None
        self._queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUED)
        self._last_due = 0.0

    async def read(self) -> None:
        loop = asyncio.get_running_loop()
        data = b"x"
        while data:
            try:
                data = await loop.sock_recv(self.source, PIECE)
            except OSError:
                if not self.stalled:
                    raise
                return  # behind a silent partition nobody hears of it
            due = time.monotonic() + self.delay + self.jitter * self.settings.random.random()
            self._last_due = max(self._last_due, due)
            await self._queue.put((self._last_due, data))

    async def write(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await self._queue.get()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not data:
                if not self.stalled:
                    self.half_close()
                return
            if self.stalled or self.closed:
                continue
            cut = self.next == "cut"
            data = self._harmed(data)
            if not self.closed:
                await loop.sock_sendall(self.to, data)
            if cut:
                raise ConnectionAbortedError  # ends the stream, both ways

    def _harmed(self, data: bytes) -> bytes:
        if not self.next or (self.next == "corrupt-header" and not data.startswith(GLOO_MAGIC)):
            return data
        what, self.next = self.next, ""
        if self.touched is not None and not self.touched.done():
            self.touched.set_result(time.monotonic_ns())
        middle = 0 if what == "corrupt-header" else len(data) // 2
        if what == "cut":
            return data[:middle]
        flipped = data[middle] ^ (1 << self.settings.random.randrange(8))
        return data[:middle] + bytes([flipped]) + data[middle + 1 :]

    def half_close(self) -> None:
        self.closed = True
        with contextlib.suppress(OSError):  # the other side may have gone
            self.to.shutdown(socket.SHUT_WR)


class Stream:
    """A connection through the proxy."""

    def __init__(self, down: socket.socket, up: socket.socket, settings: Settings) -> None:
        self.kind = ""
        self.sockets = (down, up)
        self.towards = Direction(down, up, settings)  # the destination
        self.back = Direction(up, down, settings)
        self.directions = (self.towards, self.back)

    async def carry(self) -> None:
        parts = [
            asyncio.ensure_future(each()) for d in self.directions for each in (d.read, d.write)
        ]
        try:
            # Whatever fails first ends the stream; so does the end of both directions.
            await asyncio.wait(parts, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
            for end in self.sockets:
                end.close()


class Proxy:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.streams: list[Stream] = []
        self._controls: dict[tuple[str, str], int] = {}  # streams to the controller, by ends

    async def serve(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        tasks = set()
        while True:
            down, peer = await loop.sock_accept(listener)
            down.setblocking(False)
            task = asyncio.ensure_future(self._pass_on(down, peer[0]))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _pass_on(self, down: socket.socket, source: str) -> None:
        loop = asyncio.get_running_loop()
        target = self.settings.target or original_target(down)
        up = socket.socket()
        up.setblocking(False)
        try:
            await loop.sock_connect(up, target)
        except OSError:
            down.close()
            up.close()
            return
        for end in (down, up):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = Stream(down, up, self.settings)
        stream.kind = self._kind_of(source, target)
        self.streams.append(stream)
        with contextlib.suppress(OSError):  # how streams end
            await stream.carry()
        self.streams.remove(stream)

    def _kind_of(self, source: str, target: tuple[str, int]) -> str:
        if target[1] != self.settings.control_port:
            return "data"
        ends = (source, target[0])  # a rank first makes its control connection
        self._controls[ends] = self._controls.get(ends, 0) + 1
        return "control" if self._controls[ends] % 2 else "heartbeat"

    async def obey(self, words: list[str]) -> int:
        what, wanted = words[0], words[1]
        streams = [s for s in self.streams if wanted in ("all", s.kind)]
        if not streams:
            raise ValueError(f"there is no stream of kind {wanted}")
        when = time.monotonic_ns()
        if what in ("cut", "corrupt", "corrupt-header"):
            return await self._harm(what, streams)
        for stream in streams:
            if what == "half-close":
                stream.towards.half_close()
            for direction in stream.directions:
                if what == "delay":
                    direction.delay, direction.jitter = float(words[2]), float(words[3])
                elif what == "stall":
                    direction.stalled = True
        return when

    async def _harm(self, what: str, streams: list[Stream]) -> int:
        touched: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        for stream in streams:
            for direction in stream.directions:
                direction.next, direction.touched = what, touched
        return await touched


def original_target(redirected: socket.socket) -> tuple[str, int]:
    raw = redirected.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
    port, address = struct.unpack_from("!2xH4s", raw)
    return socket.inet_ntoa(address), port


def endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


async def main() -> None:
    parser = argparse.ArgumentParser(description="Proxy that harms TCP streams.")
    parser.add_argument("--listen", type=endpoint, required=True)
    parser.add_argument("--to", type=endpoint)
    parser.add_argument("--redirected", action="store_true")
    parser.add_argument("--control-port", type=int, required=True)
    arguments = parser.parse_args()
    if (arguments.to is None) != arguments.redirected:
        parser.error("either --to or --redirected")
    listener = socket.create_server(arguments.listen, backlog=256)
    listener.setblocking(False)
    proxy = Proxy(Settings(arguments.control_port, arguments.to))
    serving = asyncio.ensure_future(proxy.serve(listener))
    print(f"listening {listener.getsockname()[1]}", flush=True)
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        try:
            when = await proxy.obey(line.decode().split())
        except (ValueError, IndexError) as wrong:
            print(f"refused: {wrong}", flush=True)
            continue
        print(f"done {when}", flush=True)
    serving.cancel()


if __name__ == "__main__":
    asyncio.run(main())
