"""Faults with direct peers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.crypto.peer_id import PeerId
from gossipsub.router.admission.acceptance import Acceptance
from gossipsub.router.direct import DirectPeers
from gossipsub.router.idontwant import IDontWants
from gossipsub.router.mesh import Mesh
from gossipsub.router.outside import OutsideMesh
from gossipsub.router.peers import Peer, PeerTable
from gossipsub.transport.keeping import Keeping


@fault
def direct_peers_are_not_dialled() -> None:
    replace(DirectPeers, "_connect_missing", lambda self, now: None)


@fault
def direct_peers_are_dialled_once() -> None:
    async def keep(self: Keeping, peer: PeerId, kept: Any) -> None:
        await self._dial(peer)

    replace(Keeping, "_keep", keep)


@fault
def direct_peers_are_judged_by_score() -> None:
    def willing(
        self: OutsideMesh, topic: str, peers: Iterable[Peer], have_it: Collection[bytes]
    ) -> list[bytes]:
        good = [peer for peer in peers if self._score(peer.id) >= self._threshold]
        return [peer.id for peer in good if peer.id not in have_it]

    replace(OutsideMesh, "_willing", willing)


@fault
def direct_peers_are_graylisted() -> None:
    def is_heeded(self: Acceptance, peer: Peer) -> bool:
        return self._score(peer.id) >= self._graylist

    replace(Acceptance, "is_heeded", is_heeded)


@fault
def direct_peers_are_grafted() -> None:
    replace(Mesh, "_finds_fault", lambda self, peer, topic, now: False)


@fault
def direct_peers_are_like_others() -> None:
    original = PeerTable._relist

    def relist(self: PeerTable, peer: Peer) -> None:
        original(self, peer)
        peer.in_meshes = peer.features.mesh

    replace(PeerTable, "_relist", relist)


@fault
def who_refuses_once_refuses_all() -> None:
    def refusing(self: IDontWants, message_id: bytes) -> Mapping[bytes, None]:
        return {peer: None for refusals in self._refusals for peer in refusals.by_peer}

    replace(IDontWants, "refusing", refusing)
