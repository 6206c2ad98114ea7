"""What carries bytes between hosts: TCP, or whatever stands in for it (a network in memory)."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from socket import SocketKind
from typing import Protocol, cast

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketListener, SocketStream

from gossipsub.transport.address import Address

NEXT_ATTEMPT = 0.25
"""Seconds a name's next address is tried after (RFC 8305): the first may lead nowhere."""


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

    async def connect(self, address: Address) -> ByteStream:
        infos = await anyio.getaddrinfo(
            address.host, address.port, family=address.family, type=SocketKind.SOCK_STREAM
        )
        return await _connect_to_any([sockaddr[:2] for *_, sockaddr in infos])

    async def listen(self, address: Address) -> Sequence[NetworkListener]:
        multiple = await anyio.create_tcp_listener(
            local_host=address.host, local_port=address.port, family=address.family
        )
        return [TcpListener(address, cast(SocketListener, each)) for each in multiple.listeners]


class TcpListener:
    """A listening TCP socket."""

    def __init__(self, address: Address, listener: SocketListener) -> None:
        port = int(listener.extra(SocketAttribute.local_port))
        self.address = Address(address.protocol, address.host, port)
        self._listener = listener

    async def accept(self) -> ByteStream:
        return await self._listener.accept()

    async def aclose(self) -> None:
        await self._listener.aclose()


async def _connect_to_any(ends: Sequence[tuple[str, int]]) -> SocketStream:
    """The first connection that stands. OSError when none does."""
    found: list[SocketStream] = []
    failures: list[OSError] = []

    async def attempt(host: str, port: int, failed: anyio.Event) -> None:
        try:
            socket = await anyio.connect_tcp(host, port)
        except OSError as error:
            failures.append(error)
            failed.set()
            return
        if found:
            await anyio.aclose_forcefully(socket)
        found.append(socket)
        tasks.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as tasks:
            for host, port in ends:
                failed = anyio.Event()
                tasks.start_soon(attempt, host, port, failed)
                with anyio.move_on_after(NEXT_ATTEMPT):
                    await failed.wait()
    except BaseException:
        for socket in found:
            with anyio.CancelScope(shield=True):
                await anyio.aclose_forcefully(socket)
        raise
    if not found:
        raise failures[0] if failures else OSError(errno.EHOSTUNREACH, "no address")
    return found[0]
