"""Who comes and goes: peers of the host, and of its topics."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gossipsub.crypto.peer_id import PeerId
from gossipsub.inbox import Inbox


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
    """`async with host.peer_events() as events: async for event in events: …`"""


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
