"""Which topics peers may subscribe to, as far as this node takes note of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from gossipsub.wire.rpc import SubOpts

SubscriptionFilter = Callable[[str], bool]
"""Whether subscriptions to a topic, peers' and own ones, are allowed."""


def allow_topics(topics: str | Iterable[str]) -> SubscriptionFilter:
    """Those listed, or a single one."""
    listed = (topics,) if isinstance(topics, str) else topics
    return frozenset(listed).__contains__


def allow_matching(pattern: str | re.Pattern[str]) -> SubscriptionFilter:
    """Those the regular expression matches as a whole. Peers choose what it is held against:
    it must not be one that can take long."""
    compiled = re.compile(pattern)
    return lambda topic: compiled.fullmatch(topic) is not None


def narrowed(
    options: Sequence[SubOpts], allows: SubscriptionFilter, max_topic_length: int
) -> list[SubOpts]:
    """What remains of the announcements in one RPC, as in go: those of allowed topics, equal ones
    once, and neither of a subscription and a withdrawal of the same topic. Withdrawals come
    first, so that they make room for subscriptions beside them."""
    kept: dict[str, SubOpts] = {}
    cancelled: dict[str, None] = {}
    for option in options:
        topic = option.topic
        if topic in kept:
            if kept[topic].subscribe != option.subscribe:
                del kept[topic]
                cancelled[topic] = None
        elif topic not in cancelled and len(topic) <= max_topic_length and allows(topic):
            kept[topic] = option
    return sorted(kept.values(), key=lambda option: option.subscribe)
