"""One topic whose messages have a schema of their own, such as HMMM's rooms about issues."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from gossipsub.chorus.agent_parts import AgentParts
from gossipsub.chorus.errors import MalformedEnvelope, RefusalReason
from gossipsub.chorus.handlers import call_contained
from gossipsub.chorus.statistics import Counters
from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.message import ReceivedMessage
from gossipsub.router.effects import Verdict

logger = logging.getLogger("gossipsub.chorus.raw_topic")

RawHandler = Callable[[bytes, PeerId], Awaitable[None] | None]
"""Takes the bytes of a message and the peer that signed it; otherwise as `Handler`."""


class RawTopic:
    """The content of a topic whose messages are taken as they are, up to the size of envelopes;
    larger ones are ignored and kept among the dead letters."""

    def __init__(self, name: str, agent: AgentParts) -> None:
        self.name = name
        self.handler: RawHandler | None = None
        self.counters = Counters()
        self._agent = agent

    def judge(self, message: ReceivedMessage) -> Verdict:
        """The topic's validator."""
        limit = self._agent.limits.max_bytes
        if len(message.data) <= limit:
            return Verdict.ACCEPT
        detail = f"{len(message.data)} bytes, the limit is {limit}"
        self._agent.refuse(message, MalformedEnvelope(RefusalReason.TOO_LARGE, detail))
        return Verdict.IGNORE

    def wants(self, message: ReceivedMessage) -> bool:
        """Whether it is to wait until it can be taken: not what this node has just sent."""
        if message.received_from != self._agent.me:
            return True
        self.counters.own += 1
        return False

    async def take(self, message: ReceivedMessage) -> None:
        """Hand it to the handler."""
        if message.sender is None or message.sender == self._agent.me:
            self.counters.own += 1
        elif self.handler is None:
            self.counters.unhandled += 1
            logger.debug("no handler topic=%s", self.name)
        elif await call_contained(self.handler, message.data, message.sender, what=self.name):
            self.counters.handled += 1
        else:
            self.counters.handler_errors += 1

    async def run(self) -> None:
        """There is nothing to do beside."""

    def end(self) -> None:
        """Nothing waits here."""
