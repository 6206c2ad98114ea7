"""What an honest network may send, checked RPC by RPC from the outside.

The watcher knows of the routers what crossed the wire, and their topics, meshes and scores.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

from gossipsub.router.features import Features, features_of
from gossipsub.router.params import GossipParams
from gossipsub.router.router import Router
from gossipsub.testing.nodes import Node
from gossipsub.testing.observer import Observer
from gossipsub.wire.rpc import Control, Message, Prune, Rpc

TICK = 0.001
"""A tick of the simulation, as networks have it by default."""


@dataclass(slots=True)
class _Side:
    """What one router learned from, and sent to, one peer since they were connected."""

    told: set[str] = field(default_factory=set)
    """Topics the peer announced, or grafted."""
    copies: set[bytes] = field(default_factory=set)
    """Messages the peer sent."""
    offered: set[bytes] = field(default_factory=set)
    refused: dict[bytes, float] = field(default_factory=dict)
    """By id: when the peer's IDONTWANT came."""
    asked: dict[bytes, int] = field(default_factory=lambda: defaultdict(int))
    """How often the peer asked, not answered yet."""
    sent: set[bytes] = field(default_factory=set)


class WireWatch(Observer):
    """An observer of a network whose nodes are all meant to be honest, and have `params`.

    Faults are collected in `wrong` and not raised, in the order in which they happened. Give it
    to a network, and `assert watch.wrong == []`.
    """

    def __init__(self, params: GossipParams) -> None:
        self.wrong: list[str] = []
        self.counts: dict[str, int] = defaultdict(int)
        """What was looked at, by kind: a check that never applied shows here."""
        self.expects_good_scores = True
        """Whether a score below 0 is a fault; links that lose much can cause some."""
        self.backoffs: dict[tuple[Router, str, bytes], float] = {}
        """By router, topic and peer: until when it must not graft."""
        self._params = params
        self._id_of = params.message_id
        # It lasts so many heartbeats, the first of which may be at once.
        heartbeats = params.lazy.idontwant_heartbeats - 1
        self._refusal_seconds = heartbeats * params.heartbeat_interval
        self._sides: dict[tuple[Router, bytes], _Side] = defaultdict(_Side)
        self._delivered: set[tuple[Router, bytes]] = set()

    def left(self, node: Node, topic: str) -> None:
        """To be told when a node leaves a topic: what it saw there it may see anew."""
        for (router, _), side in self._sides.items():
            if router is node.router:
                side.copies.clear()

    def disconnected(self, now: float, one: Node, other: Node) -> None:
        self._sides.pop((one.router, other.id), None)
        self._sides.pop((other.router, one.id), None)

    # Sending

    def sent(self, now: float, sender: Node, receiver: Node, rpc: Rpc) -> None:
        side = self._sides[sender.router, receiver.id]
        features = protocol_features(sender, receiver)
        faults: list[str] = []
        for message in rpc.publish:
            faults += self._message_faults(now, side, receiver, message)
        if rpc.control is not None:
            if not features.mesh:
                faults.append("control for a floodsub peer")
            faults += self._control_faults(sender, receiver, side, rpc.control, features)
            for graft in rpc.control.graft:
                expiry = self.backoffs.get((sender.router, graft.topic, receiver.id), 0.0)
                if now < expiry:
                    faults.append(f"GRAFT in a backoff until {expiry}")
            for prune in rpc.control.prune:
                self._back_off(now, sender, receiver, prune, self._shortest_backoff())
        self.wrong += [f"{now:.3f} {sender} to {receiver}: {fault}" for fault in faults]

    def _message_faults(
        self, now: float, side: _Side, receiver: Node, message: Message
    ) -> list[str]:
        self.counts["messages"] += 1
        message_id = self._id_of(message)
        faults = []
        if message.topic not in side.told:
            faults.append("a message of a topic that the peer did not ask for")
        if now < side.refused.get(message_id, -math.inf) + self._refusal_seconds - 2 * TICK:
            faults.append("a message that the peer refused")
        if side.asked[message_id]:  # whoever asks is answered, be it the author
            side.asked[message_id] -= 1
            self.counts["answers"] += 1
            side.sent.add(message_id)
            return faults
        if message.from_peer == receiver.id:
            faults.append("a message back to its author")
        if message_id in side.copies:
            faults.append("a message back to who sent it")
        if message_id in side.sent:
            faults.append("a message for the second time")
        side.sent.add(message_id)
        return faults

    def _control_faults(
        self, sender: Node, receiver: Node, side: _Side, control: Control, features: Features
    ) -> list[str]:
        faults = []
        joined = sender.router.topics()
        for graft in control.graft:
            self.counts["grafts"] += 1
            if graft.topic not in joined or graft.topic not in side.told:
                faults.append("GRAFT in a topic that one of both is not in")
        for prune in control.prune:
            self.counts["prunes"] += 1
            if (prune.backoff is None) is features.peer_exchange:
                faults.append(f"PRUNE with backoff {prune.backoff} for {features}")
        for ihave in control.ihave:
            self.counts["ihaves"] += 1
            if receiver.id in sender.router.mesh(ihave.topic):
                faults.append("IHAVE to a mesh peer")
            if ihave.topic not in side.told:
                faults.append("IHAVE of a topic that the peer is not in")
        for iwant in control.iwant:
            self.counts["iwants"] += 1
            if not side.offered.issuperset(iwant.message_ids):
                faults.append("IWANT for what the peer did not offer")
        if control.idontwant:
            self.counts["idontwants"] += 1
            if not features.idontwant:
                faults.append("IDONTWANT for a peer that does not know it")
        return faults

    # Arriving

    def arrived(self, now: float, sender: Node, receiver: Node, rpc: Rpc) -> None:
        side = self._sides[receiver.router, sender.id]
        for option in rpc.subscriptions:
            (side.told.add if option.subscribe else side.told.discard)(option.topic)
        joined = receiver.router.topics()
        side.copies.update(self._id_of(each) for each in rpc.publish if each.topic in joined)
        control = rpc.control
        if control is None:
            return
        for idontwant in control.idontwant:
            side.refused.update(dict.fromkeys(idontwant.message_ids, now))
        for ihave in control.ihave:
            side.offered.update(ihave.message_ids)
        for iwant in control.iwant:
            for message_id in iwant.message_ids:
                side.asked[message_id] += 1
        side.told.update(graft.topic for graft in control.graft)
        for prune in control.prune:
            # A late PRUNE of a topic that both have left is ignored: the router remembers
            # nothing about topics that only exist in what a peer says.
            if prune.topic in (*joined, *receiver.router.topics_of(sender.id)):
                default = self._params.backoff.prune_backoff
                self._back_off(now, receiver, sender, prune, default)

    def _shortest_backoff(self) -> float:
        """What a node that states none, to a v1.0 peer, keeps at least."""
        backoff = self._params.backoff
        return min(backoff.prune_backoff, backoff.unsubscribe_backoff)

    def _back_off(self, now: float, node: Node, other: Node, prune: Prune, default: float) -> None:
        key = (node.router, prune.topic, other.id)
        expiry = now + (prune.backoff or default)
        self.backoffs[key] = max(expiry, self.backoffs.get(key, 0.0))

    # Delivering, and heartbeats

    def delivered(self, now: float, node: Node, message: Message, message_id: bytes) -> None:
        self.counts["deliveries"] += 1
        if (node.router, message_id) in self._delivered:
            self.wrong.append(f"{now:.3f} {node}: delivered twice")
        if message.topic not in node.topics:
            self.wrong.append(f"{now:.3f} {node}: delivered without a subscription")
        self._delivered.add((node.router, message_id))

    def timer_handled(self, now: float, node: Node) -> None:
        since_first = now - node.started - node.params.heartbeat_initial_delay
        beats = since_first / self._params.heartbeat_interval
        if not -1e-9 < (beats - round(beats)) * self._params.heartbeat_interval < TICK - 1e-9:
            return  # another timer: heartbeats are served at the tick at or behind their time
        self.counts["heartbeats"] += 1
        router, mesh = node.router, self._params.mesh
        most = mesh.d_high + mesh.d_out
        if self._params.score is not None:
            most += mesh.opportunistic_graft_peers
        scores = {peer: router.score(peer) for peer in router.peers()}
        for topic in router.topics():
            members = router.mesh(topic)
            if len(members) > most:
                self.wrong.append(f"{now:.3f} {node}: {len(members)} mesh peers")
            for peer in members:
                if peer not in scores or scores[peer] < 0.0:
                    self.wrong.append(f"{now:.3f} {node}: a bad peer, or a lost one, in the mesh")
        if self.expects_good_scores and min(scores.values(), default=0) < 0:
            self.wrong.append(f"{now:.3f} {node}: an honest peer has a score below 0")


def protocol_features(sender: Node, receiver: Node) -> Features:
    """What may be sent from one to the other."""
    return features_of(next(each for each in sender.protocols if each in receiver.protocols))
