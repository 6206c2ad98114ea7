"""Faults of what comes of IHAVE and IWANT that a node is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace as changed
from typing import Any

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.pubsub import sender
from gossipsub.router.gossip import Gossip
from gossipsub.router.mcache import MessageCache
from gossipsub.router.messages import Messages
from gossipsub.router.peers import Peer
from gossipsub.router.wanted import WantedMessages
from gossipsub.wire.rpc import IHave, Message, Rpc


@fault
def nothing_is_asked_for() -> None:
    def handle_ihave(self: Gossip, peer: Peer, ihaves: Sequence[IHave], **context: Any) -> None:
        pass

    replace(Gossip, "handle_ihave", handle_ihave)


@fault
def what_is_known_is_asked_for() -> None:
    replace(Messages, "is_known", lambda self, message_id, now: False)


@fault
def bad_scores_take_part_in_gossip() -> None:
    gossip, wanted = Gossip.__init__, WantedMessages.__init__

    def gossip_with_all(self: Gossip, *arguments: Any, **options: Any) -> None:
        gossip(self, *arguments, **options | {"threshold": float("-inf")})

    def ask_all(self: WantedMessages, *arguments: Any, **options: Any) -> None:
        wanted(self, *arguments, **options | {"threshold": float("-inf")})

    replace(Gossip, "__init__", gossip_with_all)
    replace(WantedMessages, "__init__", ask_all)


@fault
def answers_leave_out_the_signature() -> None:
    original = MessageCache.take_for

    def take_for(self: MessageCache, message_id: bytes, peer: bytes, limit: int) -> Message | None:
        message = original(self, message_id, peer, limit)
        return message and changed(message, signature=None, encoding=None)

    replace(MessageCache, "take_for", take_for)


@fault
def messages_are_kept_for_ever() -> None:
    replace(MessageCache, "shift", lambda self: None)


@fault
def messages_are_kept_while_they_are_gossiped_about() -> None:
    original = MessageCache.take_for

    def take_for(self: MessageCache, message_id: bytes, peer: bytes, limit: int) -> Message | None:
        message = self.get(message_id)
        if message is None or message_id not in self.gossip_ids(message.topic):
            return None
        return original(self, message_id, peer, limit)

    replace(MessageCache, "take_for", take_for)


@fault
def every_iwant_is_answered() -> None:
    def take_for(self: MessageCache, message_id: bytes, peer: bytes, limit: int) -> Message | None:
        return self.get(message_id)

    replace(MessageCache, "take_for", take_for)


@fault
def answers_are_not_split() -> None:
    def whole(rpc: Rpc, max_bytes: int, limits: object) -> tuple[list[Rpc], list[Rpc]]:
        return [rpc], []

    replace(sender, "split_rpc", whole)
    original = sender.RpcSender.__init__

    def without_limit(self: sender.RpcSender, *arguments: Any) -> None:
        original(self, *arguments)
        self._max_bytes = 1 << 20

    replace(sender.RpcSender, "__init__", without_limit)


@fault
def only_the_first_is_asked() -> None:
    original = WantedMessages.offered
    ever: set[bytes] = set()

    def offered(self: WantedMessages, peer: Peer, topics: Mapping[bytes, str], now: float) -> None:
        original(self, peer, {i: topics[i] for i in topics if i not in ever}, now)
        ever.update(topics)

    replace(WantedMessages, "offered", offered)


@fault
def budgets_are_never_renewed() -> None:
    replace(Gossip, "reset_budgets", lambda self: None)
