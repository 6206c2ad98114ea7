"""The streams of a network in memory: two ends, and what is under way between them."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from socket import AddressFamily
from typing import Any

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream, SocketAttribute

from gossipsub.transport.address import Address
from gossipsub.wake import Wake

BACKLOG = 128
"""Connections that wait to be accepted; more are refused."""

CLOCK_RESOLUTION = 1e-9
"""asyncio's timers may be early by so much."""

End = tuple[str, int]
"""IP address and port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """How two machines are connected; ValueError for what cannot be.

    `latency` is seconds one way, `jitter` what each piece may take longer, drawn from the
    network's seed (pieces of a connection never overtake each other), `bandwidth` bytes per
    second of each connection and direction, None: no limit.
    """

    latency: float = 0.001
    jitter: float = 0.0005
    bandwidth: float | None = None

    def __post_init__(self) -> None:
        if not (self.latency >= 0 and self.jitter >= 0):
            raise ValueError(f"latency and jitter are not negative: {self.latency}, {self.jitter}")
        if self.bandwidth is not None and not self.bandwidth > 0:
            raise ValueError(f"bandwidth is bytes per second, above 0: {self.bandwidth}")


class Pipe:
    """One direction: pieces with the time each arrives. A piece without bytes is the end.

    What is written at one instant is one piece, whether it was written at once or not: which of
    a host's tasks run first is up to the event loop, and must not show.
    """

    def __init__(self, rng: random.Random, buffer_bytes: int) -> None:
        self.readable = Wake()
        self.writable = Wake()
        self.pending_bytes = 0
        """Written and not yet read."""
        self._rng = rng
        self._buffer_bytes = buffer_bytes
        self._pieces: deque[tuple[float, bytes]] = deque()
        self._written_at = -1.0
        self._written_bytes = 0
        self._delay = 0.0
        self._free_at = 0.0
        self._departs = 0.0

    def has_room(self) -> bool:
        return self.pending_bytes < self._buffer_bytes

    def next_arrival(self) -> float | None:
        """When the piece ahead arrives, or has arrived; None while nothing is under way."""
        return self._pieces[0][0] if self._pieces else None

    def put(self, piece: bytes, path: Path) -> None:
        now = anyio.current_time()
        self.pending_bytes += len(piece)
        is_more = now == self._written_at and bool(self._pieces) and bool(piece)
        if now != self._written_at:
            self._written_at, self._written_bytes = now, 0
            self._delay = delay(path, self._rng)
            self._free_at = max(self._departs, now)
        self._written_bytes += len(piece)
        took = 0.0 if path.bandwidth is None else self._written_bytes / path.bandwidth
        self._departs = self._free_at + took
        if is_more:
            piece = self._pieces.pop()[1] + piece
        # One that would be earlier than the piece ahead of it waits behind that.
        self._pieces.append((self._departs + self._delay, piece))
        self.readable.set()

    def take(self, max_bytes: int, until: float) -> bytes:
        """Bytes that have arrived by then; none at the end."""
        taken = bytearray()
        while self._pieces and len(taken) < max_bytes and self._pieces[0][0] <= until:
            arrival, piece = self._pieces[0]
            if not piece:
                break  # the end stays, to be seen again
            room = max_bytes - len(taken)
            taken += piece[:room]
            if len(piece) > room:
                self._pieces[0] = (arrival, piece[room:])
            else:
                self._pieces.popleft()
        self.pending_bytes -= len(taken)
        self.writable.set()
        return bytes(taken)


def delay(path: Path, rng: random.Random) -> float:
    """What one piece takes."""
    return path.latency + path.jitter * rng.random()


class MemoryConnection:
    """Two streams, `client` and `server`, and what is between them."""

    def __init__(
        self,
        client: End,
        server: End,
        *,
        path: Callable[[], Path],
        is_open: Callable[[], bool],
        ended: Callable[[MemoryConnection], object],
        rng: random.Random,
        buffer_bytes: int,
    ) -> None:
        self.path = path
        self.is_open = is_open
        self.is_reset = False
        self._ended = ended
        there = Pipe(random.Random(rng.random()), buffer_bytes)
        back = Pipe(random.Random(rng.random()), buffer_bytes)
        self._rng = rng
        self._pipes = (there, back)
        self.client = MemoryStream(self, there, back, local=client, remote=server)
        self.server = MemoryStream(self, back, there, local=server, remote=client)

    def delay(self) -> float:
        """What one way takes now."""
        return delay(self.path(), self._rng)

    def reset(self) -> None:
        """End it for both, at once; what is under way is lost."""
        self.is_reset = True
        self._ended(self)
        self.wake()

    def end_closed(self) -> None:
        """One of the ends was closed."""
        if self.client.is_closed and self.server.is_closed:
            self._ended(self)
        self.wake()

    def wake(self) -> None:
        """Whoever waits looks again."""
        for pipe in self._pipes:
            pipe.readable.set()
            pipe.writable.set()


class MemoryStream(ByteStream):
    """One end of a connection; knows both addresses, as a socket does."""

    def __init__(
        self,
        connection: MemoryConnection,
        outgoing: Pipe,
        incoming: Pipe,
        *,
        local: End,
        remote: End,
    ) -> None:
        self.is_closed = False
        self._connection = connection
        self._outgoing = outgoing
        self._incoming = incoming
        self._local = local
        self._remote = remote
        self._has_ended = False
        self._reading = anyio.ResourceGuard("reading from")
        self._writing = anyio.ResourceGuard("writing to")

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        version = ip_address(self._local[0]).version
        return {
            SocketAttribute.family: lambda: (
                AddressFamily.AF_INET if version == 4 else AddressFamily.AF_INET6
            ),
            SocketAttribute.local_address: lambda: self._local,
            SocketAttribute.local_port: lambda: self._local[1],
            SocketAttribute.remote_address: lambda: self._remote,
            SocketAttribute.remote_port: lambda: self._remote[1],
        }

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """What has arrived. EndOfStream once the other side has ended, BrokenResourceError when
        the connection was reset, ClosedResourceError when this end was closed."""
        pipe = self._incoming
        with self._reading:
            await anyio.lowlevel.checkpoint()
            while True:
                self._check_usable()
                arrival = pipe.next_arrival()
                if arrival is None or not self._connection.is_open():
                    await pipe.readable.wait()
                    continue
                wait = arrival - anyio.current_time()
                if wait > CLOCK_RESOLUTION:
                    await anyio.sleep(wait)
                    continue
                received = pipe.take(max_bytes, arrival + max(-wait, 0.0))
                if not received:
                    raise anyio.EndOfStream
                return received

    async def send(self, item: bytes) -> None:
        """Hand over bytes; waits while too many wait to be read on the other side. Errors as in
        `receive`, and BrokenResourceError once the other end was closed."""
        pipe = self._outgoing
        with self._writing:
            await anyio.lowlevel.checkpoint()
            while True:
                self._check_usable()
                if self._has_ended:
                    raise anyio.ClosedResourceError
                if self._other_end().is_closed:
                    raise anyio.BrokenResourceError
                if pipe.has_room():
                    break
                await pipe.writable.wait()
            if item:
                pipe.put(bytes(item), self._connection.path())

    async def send_eof(self) -> None:
        """Send no more; what was sent arrives, then the end."""
        if not self._has_ended:
            self._has_ended = True
            self._outgoing.put(b"", self._connection.path())
        await anyio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """As a socket: what was sent still arrives, then the end."""
        if not self.is_closed:
            self.is_closed = True
            if not self._has_ended and not self._connection.is_reset:
                self._has_ended = True
                self._outgoing.put(b"", self._connection.path())
            self._connection.end_closed()
        await anyio.lowlevel.checkpoint()

    def _other_end(self) -> MemoryStream:
        connection = self._connection
        return connection.server if self is connection.client else connection.client

    def _check_usable(self) -> None:
        if self.is_closed:
            raise anyio.ClosedResourceError
        if self._connection.is_reset:
            raise anyio.BrokenResourceError


class MemoryListener:
    """A place where connections arrive."""

    def __init__(self, address: Address, closed: Callable[[Address], None]) -> None:
        self.address = address
        self._closed = closed
        self._arrived: deque[MemoryStream] = deque()
        self._wake = Wake()
        self._is_closed = False

    def offer(self, stream: MemoryStream) -> bool:
        """Whether there was room for one more to wait."""
        if len(self._arrived) >= BACKLOG:
            return False
        self._arrived.append(stream)
        self._wake.set()
        return True

    async def accept(self) -> ByteStream:
        """The next connection; `anyio.ClosedResourceError` once this is closed."""
        await anyio.lowlevel.checkpoint()
        while not self._is_closed and not self._arrived:
            await self._wake.wait()
        if self._is_closed:
            raise anyio.ClosedResourceError
        return self._arrived.popleft()

    async def aclose(self) -> None:
        """Take no more connections; those that nobody accepted end."""
        if not self._is_closed:
            self._is_closed = True
            self._closed(self.address)
            self._wake.set()
            while self._arrived:
                await self._arrived.popleft().aclose()
        await anyio.lowlevel.checkpoint()
