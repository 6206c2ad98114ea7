"""CHORUS: envelopes, topics and handlers for fleets of agents, on top of GossipSub.

It uses nothing of the layer below but its public API. Importing this package loads nothing but
itself: each name is loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gossipsub.chorus.dead_letters import DeadLetter
    from gossipsub.chorus.envelope import Envelope, EnvelopeLimits
    from gossipsub.chorus.errors import MalformedEnvelope, RefusalReason
    from gossipsub.chorus.handlers import Handler
    from gossipsub.chorus.message_type import MessageType
    from gossipsub.chorus.pubsub import ChorusPubSub
    from gossipsub.chorus.statistics import ChorusStatistics, TopicStatistics
    from gossipsub.chorus.timestamp import Timestamp

_HOMES = {
    "ChorusPubSub": "pubsub",
    "ChorusStatistics": "statistics",
    "DeadLetter": "dead_letters",
    "Envelope": "envelope",
    "EnvelopeLimits": "envelope",
    "Handler": "handlers",
    "MalformedEnvelope": "errors",
    "MessageType": "message_type",
    "RefusalReason": "errors",
    "Timestamp": "timestamp",
    "TopicStatistics": "statistics",
}

__all__ = [
    "ChorusPubSub",
    "ChorusStatistics",
    "DeadLetter",
    "Envelope",
    "EnvelopeLimits",
    "Handler",
    "MalformedEnvelope",
    "MessageType",
    "RefusalReason",
    "Timestamp",
    "TopicStatistics",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'gossipsub.chorus' has no attribute {name!r}")
    value = getattr(import_module(f"gossipsub.chorus.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
