"""The command line of a test peer, turned into what a host is made of."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gossipsub.config import HostConfig
from gossipsub.crypto.keys import PrivateKey
from gossipsub.router.features import FLOODSUB, offered_protocols
from gossipsub.router.message_id import origin_id
from gossipsub.router.params import BackoffParams, GossipParams, LazyParams, MeshParams
from gossipsub.router.policy import SignaturePolicy
from gossipsub.wire.errors import GossipSubError
from gossipsub.wire.rpc import Message

_MESH = {"D": "d", "Dlo": "d_low", "Dhi": "d_high", "Dscore": "d_score", "Dout": "d_out"}
_LAZY = {
    "Dlazy": "d_lazy",
    "gossipFactor": "gossip_factor",
    "gossipRetransmission": "gossip_retransmission",
    "historyLength": "history_length",
    "historyGossip": "history_gossip",
    "maxIHaveLength": "max_ihave_length",
    "maxIHaveMessages": "max_ihave_messages",
}
_BACKOFF_MS = {"pruneBackoffMs": "prune_backoff", "unsubscribeBackoffMs": "unsubscribe_backoff"}
_ROUTER_MS = {
    "heartbeatMs": "heartbeat_interval",
    "heartbeatInitialDelayMs": "heartbeat_initial_delay",
    "fanoutTTLMs": "fanout_ttl",
    "seenTTLMs": "seen_ttl",
}
_CONFIG = {
    "maxMessageSize": "max_rpc_bytes",
    "outboundQueue": "outbound_queue_rpcs",
    "validateQueue": "validation_queue",
    "validateThrottle": "validation_throttle",
    "validateWorkers": "validation_workers",
    "subBuffer": "subscription_buffer",
}
_OTHER = {"floodPublish", "protocols"}
_UNSUPPORTED = {
    "graftFloodThresholdMs",
    "iwantFollowupMs",
    "prunePeers",
    "opportunisticGraftTicks",
    "opportunisticGraftPeers",
    "idontwantThreshold",
    "doPX",
    "direct",
    "validate",
    "metrics",
}
_SIGN = {"strict": SignaturePolicy.STRICT_SIGN, "none": SignaturePolicy.STRICT_NO_SIGN}


class OptionError(GossipSubError):
    """A flag or parameter that cannot be; the command ends with exit status 2."""


@dataclass(frozen=True, slots=True)
class PeerOptions:
    listen: str
    key: PrivateKey
    params: GossipParams
    config: HostConfig
    quiet: bool
    unsupported: tuple[str, ...]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise OptionError(message)


def parse_options(arguments: Sequence[str]) -> PeerOptions:
    """Read the flags. OptionError says which is wrong and why."""
    parser = _Parser(prog="gossipsub peer", description=__doc__, allow_abbrev=False)
    parser.add_argument("--listen", default="/ip4/127.0.0.1/tcp/0")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--protocol", choices=["gossipsub", "floodsub"], default="gossipsub")
    parser.add_argument("--params", type=_json_object, default={})
    parser.add_argument("--score", type=_json_object)
    parser.add_argument("--msgid", choices=["default", "content", "library"], default="default")
    parser.add_argument("--sign", choices=["strict", "none", "lax", "author"], default="strict")
    parser.add_argument("--no-sign", action="store_const", const="none", dest="sign")
    parser.add_argument("--quiet", action="store_true")
    flags = parser.parse_args(list(arguments))
    if flags.score is not None:
        raise OptionError("--score: this version has no peer scoring")
    if flags.sign not in _SIGN:
        raise OptionError(f"--sign {flags.sign}: this version has strict and none")
    try:
        return _build(flags)
    except (ValueError, TypeError, GossipSubError) as error:
        raise OptionError(str(error)) from error


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("not a JSON object")
    return value


def _build(flags: argparse.Namespace) -> PeerOptions:
    given: dict[str, Any] = flags.params
    known = {*_MESH, *_LAZY, *_BACKOFF_MS, *_ROUTER_MS, *_CONFIG, *_OTHER, *_UNSUPPORTED}
    unknown = sorted(set(given) - known)
    if unknown:
        raise OptionError(f"--params: unknown key: {', '.join(unknown)}")
    policy = _SIGN[flags.sign]
    by_content = flags.msgid == "content" or policy is SignaturePolicy.STRICT_NO_SIGN
    default = (FLOODSUB,) if flags.protocol == "floodsub" else offered_protocols(extensions=False)
    params = GossipParams(
        mesh=replace(MeshParams(), **_pick(given, _MESH)),
        lazy=replace(LazyParams(), **_pick(given, _LAZY)),
        backoff=replace(BackoffParams(), **_pick(given, _BACKOFF_MS, _seconds)),
        flood_publish=bool(given.get("floodPublish", True)),
        signature_policy=policy,
        message_id=content_id if by_content else origin_id,
        protocols=tuple(given.get("protocols", default)),
        **_pick(given, _ROUTER_MS, _seconds),
    )
    return PeerOptions(
        listen=flags.listen,
        key=_key(flags.seed),
        params=params,
        config=replace(HostConfig(), **_pick(given, _CONFIG)),
        quiet=flags.quiet,
        unsupported=tuple(key for key in given if key in _UNSUPPORTED),
    )


def _key(seed: int | None) -> PrivateKey:
    return PrivateKey.generate() if seed is None else PrivateKey.from_node_number(seed)


def _pick(
    given: dict[str, Any], names: dict[str, str], convert: Callable[[Any], Any] | None = None
) -> dict[str, Any]:
    return {
        ours: given[theirs] if convert is None else convert(given[theirs])
        for theirs, ours in names.items()
        if theirs in given
    }


def _seconds(milliseconds: float) -> float:
    return milliseconds / 1000


def content_id(message: Message) -> bytes:
    """SHA-256 of the data."""
    return hashlib.sha256(message.data or b"").digest()
