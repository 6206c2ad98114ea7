"""What can be wrong with a recording."""

from __future__ import annotations

from gossipsub.wire.errors import GossipSubError


class RecordingUnreadable(GossipSubError):
    """Not a recording, damaged, cut short, or of another version; the message says where."""
