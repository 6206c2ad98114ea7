"""What leaves the router: effects in order, and control messages gathered into one RPC per peer."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gossipsub.router.effects import Effect, Lane, SendRpc
from gossipsub.wire.rpc import Control, Graft, IDontWant, IHave, IWant, Prune, Rpc

if TYPE_CHECKING:
    from gossipsub.router.tracing import Tracer

IDONTWANT_IDS = 10
"""Of more in one RPC go ignores the rest."""
_NOTHING_YET = Rpc()


@dataclass(slots=True)
class _Batch:
    """Control messages for one peer, gathered during one input."""

    mesh: dict[str, Graft | Prune] = field(default_factory=dict)
    ihave: list[IHave] = field(default_factory=list)
    iwant: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class _IDontWants:
    """What the same peers are told, in effects whose place is that of the first id."""

    peers: Collection[bytes]
    message_ids: list[bytes]
    effects: list[SendRpc] = field(default_factory=list)

    def fill_in(self) -> None:
        rpc = Rpc(control=Control(idontwant=(IDontWant(tuple(self.message_ids)),)))
        for effect in self.effects:
            effect.rpc = rpc


class Outbox:
    """Effects not yet drained, and the GRAFTs and PRUNEs that still have to reach a peer.

    `meshes` is read only, to leave out what is no longer true: a GRAFT to a peer that is not in
    the mesh (any more), a PRUNE to one that is.
    """

    def __init__(self, meshes: dict[str, dict[bytes, None]]) -> None:
        self._meshes = meshes
        self.effects: list[Effect] = []
        self.tracer: Tracer | None = None
        """Told of what happens; None while tracing is off."""
        self._batches: dict[bytes, _Batch] = {}
        self._gathered: list[_IDontWants] = []
        self._dropped: dict[bytes, dict[str, Graft | Prune]] = {}

    def drain(self) -> list[Effect]:
        drained, self.effects = self.effects, []
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            for group in gathered:
                group.fill_in()
        return drained

    def send(self, peer: bytes, rpc: Rpc, lane: Lane) -> None:
        """One RPC, preceded by what an earlier one could not carry (MESH-15)."""
        if peer in self._dropped:
            self._send_control(peer, _Batch())
        self.effects.append(SendRpc(peer, rpc, lane))

    def send_to_all(self, peers: Iterable[bytes], rpc: Rpc, lane: Lane) -> None:
        """The same RPC object to each."""
        effects = self.effects
        if self._dropped:
            for peer in peers:
                self.send(peer, rpc, lane)
        else:
            for peer in peers:
                effects.append(SendRpc(peer, rpc, lane))

    def idontwant(self, peers: Collection[bytes], message_id: bytes) -> None:
        """Tell each of them, with what it is told until the effects are drained."""
        if self._gathered:
            last = self._gathered[-1]
            if last.peers == peers and len(last.message_ids) < IDONTWANT_IDS:
                last.message_ids.append(message_id)
                return
        group = _IDontWants(peers, [message_id])
        for peer in peers:
            if peer in self._dropped:
                self._send_control(peer, _Batch())
            group.effects.append(SendRpc(peer, _NOTHING_YET, Lane.URGENT))
            self.effects.append(group.effects[-1])
        self._gathered.append(group)

    def graft(self, peer: bytes, topic: str) -> None:
        self._batch(peer).mesh[topic] = Graft(topic)

    def prune(self, peer: bytes, prune: Prune) -> None:
        self._batch(peer).mesh[prune.topic] = prune

    def ihave(self, peer: bytes, ihave: IHave) -> None:
        self._batch(peer).ihave.append(ihave)

    def iwant(self, peer: bytes, message_ids: list[bytes]) -> None:
        self._batch(peer).iwant.extend(message_ids)

    def flush(self) -> None:
        """Send what was gathered: one RPC per peer."""
        if self._batches:
            batches, self._batches = self._batches, {}
            gossip, told = Rpc(), list[IHave]()
            for peer, batch in batches.items():
                if batch.mesh or batch.iwant or peer in self._dropped:
                    self._send_control(peer, batch)
                elif batch.ihave:
                    # Peers in a row are often told the same: one object, counted and encoded once.
                    if batch.ihave != told:
                        told = batch.ihave
                        gossip = Rpc(control=Control(ihave=tuple(told)))
                    self.effects.append(SendRpc(peer, gossip, Lane.FORWARDED))

    def flush_with_dropped(self) -> None:
        """As `flush`, and to every peer what it is still owed."""
        for peer in self._dropped:
            self._batch(peer)
        self.flush()

    def retry(self, peer: bytes, control: Control) -> None:
        """Keep GRAFTs and PRUNEs that could not be queued. Gossip is never retried."""
        kept: list[Graft | Prune] = [*control.graft, *control.prune]
        if kept:
            self._dropped.setdefault(peer, {}).update((item.topic, item) for item in kept)

    def forget(self, peer: bytes) -> None:
        """The peer is gone, or knows nothing of us any more."""
        self._batches.pop(peer, None)
        self._dropped.pop(peer, None)

    def owed(self) -> int:
        """Number of peers that still miss a GRAFT or PRUNE."""
        return len(self._dropped)

    def _batch(self, peer: bytes) -> _Batch:
        batch = self._batches.get(peer)
        if batch is None:
            batch = self._batches[peer] = _Batch()
        return batch

    def _send_control(self, peer: bytes, batch: _Batch) -> None:
        mesh = self._dropped.pop(peer, {})
        mesh.update(batch.mesh)
        graft: list[Graft] = []
        prune: list[Prune] = []
        for topic, item in mesh.items():
            in_mesh = peer in self._meshes.get(topic, ())
            if isinstance(item, Graft):
                if in_mesh:
                    graft.append(item)
            elif not in_mesh:
                prune.append(item)
        if not (graft or prune or batch.ihave or batch.iwant):
            return
        control = Control(
            ihave=tuple(batch.ihave),
            iwant=(IWant(tuple(batch.iwant)),) if batch.iwant else (),
            graft=tuple(graft),
            prune=tuple(prune),
        )
        lane = Lane.CONTROL if graft or prune else Lane.FORWARDED
        self.effects.append(SendRpc(peer, Rpc(control=control), lane))
