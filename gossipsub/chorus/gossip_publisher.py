"""HMMM's way into its rooms about issues."""

from __future__ import annotations

from gossipsub.chorus.pubsub import ChorusPubSub
from gossipsub.pubsub.message import PublishResult


class GossipPublisher:
    """Publishes to rooms, which it joins where that is needed."""

    def __init__(self, chorus: ChorusPubSub) -> None:
        self._chorus = chorus

    async def publish(self, topic: str, payload: bytes) -> PublishResult:
        """Join the room `topic`, if this agent is not in it, and publish `payload` as it is, but
        for what is redacted.

        A topic that is joined stays what it is: one of envelopes takes envelopes only. Errors as
        in `ChorusPubSub.join_raw_topic` and `ChorusPubSub.publish_raw`.
        """
        if not self._chorus.is_joined(topic):
            await self._chorus.join_raw_topic(topic)
        return await self._chorus.publish_raw(topic, payload)
