"""GossipSub for Python: a mesh of peers that publish and subscribe, and CHORUS on top of it.

The names below are the public API of the lower layer; `gossipsub.chorus` is the upper one.
Importing this package loads nothing but itself: each name is loaded when first used.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gossipsub.config import HostConfig
    from gossipsub.crypto.keys import PrivateKey, PublicKey
    from gossipsub.crypto.peer_id import PeerId
    from gossipsub.host import Host
    from gossipsub.measurements import HostMeasurements
    from gossipsub.peer_events import PeerEvent, PeerEventKind, PeerEvents
    from gossipsub.peer_info import PeerInfo
    from gossipsub.pubsub.discovery import Discovery
    from gossipsub.pubsub.inbox import Overflow, SubscriptionOverflow
    from gossipsub.pubsub.message import PublishResult, ReceivedMessage, UnsentReason, Validator
    from gossipsub.pubsub.partial import PartialHandler, PartialMessage
    from gossipsub.pubsub.parts import PartExchange
    from gossipsub.pubsub.signed_message import SignedMessage
    from gossipsub.pubsub.subscription import MessageFilter, Subscription, SubscriptionStatistics
    from gossipsub.pubsub.topic import Topic
    from gossipsub.pubsub.validation.overload import (
        OverloadEvent,
        OverloadEvents,
        ValidationStatistics,
    )
    from gossipsub.router.admission.gater import PeerGaterParams
    from gossipsub.router.admission.subscription_filter import (
        SubscriptionFilter,
        allow_matching,
        allow_topics,
    )
    from gossipsub.router.effects import Verdict
    from gossipsub.router.extension.params import ExtensionParams, PartialMode
    from gossipsub.router.params import (
        BackoffParams,
        GossipParams,
        LazyParams,
        MeshParams,
        RouterLimits,
        SeenStrategy,
        TopicParams,
    )
    from gossipsub.router.policy import SignaturePolicy
    from gossipsub.router.score.explanation import ScoreExplanation
    from gossipsub.router.score.params import PeerScoreParams, PeerScoreThresholds, TopicScoreParams
    from gossipsub.router.score.snapshot import PeerScoreSnapshot
    from gossipsub.snapshot import HostSnapshot
    from gossipsub.statistics import HostStatistics
    from gossipsub.streams.errors import ProtocolNotSupported, StreamReset
    from gossipsub.streams.peer_stream import PeerStream
    from gossipsub.streams.stream_service import StreamFunction
    from gossipsub.transport.address import Address, AddressError
    from gossipsub.transport.connections import DialError
    from gossipsub.transport.gate import ConnectionGate, IpGate
    from gossipsub.transport.network import Network, NetworkListener
    from gossipsub.transport.ping_service import PingFailed
    from gossipsub.transport.resolving import DnsResolver, Resolver
    from gossipsub.wire.errors import GossipSubError, LocalProtocolError, RemoteProtocolError

__version__ = "0.1.0"

_HOMES = {
    "Address": "transport.address",
    "AddressError": "transport.address",
    "BackoffParams": "router.params",
    "ConnectionGate": "transport.gate",
    "DialError": "transport.connections",
    "Discovery": "pubsub.discovery",
    "DnsResolver": "transport.resolving",
    "ExtensionParams": "router.extension.params",
    "GossipParams": "router.params",
    "GossipSubError": "wire.errors",
    "Host": "host",
    "HostConfig": "config",
    "HostMeasurements": "measurements",
    "HostSnapshot": "snapshot",
    "HostStatistics": "statistics",
    "IpGate": "transport.gate",
    "LazyParams": "router.params",
    "LocalProtocolError": "wire.errors",
    "MeshParams": "router.params",
    "MessageFilter": "pubsub.subscription",
    "Network": "transport.network",
    "NetworkListener": "transport.network",
    "Overflow": "pubsub.inbox",
    "OverloadEvent": "pubsub.validation.overload",
    "OverloadEvents": "pubsub.validation.overload",
    "PartExchange": "pubsub.parts",
    "PartialHandler": "pubsub.partial",
    "PartialMessage": "pubsub.partial",
    "PartialMode": "router.extension.params",
    "PeerEvent": "peer_events",
    "PeerEventKind": "peer_events",
    "PeerEvents": "peer_events",
    "PeerGaterParams": "router.admission.gater",
    "PeerId": "crypto.peer_id",
    "PeerInfo": "peer_info",
    "PeerScoreParams": "router.score.params",
    "PeerScoreSnapshot": "router.score.snapshot",
    "PeerScoreThresholds": "router.score.params",
    "PeerStream": "streams.peer_stream",
    "PingFailed": "transport.ping_service",
    "PrivateKey": "crypto.keys",
    "ProtocolNotSupported": "streams.errors",
    "PublicKey": "crypto.keys",
    "PublishResult": "pubsub.message",
    "ReceivedMessage": "pubsub.message",
    "RemoteProtocolError": "wire.errors",
    "Resolver": "transport.resolving",
    "RouterLimits": "router.params",
    "ScoreExplanation": "router.score.explanation",
    "SeenStrategy": "router.params",
    "SignaturePolicy": "router.policy",
    "SignedMessage": "pubsub.signed_message",
    "StreamFunction": "streams.stream_service",
    "StreamReset": "streams.errors",
    "Subscription": "pubsub.subscription",
    "SubscriptionFilter": "router.admission.subscription_filter",
    "SubscriptionOverflow": "pubsub.inbox",
    "SubscriptionStatistics": "pubsub.subscription",
    "Topic": "pubsub.topic",
    "TopicParams": "router.params",
    "TopicScoreParams": "router.score.params",
    "UnsentReason": "pubsub.message",
    "ValidationStatistics": "pubsub.validation.overload",
    "Validator": "pubsub.message",
    "Verdict": "router.effects",
    "allow_matching": "router.admission.subscription_filter",
    "allow_topics": "router.admission.subscription_filter",
}

__all__ = [
    "Address",
    "AddressError",
    "BackoffParams",
    "ConnectionGate",
    "DialError",
    "Discovery",
    "DnsResolver",
    "ExtensionParams",
    "GossipParams",
    "GossipSubError",
    "Host",
    "HostConfig",
    "HostMeasurements",
    "HostSnapshot",
    "HostStatistics",
    "IpGate",
    "LazyParams",
    "LocalProtocolError",
    "MeshParams",
    "MessageFilter",
    "Network",
    "NetworkListener",
    "Overflow",
    "OverloadEvent",
    "OverloadEvents",
    "PartExchange",
    "PartialHandler",
    "PartialMessage",
    "PartialMode",
    "PeerEvent",
    "PeerEventKind",
    "PeerEvents",
    "PeerGaterParams",
    "PeerId",
    "PeerInfo",
    "PeerScoreParams",
    "PeerScoreSnapshot",
    "PeerScoreThresholds",
    "PeerStream",
    "PingFailed",
    "PrivateKey",
    "ProtocolNotSupported",
    "PublicKey",
    "PublishResult",
    "ReceivedMessage",
    "RemoteProtocolError",
    "Resolver",
    "RouterLimits",
    "ScoreExplanation",
    "SeenStrategy",
    "SignaturePolicy",
    "SignedMessage",
    "StreamFunction",
    "StreamReset",
    "Subscription",
    "SubscriptionFilter",
    "SubscriptionOverflow",
    "SubscriptionStatistics",
    "Topic",
    "TopicParams",
    "TopicScoreParams",
    "UnsentReason",
    "ValidationStatistics",
    "Validator",
    "Verdict",
    "allow_matching",
    "allow_topics",
]


# A checkout that lost its links (some archives and file systems drop them) still works.
_here = os.path.dirname(__file__)
_beside = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
if not os.path.isdir(f"{_here}/wire") and os.path.isdir(f"{_beside}/wire"):
    __path__.append(_beside)


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'gossipsub' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"gossipsub.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
