"""Parameters of the extensions (gossipsub v1.3, "Extensions Control Message")."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gossipsub.router.kinds import require_kinds

MIN_GROUP_HEARTBEATS = 3


class PartialMode(Enum):
    """What this node does with partial messages in a topic."""

    SUPPORT = "support"
    """Send parts to peers that request them, and take full messages."""
    REQUEST = "request"
    """Take parts in place of full messages, from peers that send parts; and send parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionParams:
    """Which extensions are on: announced to each peer that speaks v1.3, in the first RPC."""

    partial_messages: bool = False
    """Parts of messages in place of messages, in topics whose parameters say so."""
    test_extension: bool = False
    """Both sides send one empty message; shows that extensions are understood."""
    partial_group_heartbeats: int = 5
    """Heartbeats for which the router remembers a group of parts after it was published or, where
    a peer began it, first heard of."""

    def __post_init__(self) -> None:
        require_kinds(self)
        if self.partial_group_heartbeats < MIN_GROUP_HEARTBEATS:
            raise ValueError(
                f"partial_group_heartbeats must be at least {MIN_GROUP_HEARTBEATS}: "
                f"{self.partial_group_heartbeats}"
            )
