"""A connected peer, for looking at."""

from __future__ import annotations

from dataclasses import dataclass

from gossipsub.crypto.peer_id import PeerId


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """A connected peer, for looking at."""

    peer: PeerId
    address: str | None
    outbound: bool
    agent_version: str | None
    protocols: tuple[str, ...]
    topics: tuple[str, ...]
    """What it is subscribed to, whether or not this host is."""
    pubsub_protocol: str | None
    """What our pubsub stream to the peer speaks; None while there is none."""
