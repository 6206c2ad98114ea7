"""What carries bytes between hosts: TCP, or whatever stands in for it (a network in memory)."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from socket import AddressFamily, SocketKind
from typing import Protocol, cast

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketListener

from gossipsub.event_loop import asyncio_loop
from gossipsub.transport.address import Address
from gossipsub.transport.race import first_to_succeed
from gossipsub.transport.socket import READ_BYTES, AsyncioListener, connect

NEXT_ATTEMPT = 0.25
"""Seconds a name's next address is tried after (RFC 8305): the first may lead nowhere."""
MOST_ADDRESSES = 16
"""Addresses of one name that are tried."""


class NetworkListener(Protocol):
    """A place where connections arrive."""

    @property
    def address(self) -> Address:
        """Where it listens, with the port it was given."""

    async def accept(self) -> ByteStream:
        """The next connection. `anyio.ClosedResourceError` once it is closed; OSError or
        `anyio.BrokenResourceError` where the system has none to give now."""

    async def aclose(self) -> None:
        """Take no more connections; those that stand stay."""


class Network(Protocol):
    """How a host reaches others. Streams tell their two ends by the attributes
    `SocketAttribute.remote_address` and `local_address` where they have any."""

    async def connect(self, address: Address) -> ByteStream:
        """OSError when nobody is there, or ValueError for a name that cannot be one. Cancelled
        when it takes too long."""

    async def listen(self, address: Address) -> Sequence[NetworkListener]:
        """Open what listens on an address: for a name, maybe several. OSError where the system
        refuses, ValueError for a name that cannot be one."""


class TcpNetwork:
    """The network of this machine."""

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(READ_BYTES))

    async def connect(self, address: Address) -> ByteStream:
        if address.protocol.startswith("ip") and address.zone is None:  # nothing to look up
            return await self._connect(address.host, address.port)
        infos = await anyio.getaddrinfo(
            address.socket_host, address.port, family=address.family, type=SocketKind.SOCK_STREAM
        )
        ends = [(sockaddr[0], sockaddr[1]) for *_, sockaddr in infos]
        if address.zone is not None:  # which the system answers as a number apart
            ends = [(address.socket_host, address.port)]
        return await self._connect_to_any(ends)

    async def listen(self, address: Address) -> Sequence[NetworkListener]:
        # An IP address says its family, and told it twice, a machine that is offline refuses.
        family = AddressFamily.AF_UNSPEC if address.protocol.startswith("ip") else address.family
        multiple = await anyio.create_tcp_listener(
            local_host=address.socket_host, local_port=address.port, family=family
        )
        listeners = [cast(SocketListener, each) for each in multiple.listeners]
        if asyncio_loop() is None:
            return [TcpListener(address, each) for each in listeners]
        sockets = [each.extra(SocketAttribute.raw_socket) for each in listeners]
        return [AsyncioListener(address, each, self._buffer) for each in sockets]

    async def _connect_to_any(self, ends: Sequence[tuple[str, int]]) -> ByteStream:
        """The first connection that stands. OSError when none does."""
        if not ends:
            raise OSError(errno.EHOSTUNREACH, "no address")
        return await first_to_succeed(
            [partial(self._connect, host, port) for host, port in ends[:MOST_ADDRESSES]],
            pause=NEXT_ATTEMPT,
            failure=OSError,
            discard=anyio.aclose_forcefully,
        )

    async def _connect(self, host: str, port: int) -> ByteStream:
        if asyncio_loop() is None:
            return await anyio.connect_tcp(host, port)
        return await connect(host, port, self._buffer)


class TcpListener:
    """A listening TCP socket, of any event loop."""

    def __init__(self, address: Address, listener: SocketListener) -> None:
        port = int(listener.extra(SocketAttribute.local_port))
        self.address = replace(address, port=port, peer=None)
        self._listener = listener

    async def accept(self) -> ByteStream:
        return await self._listener.accept()

    async def aclose(self) -> None:
        await self._listener.aclose()
