"""A scripted peer that waits to be dialled.

async with listen() as listener:
    …                                   # make somebody dial `listener.address`
    async with listener.accept() as w:  # a ScriptedPeer, or `accept_wire()` for a bare Wire
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import anyio
from anyio.abc import SocketAttribute, SocketListener, SocketStream
from anyio.streams.stapled import MultiListener

from gossipsub.conformance.scripted_peer import ScriptedPeer, play
from gossipsub.conformance.scripted_wire import (
    PATIENCE,
    YAMUX,
    Wire,
    deadline,
    key_of_seed,
)
from gossipsub.crypto.keys import PrivateKey

LOOPBACK = "127.0.0.1"


class ScriptedListener:
    """Waits to be dialled; each connection is then the script's."""

    def __init__(self, listener: MultiListener[SocketStream], key: PrivateKey) -> None:
        self.key = key
        self._listener = cast(SocketListener, listener.listeners[0])
        port = self._listener.extra(SocketAttribute.local_port)
        self.address = f"/ip4/{LOOPBACK}/tcp/{port}/p2p/{key.peer_id()}"

    @asynccontextmanager
    async def accept_wire(self, *, timeout: float = PATIENCE) -> AsyncIterator[Wire]:
        """The next connection, nothing said yet."""
        with deadline(timeout, "connection"):
            socket = await self._listener.accept()
        wire = Wire(socket)
        try:
            yield wire
        finally:
            with anyio.CancelScope(shield=True):
                await wire.close()

    @asynccontextmanager
    async def accept(
        self, *, muxers: tuple[str, ...] = (YAMUX,), timeout: float = PATIENCE
    ) -> AsyncIterator[ScriptedPeer]:
        """The next connection, up to yamux."""
        async with self.accept_wire(timeout=timeout) as wire:
            await wire.upgrade(self.key, initiator=False, muxers=muxers)
            async with play(wire, self.key, client=False) as peer:
                yield peer


@asynccontextmanager
async def listen(*, seed: int = 1000) -> AsyncIterator[ScriptedListener]:
    """Listen on a random port of the loopback interface."""
    async with await anyio.create_tcp_listener(local_host=LOOPBACK) as listener:
        yield ScriptedListener(listener, key_of_seed(seed))
