"""Peers the application wants nothing to do with, for ever or for a while."""

from __future__ import annotations

import math


class Blacklist:
    """Peers and the time until which each is listed; only the application fills it."""

    def __init__(self) -> None:
        self.until: dict[bytes, float] = {}
        """When each is over, maybe was; to be read only."""

    def add(self, peer: bytes, until: float | None) -> None:
        """List a peer until that time, None: for ever; it replaces what was said before."""
        self.until[peer] = math.inf if until is None else until

    def remove(self, peer: bytes) -> bool:
        """False where the peer was not listed."""
        return self.until.pop(peer, None) is not None

    def contains(self, peer: bytes | None, now: float) -> bool:
        until = self.until.get(peer) if peer is not None else None
        return until is not None and now < until

    def peers(self, now: float) -> list[bytes]:
        """Those listed now."""
        return [peer for peer, until in self.until.items() if now < until]

    def sweep(self, now: float) -> None:
        """Forget those whose time is over."""
        for peer in [peer for peer, until in self.until.items() if until <= now]:
            del self.until[peer]
