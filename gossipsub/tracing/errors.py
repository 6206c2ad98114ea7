"""What can be wrong with a trace that is read."""

from __future__ import annotations

from gossipsub.wire.errors import GossipSubError


class TraceUnreadable(GossipSubError):
    """Not a trace file, or damaged; the message says where."""
