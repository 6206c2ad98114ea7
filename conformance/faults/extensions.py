"""Faults with extensions."""

from __future__ import annotations

from typing import Any

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.pubsub import streams
from gossipsub.router.effects import Lane
from gossipsub.router.extension.extensions import PeerExtensions
from gossipsub.router.peers import Peer
from gossipsub.wire import rpc_codec
from gossipsub.wire.rpc import Extensions, Rpc


@fault
def extensions_come_later() -> None:
    replace(PeerExtensions, "announcement", lambda self, peer: None)

    def greeted(self: PeerExtensions, peer: Peer) -> None:
        self._outbox.send(peer.id, Rpc(control=self._control), Lane.CONTROL)

    replace(PeerExtensions, "greeted", greeted)


@fault
def extensions_are_announced_again() -> None:
    def greeted(self: PeerExtensions, peer: Peer) -> None:
        self._outbox.send(peer.id, Rpc(control=self._control), Lane.CONTROL)

    replace(PeerExtensions, "greeted", greeted)


@fault
def extensions_may_come_again() -> None:
    def receive(self: PeerExtensions, peer: Peer, announced: Extensions | None) -> None:
        if not peer.has_spoken:
            peer.has_spoken, peer.extensions = True, announced
            self._test(peer)

    replace(PeerExtensions, "receive", receive)


@fault
def extensions_may_come_late() -> None:
    def receive(self: PeerExtensions, peer: Peer, announced: Extensions | None) -> None:
        peer.has_spoken = True
        if announced is not None:
            peer.extensions = announced
            self._test(peer)

    replace(PeerExtensions, "receive", receive)


@fault
def unknown_extensions_spoil_known_ones() -> None:
    original = rpc_codec.decode_rpc

    def decode_rpc(frame: bytes, *limits: Any) -> Rpc:
        rpc = original(frame, *limits)
        if b"hello" in frame and rpc.control is not None:
            rpc.control.extensions = None
        return rpc

    replace(streams, "decode_rpc", decode_rpc)


@fault
def the_test_extension_needs_no_announcement() -> None:
    def test(self: PeerExtensions, peer: Peer) -> None:
        if peer.extensions is not None and peer.extensions.test_extension:
            self._outbox.send(peer.id, Rpc(test_extension=True), Lane.CONTROL)

    replace(PeerExtensions, "_test", test)


@fault
def extensions_are_known_of_a_peer() -> None:
    original = PeerExtensions.receive
    known: dict[bytes, None] = {}

    def receive(self: PeerExtensions, peer: Peer, announced: Extensions | None) -> None:
        if peer.id in known:
            peer.has_spoken = True
        known[peer.id] = None
        original(self, peer, announced)

    replace(PeerExtensions, "receive", receive)


@fault
def the_test_extension_is_not_carried_out() -> None:
    replace(PeerExtensions, "_test", lambda self, peer: None)


@fault
def extensions_are_for_all_versions() -> None:
    replace(PeerExtensions, "announcement", lambda self, peer: self._control)
