"""Faults towards peers that speak floodsub only, and of a node that does."""

from __future__ import annotations

from typing import Any

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.router import features
from gossipsub.router.features import FLOODSUB, GOSSIPSUB_V12
from gossipsub.router.outside import OutsideMesh
from gossipsub.router.peer_exchange import PeerExchange
from gossipsub.router.peers import Peer
from gossipsub.router.router import Router
from gossipsub.router.seen import SeenCache
from gossipsub.wire.rpc import PeerInfo, Rpc


@fault
def floodsub_peers_get_nothing() -> None:
    replace(OutsideMesh, "targets", lambda self, topic, have_it=(): [])


@fault
def floodsub_peers_are_grafted() -> None:
    known = features._FEATURES
    replace(features, "_FEATURES", known | {FLOODSUB: known[GOSSIPSUB_V12]})


@fault
def floodsub_knows_control() -> None:
    floodsub_peers_are_grafted()


@fault
def floodsub_peers_are_offered() -> None:
    def offer(self: PeerExchange, peer: Peer, topic: str) -> tuple[PeerInfo, ...]:
        return tuple(PeerInfo(other, None) for other in self._peers.in_topic(topic))

    replace(PeerExchange, "offer", offer)


@fault
def floodsub_sends_back() -> None:
    original = OutsideMesh.targets

    def targets(self: OutsideMesh, topic: str, have_it: Any = ()) -> list[bytes]:
        return original(self, topic)

    replace(OutsideMesh, "targets", targets)


@fault
def copies_are_forwarded_too() -> None:
    replace(SeenCache, "contains", lambda self, message_id, now: False)


@fault
def what_floodsub_peers_send_is_ignored() -> None:
    original = Router.receive_rpc

    def receive_rpc(self: Router, peer: bytes, rpc: Rpc, *, now: float) -> None:
        if self._peers.connected[peer].features.mesh:
            original(self, peer, rpc, now=now)

    replace(Router, "receive_rpc", receive_rpc)
