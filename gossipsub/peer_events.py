"""Who comes and goes: peers of the host, and of its topics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Self

from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.inbox import Inbox


class PeerEventKind(Enum):
    PEER_CONNECTED = "peer_connected"
    PEER_DISCONNECTED = "peer_disconnected"
    TOPIC_PEER_JOIN = "topic_peer_join"
    TOPIC_PEER_LEAVE = "topic_peer_leave"


@dataclass(frozen=True, slots=True)
class PeerEvent:
    kind: PeerEventKind
    peer: PeerId
    topic: str | None = None


class PeerEvents(Inbox[PeerEvent]):
    """`async with host.peer_events() as events: async for event in events: …`

    A peer that leaves a topic while its join is still unread leaves no event at all, and the
    same the other way round: a peer that comes and goes cannot fill the buffer.
    """

    def __init__(
        self,
        *,
        buffer: int,
        opened: Callable[[Self], None],
        closed: Callable[[Self], None],
    ) -> None:
        super().__init__(buffer=buffer, opened=opened, closed=closed)
        self._unread: dict[tuple[PeerId, str], PeerEvent] = {}

    def _receive(self, item: PeerEvent) -> None:
        if item.topic is None:
            super()._receive(item)
            return
        key = (item.peer, item.topic)
        opposite = self._unread.pop(key, None)
        if opposite is not None:
            self._buffer.remove(opposite)
            self.delivered -= 1
            return
        if not self._is_full(item):
            self._unread[key] = item
        super()._receive(item)

    def take(self) -> PeerEvent:
        event = super().take()
        if event.topic is not None:
            del self._unread[event.peer, event.topic]
        return event


class PeerWatch:
    """All open readers of one host's peer events."""

    def __init__(self) -> None:
        self._readers: dict[PeerEvents, None] = {}

    def reader(self, buffer: int) -> PeerEvents:
        return PeerEvents(buffer=buffer, opened=self._opened, closed=self._closed)

    def tell(self, kind: PeerEventKind, peer: PeerId, topic: str | None = None) -> None:
        if self._readers:
            event = PeerEvent(kind, peer, topic)
            for reader in self._readers:
                reader.push(event)

    def end(self) -> None:
        """The host stops."""
        for reader in self._readers:
            reader.end()

    def _opened(self, reader: PeerEvents) -> None:
        self._readers[reader] = None

    def _closed(self, reader: PeerEvents) -> None:
        self._readers.pop(reader, None)
