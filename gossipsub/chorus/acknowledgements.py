"""Acknowledgements as they travel, gathered so that many messages take one."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass

import anyio

from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.pubsub import ChorusPubSub
from gossipsub.chorus.recent_names import read_name
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import GossipSubError

logger = logging.getLogger("gossipsub.chorus.acknowledgements")

ACKNOWLEDGEMENT = "acknowledgement"
"""The type of its envelopes; none of the 31, and no harm to agents that do not know it."""
MAX_NAMES = 256
"""Deliveries that one acknowledgement names, and agents of which a message asks for one."""
MAX_WAITING = 4096
"""Acknowledgements that wait to be sent; further ones are not, and the message comes again."""


def read_delivery_ids(envelope: Envelope) -> list[str]:
    """What an acknowledgement names; the first 256."""
    names = (envelope.data or {}).get("delivery_ids")
    if not isinstance(names, list):
        return []
    return [name for each in names[:MAX_NAMES] if (name := read_name(each))]


def is_asked(envelope: Envelope, me: str) -> bool:
    """Whether agent `me` is to acknowledge it: it names that one, or nobody."""
    expected = (envelope.data or {}).get("acknowledge")
    return expected is None or (isinstance(expected, list) and me in expected[:MAX_NAMES])


@dataclass(frozen=True, slots=True)
class Acknowledgements:
    """Who acknowledged a message."""

    delivery_id: str
    acknowledged_by: tuple[PeerId, ...]
    """In the order it was heard of."""
    missing: tuple[PeerId, ...]
    """Those that were expected and did not; empty where only a number was expected."""
    is_complete: bool
    """All that were expected, or as many, have acknowledged it."""
    sent: int
    """How often the message was sent."""


class AcknowledgementQueue:
    """What is to be acknowledged, by topic; `run` sends it in batches."""

    def __init__(self, chorus: ChorusPubSub, *, delay: float) -> None:
        self.sent = 0
        """Messages that were sent."""
        self.left_out = 0
        """Deliveries that were not acknowledged, for there were too many."""
        self._chorus = chorus
        self._delay = delay
        self._by_topic: dict[str, dict[str, None]] = {}
        self._total = 0
        self._filled = anyio.Event()

    def add(self, topic: str, delivery_id: str) -> None:
        names = self._by_topic.setdefault(topic, {})
        if delivery_id in names:
            return
        if self._total >= MAX_WAITING:
            self.left_out += 1
            return
        names[delivery_id] = None
        self._total += 1
        self._filled.set()

    async def run(self) -> None:
        while True:
            await self._filled.wait()
            await anyio.sleep(self._delay)
            self._filled = anyio.Event()
            by_topic, self._by_topic, self._total = self._by_topic, {}, 0
            for topic, names in by_topic.items():
                ids = list(names)
                for start in range(0, len(ids), MAX_NAMES):
                    await self._send(topic, ids[start : start + MAX_NAMES])

    async def _send(self, topic: str, ids: Collection[str]) -> None:
        try:
            await self._chorus.publish_extension(topic, ACKNOWLEDGEMENT, {"delivery_ids": ids})
        except (GossipSubError, ValueError) as error:
            # Such as a topic that was left meanwhile.
            logger.debug("no acknowledgement was sent topic=%s error=%s", topic, error)
            return
        self.sent += 1
