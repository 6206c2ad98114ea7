"""Peers whose connections are never closed to make room for others."""

from __future__ import annotations

BOOTSTRAP = "bootstrap"
"""The tag of bootstrap peers."""


class Protection:
    """Tags by peer; a peer is protected while it has one. They outlive its connections."""

    def __init__(self) -> None:
        self._tags: dict[bytes, dict[str, None]] = {}

    def __contains__(self, peer: bytes) -> bool:
        return peer in self._tags

    def protect(self, peer: bytes, tag: str) -> None:
        """Harmless when the peer has the tag."""
        self._tags.setdefault(peer, {})[tag] = None

    def unprotect(self, peer: bytes, tag: str) -> bool:
        """Take the tag away, if the peer has it. True where others still protect it."""
        tags = self._tags.get(peer, {})
        tags.pop(tag, None)
        if not tags:
            self._tags.pop(peer, None)
        return bool(tags)
