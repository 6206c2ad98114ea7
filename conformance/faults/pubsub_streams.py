"""Faults of the two pubsub streams of a peer."""

from __future__ import annotations

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.peer import options
from gossipsub.pubsub.peer import PubsubPeer
from gossipsub.pubsub.sender import RpcSender
from gossipsub.pubsub.streams import PubsubInbound, PubsubOutbound
from gossipsub.router import features
from gossipsub.router.effects import SendRpc
from gossipsub.router.features import GOSSIPSUB_V10, GOSSIPSUB_V12, OFFERED
from gossipsub.router.peers import Peer, PeerTable
from gossipsub.router.router import Router
from gossipsub.transport.identify_service import IdentifyService
from gossipsub.wire.rpc import Rpc


@fault
def rpcs_come_on_the_peers_stream() -> None:
    original = PubsubPeer.receive_rpc

    def receive_rpc(self: PubsubPeer, rpc: Rpc, size: int) -> None:
        original(self, rpc, size)
        if self.inbound is not None:
            self.inbound._stream.write(b"\x00")

    replace(PubsubPeer, "receive_rpc", receive_rpc)


@fault
def who_was_dialled_gets_no_stream() -> None:
    original = PubsubPeer.speaks_pubsub

    def speaks_pubsub(self: PubsubPeer) -> None:
        if not self.is_outbound():
            original(self)

    replace(PubsubPeer, "speaks_pubsub", speaks_pubsub)


@fault
def an_earlier_stream_stays() -> None:
    replace(PubsubInbound, "reset", lambda self: None)


@fault
def a_stream_that_was_reset_is_not_opened_again() -> None:
    replace(PubsubPeer, "_try_again", lambda self: None)


@fault
def what_is_on_its_own_stream_is_ignored() -> None:
    replace(PubsubOutbound, "ended", lambda self: None)


@fault
def only_the_newest_protocol_is_offered() -> None:
    replace(options, "OFFERED", OFFERED[:1])


@fault
def the_oldest_protocol_is_offered_first() -> None:
    replace(options, "OFFERED", OFFERED[::-1])


@fault
def meshsub_1_0_gets_what_1_2_gets() -> None:
    known = features._FEATURES
    replace(features, "_FEATURES", known | {GOSSIPSUB_V10: known[GOSSIPSUB_V12]})


@fault
def pushes_are_not_heard() -> None:
    replace(IdentifyService, "_pushed", lambda self, connection, said: None)


@fault
def a_peer_that_left_is_remembered() -> None:
    def remove(self: PeerTable, peer: bytes) -> None:
        del self.connected[peer]

    def _peer_left(self: Router, peer: Peer, topic: str) -> None:
        self._mesh.peer_left(peer.id, topic)

    replace(PeerTable, "remove", remove)
    replace(Router, "_peer_left", _peer_left)


@fault
def a_deaf_peer_takes_the_others_messages() -> None:
    original = RpcSender.send

    def send(self: RpcSender, effect: SendRpc) -> None:
        if not any(peer.queue.rpcs > 8 for peer in self._pubsub.peers.values()):
            original(self, effect)

    replace(RpcSender, "send", send)


@fault
def announcements_outlive_their_stream() -> None:
    replace(Router, "inbound_stream_closed", lambda self, peer, now: None)


@fault
def a_reopened_stream_begins_without_hello() -> None:
    replace(Router, "outbound_stream_reopened", lambda self, peer, protocol, now: None)
