"""Why there is no stream, or no longer one."""

from __future__ import annotations

from gossipsub.wire.errors import GossipSubError


class ProtocolNotSupported(GossipSubError):
    """The peer speaks none of the protocols, and said so."""


class StreamReset(GossipSubError):
    """A stream ended before its time: says who ended it. What was sent last may not have come."""
