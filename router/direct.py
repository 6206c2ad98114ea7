"""Direct peers: agreed on with their operators, outside of the mesh (v1.1, "Explicit Peering
Agreements"). They get every message, are always listened to, and are kept connected."""

from __future__ import annotations

import math
from collections.abc import Iterable

from gossipsub.router.admission.blacklist import Blacklist
from gossipsub.router.effects import Connect
from gossipsub.router.outbox import Outbox
from gossipsub.router.params import GossipParams
from gossipsub.router.peers import PeerTable
from gossipsub.wire.errors import LocalProtocolError


class DirectPeers:
    """Who is direct, connected or not, and when to look whether they are connected."""

    def __init__(
        self,
        direct: Iterable[bytes],
        params: GossipParams,
        *,
        me: bytes,
        peers: PeerTable,
        blacklist: Blacklist,
        outbox: Outbox,
        now: float,
    ) -> None:
        self._me = me
        self._peers = peers
        self._blacklist = blacklist
        self._outbox = outbox
        self._check_ticks = params.direct_connect_ticks
        self.peers: dict[bytes, None] = {}
        for peer in direct:
            self.add(peer)
        self.deadline = now + params.direct_connect_delay if self.peers else math.inf
        """When those given at the start are to be dialled."""

    def add(self, peer: bytes) -> None:
        """LocalProtocolError for this node itself."""
        if peer == self._me:
            raise LocalProtocolError("a node is no direct peer of itself")
        self.peers[peer] = None

    def remove(self, peer: bytes) -> None:
        self.peers.pop(peer, None)

    def connect_due(self, now: float) -> None:
        """The first dial, a little after the start: others may be starting as well."""
        if now >= self.deadline:
            self.deadline = math.inf
            self._connect_missing(now)

    def check(self, ticks: int, now: float) -> None:
        """A heartbeat passed, the `ticks`th."""
        if ticks % self._check_ticks == 0:
            self._connect_missing(now)

    def _connect_missing(self, now: float) -> None:
        for peer in self.peers:
            if peer not in self._peers.connected and not self._blacklist.contains(peer, now):
                self._outbox.effects.append(Connect(peer))
