"""How much each agent may say in each topic: messages and bytes a second, and by message type."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from gossipsub.chorus.access_rule import texts
from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.errors import MalformedEnvelope, RefusalReason
from gossipsub.chorus.name_patterns import NamePatterns
from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.message import ReceivedMessage
from gossipsub.router.effects import Verdict
from gossipsub.validators.token_buckets import TokenBuckets
from gossipsub.wire.errors import LocalProtocolError

CAPACITY = 4096
"""Buckets that one limit keeps: agents by topics. About 1 MB when full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """A reserve of `burst` messages that fills up again, and if asked for, one of bytes."""

    messages_per_second: float
    burst: int
    """Messages at once."""
    bytes_per_second: float | None = None
    burst_bytes: int | None = None
    """Bytes of envelopes at once; no larger one ever passes."""


class RateLimits:
    """Refuses (RATE_LIMIT) what an agent says beyond its rate, each agent in each topic for
    itself: `chorus.add_check(limits.check, live_only=True)`.

    An agent is who signed a message, whoever handed it over. Refused messages are IGNOREd: nobody
    is blamed, since other nodes may allow more, and who relays cannot know.

    `default` is for all messages; None leaves them unlimited. `topics` has limits for topics, the
    first whose name matches (a `*` stands for any text) instead of the default. `types` has
    limits for message types (exact names): such a message is counted by its type's limit in its
    topic alone, and takes nothing from the others.

    Each limit remembers `capacity` agents and topics. Beyond that those are forgotten that have
    used the least, so new identities drive out one another and no flooding agent.
    LocalProtocolError for numbers that cannot be meant. `clock` gives seconds that never go back.
    """

    def __init__(
        self,
        default: RateLimit | None = None,
        *,
        topics: Mapping[str, RateLimit] | None = None,
        types: Mapping[str, RateLimit] | None = None,
        capacity: int = CAPACITY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        def buckets(where: str, limit: RateLimit) -> TokenBuckets:
            if not isinstance(limit, RateLimit):
                raise LocalProtocolError(f"{where}: not a RateLimit: {limit!r}")
            try:
                return TokenBuckets(
                    limit.messages_per_second,
                    limit.burst,
                    bytes_per_second=limit.bytes_per_second,
                    burst_bytes=limit.burst_bytes,
                    capacity=capacity,
                    clock=clock,
                )
            except ValueError as error:
                raise LocalProtocolError(f"{where}: {error}") from error

        self._default = None if default is None else buckets("default", default)
        self._topics = [
            (NamePatterns([name]), buckets(f"topics[{name!r}]", limit))
            for name, limit in (topics or {}).items()
        ]
        self._types = {
            name: buckets(f"types[{name!r}]", limit) for name, limit in (types or {}).items()
        }

    def check(self, envelope: Envelope, message: ReceivedMessage) -> None:
        """For `chorus.add_check`: MalformedEnvelope (RATE_LIMIT) for what is too much."""
        buckets = self._types.get(envelope.type)
        if buckets is None:
            buckets = self._of_topic(message.topic)
        if buckets is None or message.sender is None:
            return
        if not _take(buckets, message.sender, message):
            limited = envelope.type if envelope.type in self._types else "messages"
            raise MalformedEnvelope(
                RefusalReason.RATE_LIMIT, f"more {limited} than this agent may send"
            )

    def raw_validator(self, topics: Iterable[str]) -> Callable[[ReceivedMessage], Verdict]:
        """For `host.add_default_validator`: holds everybody, this agent too, to the limits in raw
        topics, which checks do not reach (`*` stands for any text).

        Raw messages are of no type: limits of types are not about them. What is too much is
        IGNOREd, this agent's own with an error to whoever publishes.
        """
        patterns = NamePatterns(texts("topics", topics))

        def judge(message: ReceivedMessage) -> Verdict:
            if not patterns.match(message.topic) or message.sender is None:
                return Verdict.ACCEPT
            buckets = self._of_topic(message.topic)
            if buckets is None or _take(buckets, message.sender, message):
                return Verdict.ACCEPT
            return Verdict.IGNORE

        return judge

    def _of_topic(self, topic: str) -> TokenBuckets | None:
        for patterns, buckets in self._topics:
            if patterns.match(topic):
                return buckets
        return self._default


def _take(buckets: TokenBuckets, agent: PeerId, message: ReceivedMessage) -> bool:
    # Peer ids tell their own length, so that no two agents and topics have one key.
    key = agent + message.topic.encode("utf-8", "surrogatepass")
    return buckets.take(key, len(message.data))
