"""Faults of the gossip a node sends, and of what it does with copies of messages."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace as changed

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.router.fanout import Fanout
from gossipsub.router.gossip import Gossip
from gossipsub.router.mcache import MessageCache
from gossipsub.router.messages import Messages
from gossipsub.router.seen import SeenCache


@fault
def nothing_is_gossiped() -> None:
    replace(Gossip, "emit", lambda self, topic, exclude: None)


@fault
def gossip_goes_on_for_as_long_as_messages_are_kept() -> None:
    def gossip_ids(self: MessageCache, topic: str) -> list[bytes]:
        return [id for window in self._windows for id in window.topics.get(topic, ())]

    replace(MessageCache, "gossip_ids", gossip_ids)


@fault
def everybody_is_gossiped_to() -> None:
    _emit_with(d_lazy=1000)


@fault
def an_ihave_names_everything() -> None:
    _emit_with(max_ihave_length=1_000_000)


def _emit_with(**params: int) -> None:
    original = Gossip.emit

    def emit(self: Gossip, topic: str, exclude: Container[bytes]) -> None:
        self._params = changed(self._params, **params)
        original(self, topic, exclude)

    replace(Gossip, "emit", emit)


@fault
def the_mesh_is_gossiped_to() -> None:
    original = Gossip.emit
    replace(Gossip, "emit", lambda self, topic, exclude: original(self, topic, ()))


@fault
def the_fanout_is_not_gossiped_about() -> None:
    replace(Fanout, "topics", lambda self: {})


@fault
def duplicates_are_forwarded() -> None:
    replace(SeenCache, "contains", lambda self, message_id, now: False)


@fault
def nothing_is_forwarded() -> None:
    replace(Messages, "_forward", lambda self, pending: None)
