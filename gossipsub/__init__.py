"""GossipSub for Python: a mesh of peers that publish and subscribe, and CHORUS on top of it.

The names below are the public API of the lower layer; `gossipsub.chorus` is the upper one.
Importing this package loads nothing but itself: each name is loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gossipsub.address import AddressError
    from gossipsub.config import HostConfig
    from gossipsub.connections import DialError
    from gossipsub.crypto.keys import PrivateKey, PublicKey
    from gossipsub.crypto.peer_id import PeerId
    from gossipsub.host import Host
    from gossipsub.message import PublishResult, ReceivedMessage
    from gossipsub.partial import PartialHandler, PartialMessage
    from gossipsub.parts import PartExchange
    from gossipsub.peer_info import PeerInfo
    from gossipsub.ping_service import PingFailed
    from gossipsub.router.effects import Verdict
    from gossipsub.router.extension_params import ExtensionParams, PartialMode
    from gossipsub.router.gater import PeerGaterParams
    from gossipsub.router.params import GossipParams, MeshParams, SeenStrategy, TopicParams
    from gossipsub.router.policy import SignaturePolicy
    from gossipsub.router.score_params import (
        PeerScoreParams,
        PeerScoreThresholds,
        TopicScoreParams,
    )
    from gossipsub.router.subscription_filter import allow_matching, allow_topics
    from gossipsub.subscription import Subscription, SubscriptionStatistics
    from gossipsub.topic import Topic
    from gossipsub.wire.errors import GossipSubError, LocalProtocolError, RemoteProtocolError

_HOMES = {
    "AddressError": "address",
    "DialError": "connections",
    "ExtensionParams": "router.extension_params",
    "GossipParams": "router.params",
    "GossipSubError": "wire.errors",
    "Host": "host",
    "HostConfig": "config",
    "LocalProtocolError": "wire.errors",
    "MeshParams": "router.params",
    "PartExchange": "parts",
    "PartialHandler": "partial",
    "PartialMessage": "partial",
    "PartialMode": "router.extension_params",
    "PeerGaterParams": "router.gater",
    "PeerId": "crypto.peer_id",
    "PeerInfo": "peer_info",
    "PeerScoreParams": "router.score_params",
    "PeerScoreThresholds": "router.score_params",
    "PingFailed": "ping_service",
    "PrivateKey": "crypto.keys",
    "PublicKey": "crypto.keys",
    "PublishResult": "message",
    "ReceivedMessage": "message",
    "RemoteProtocolError": "wire.errors",
    "SeenStrategy": "router.params",
    "SignaturePolicy": "router.policy",
    "Subscription": "subscription",
    "SubscriptionStatistics": "subscription",
    "Topic": "topic",
    "TopicParams": "router.params",
    "TopicScoreParams": "router.score_params",
    "Verdict": "router.effects",
    "allow_matching": "router.subscription_filter",
    "allow_topics": "router.subscription_filter",
}

__all__ = [
    "AddressError",
    "DialError",
    "ExtensionParams",
    "GossipParams",
    "GossipSubError",
    "Host",
    "HostConfig",
    "LocalProtocolError",
    "MeshParams",
    "PartExchange",
    "PartialHandler",
    "PartialMessage",
    "PartialMode",
    "PeerGaterParams",
    "PeerId",
    "PeerInfo",
    "PeerScoreParams",
    "PeerScoreThresholds",
    "PingFailed",
    "PrivateKey",
    "PublicKey",
    "PublishResult",
    "ReceivedMessage",
    "RemoteProtocolError",
    "SeenStrategy",
    "SignaturePolicy",
    "Subscription",
    "SubscriptionStatistics",
    "Topic",
    "TopicParams",
    "TopicScoreParams",
    "Verdict",
    "allow_matching",
    "allow_topics",
]


# A checkout that lost its links (some archives and file systems drop them) still works.
_beside = Path(__file__).resolve().parent.parent
if not (Path(__file__).parent / "wire").is_dir() and (_beside / "wire").is_dir():
    __path__.append(str(_beside))


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'gossipsub' has no attribute {name!r}")
    value = getattr(import_module(f"gossipsub.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
