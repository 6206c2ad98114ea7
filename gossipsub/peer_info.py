"""A connected peer, for looking at."""

from __future__ import annotations

from dataclasses import dataclass

from gossipsub.crypto.peer_id import PeerId


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """A connected peer, for looking at."""

    peer: PeerId
    address: str | None
    """The other end of its first connection; None where the network has no addresses."""
    outbound: bool
    """That connection was dialled here."""
    agent_version: str | None
    protocols: tuple[str, ...]
    topics: tuple[str, ...]
    """What it is subscribed to, whether or not this host is."""
    pubsub_protocol: str | None
    """What our pubsub stream to the peer speaks; None while there is none."""
    connections: int
    addresses: tuple[str, ...]
    """The other ends of all its connections."""
    connected_for: float
    """Seconds since the first of them was opened."""
    round_trip: float | None
    """Seconds, by the latest ping on that connection: `Host.ping`, or a keep-alive after
    `keepalive_interval`. None before the first."""
