"""Faults in announcing subscriptions, and in taking note of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.router.announce import Announcements
from gossipsub.router.effects import Lane, TopicPeer
from gossipsub.router.peers import Peer
from gossipsub.router.router import Router
from gossipsub.wire import rpc_codec
from gossipsub.wire.rpc import Control, Rpc, SubOpts


@fault
def the_hello_comes_in_pieces() -> None:
    def hello(self: Announcements, peer: bytes, control: Control | None = None) -> None:
        for topic in self._joined:
            self._outbox.send(peer, Rpc(subscriptions=(SubOpts(topic),)), Lane.URGENT)

    replace(Announcements, "hello", hello)


@fault
def the_hello_names_what_is_not_joined() -> None:
    def hello(self: Announcements, peer: bytes, control: Control | None = None) -> None:
        self._outbox.send(peer, Rpc(subscriptions=(SubOpts("", False),)), Lane.URGENT)

    replace(Announcements, "hello", hello)


@fault
def subscriptions_are_announced_in_the_topic_alone() -> None:
    original = Announcements.announce

    def announce(
        self: Announcements, peers: Mapping[bytes, Peer], topic: str, subscribe: bool
    ) -> None:
        inside = [id for id, peer in peers.items() if topic in peer.topics]
        original(self, inside, topic, subscribe)

    replace(Announcements, "announce", announce)


@fault
def announcements_are_lost_behind_messages() -> None:
    def announce(self: Announcements, peers: Iterable[bytes], topic: str, subscribe: bool) -> None:
        rpc = Rpc(subscriptions=(SubOpts(topic, subscribe),))
        self._outbox.send_to_all(peers, rpc, Lane.FORWARDED)

    replace(Announcements, "announce", announce)
    replace(Announcements, "dropped", lambda self, peer, subscriptions, now: None)


@fault
def grafts_overtake_subscriptions() -> None:
    def announce(self: Announcements, peers: Iterable[bytes], topic: str, subscribe: bool) -> None:
        rpc = Rpc(subscriptions=(SubOpts(topic, subscribe),))
        self._outbox.send_to_all(peers, rpc, Lane.OWN)

    replace(Announcements, "announce", announce)


@fault
def unsubscribing_is_not_heard() -> None:
    original = Router._handle_subscription

    def _handle_subscription(self: Router, peer: Peer, option: SubOpts, now: float) -> None:
        if option.subscribe:
            original(self, peer, option, now)

    replace(Router, "_handle_subscription", _handle_subscription)


@fault
def every_subscription_is_an_event() -> None:
    original = Router._handle_subscription

    def _handle_subscription(self: Router, peer: Peer, option: SubOpts, now: float) -> None:
        is_known = option.topic in peer.topics
        original(self, peer, option, now)
        if option.subscribe and is_known:
            self._outbox.effects.append(TopicPeer(option.topic, peer.id, True))

    replace(Router, "_handle_subscription", _handle_subscription)


@fault
def an_option_without_subscribe_subscribes() -> None:
    def read(entries: Any) -> tuple[SubOpts, ...]:
        return tuple(
            SubOpts(entry.topicid, entry.subscribe or not entry.HasField("subscribe"))
            for entry in entries
        )

    replace(rpc_codec, "_subscriptions_from", read)


@fault
def who_left_the_topic_stays_in_the_mesh() -> None:
    def _peer_left(self: Router, peer: Peer, topic: str) -> None:
        if self._peers.unsubscribe(peer, topic):
            self._outbox.effects.append(TopicPeer(topic, peer.id, False))

    replace(Router, "_peer_left", _peer_left)
