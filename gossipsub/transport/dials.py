"""Dials under way: the same one is not begun twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio

from gossipsub.crypto.peer_id import PeerId
from gossipsub.transport.address import Address
from gossipsub.wire.errors import GossipSubError


@dataclass(eq=False, slots=True)
class _Dial:
    scope: anyio.CancelScope
    done: anyio.Event = field(default_factory=anyio.Event)
    peer: PeerId | None = None
    error: GossipSubError | None = None


class Dials:
    """Who dials an address that is being dialled waits for the outcome. Different addresses of
    one peer are dialled side by side, until one of the dials has come to it."""

    def __init__(self) -> None:
        self._under_way: dict[Address, _Dial] = {}

    async def share(self, address: Address, dial: Callable[[], Awaitable[PeerId]]) -> PeerId | None:
        """The outcome of `dial`, or of another one to the address that is under way, be it an
        error; None where `cancel_all` ended it."""
        while (other := self._under_way.get(address)) is not None:
            await other.done.wait()
            if other.peer is not None:
                return other.peer
            if other.error is not None:
                raise type(other.error)(str(other.error)) from other.error
            # Who began it was cancelled: one of those who waited takes over.
        with anyio.CancelScope() as scope:
            own = self._under_way[address] = _Dial(scope)
            try:
                own.peer = await dial()
            except GossipSubError as error:
                own.error = error
                raise
            finally:
                del self._under_way[address]
                own.done.set()
        return own.peer

    def reached(self, peer: PeerId, address: Address) -> None:
        """The dial of an address has come to a peer: others to it are ended, with success."""
        for other, dial in self._under_way.items():
            if other.peer == peer and other != address:
                dial.peer = peer
                dial.scope.cancel()

    def cancel_all(self) -> None:
        for dial in self._under_way.values():
            dial.scope.cancel()
