"""The command line of a test peer, turned into what a host is made of."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gossipsub.config import HostConfig
from gossipsub.crypto.ed25519 import SIGNATURE_LIBRARIES
from gossipsub.crypto.keys import PrivateKey
from gossipsub.peer.installed import BACKENDS, why_missing
from gossipsub.peer.score import AppScores, Scoring, read_scoring
from gossipsub.peer.values import Values, number, seconds, switch, texts, whole
from gossipsub.router.extension.params import ExtensionParams, PartialMode
from gossipsub.router.features import FLOODSUB, OFFERED
from gossipsub.router.message_id import origin_id
from gossipsub.router.params import BackoffParams, GossipParams, LazyParams, MeshParams
from gossipsub.router.policy import SignaturePolicy
from gossipsub.transport.address import Address, AddressError
from gossipsub.wire.errors import GossipSubError, LocalProtocolError
from gossipsub.wire.rpc import Message

_MESH = {
    "D": "d",
    "Dlo": "d_low",
    "Dhi": "d_high",
    "Dscore": "d_score",
    "Dout": "d_out",
    "opportunisticGraftTicks": "opportunistic_graft_ticks",
    "opportunisticGraftPeers": "opportunistic_graft_peers",
}
_LAZY = {
    "Dlazy": "d_lazy",
    "gossipRetransmission": "gossip_retransmission",
    "historyLength": "history_length",
    "historyGossip": "history_gossip",
    "maxIHaveLength": "max_ihave_length",
    "maxIHaveMessages": "max_ihave_messages",
    "idontwantThreshold": "idontwant_threshold",
}
_LAZY_MS = {"iwantFollowupMs": "iwant_followup"}
_FACTOR = {"gossipFactor": "gossip_factor"}
_BACKOFF_MS = {
    "pruneBackoffMs": "prune_backoff",
    "unsubscribeBackoffMs": "unsubscribe_backoff",
    "graftFloodThresholdMs": "graft_flood_threshold",
}
_ROUTER_MS = {
    "heartbeatMs": "heartbeat_interval",
    "heartbeatInitialDelayMs": "heartbeat_initial_delay",
    "fanoutTTLMs": "fanout_ttl",
}
_SWITCHES = {"floodPublish": "flood_publish", "doPX": "peer_exchange"}
_ROUTER_COUNTS = {"prunePeers": "exchange_peers"}
_SEEN_MS = {"seenTTLMs": "seen_ttl"}
_CONFIG = {
    "maxMessageSize": "max_rpc_bytes",
    "outboundQueue": "outbound_queue_rpcs",
    "validateQueue": "validation_queue",
    "validateThrottle": "validation_throttle",
    "validateWorkers": "validation_workers",
    "subBuffer": "subscription_buffer",
}
_GOSSIP = {
    *(*_MESH, *_LAZY, *_LAZY_MS, *_FACTOR, *_BACKOFF_MS, *_ROUTER_MS, *_SWITCHES),
    *(*_ROUTER_COUNTS, "direct"),
}
"""What means nothing to a floodsub node."""
_NONE_HERE = {"validate", "metrics"}
KNOWN = _GOSSIP | {*_SEEN_MS, *_CONFIG, "protocols"} | _NONE_HERE
"""The parameters of test peers, whatever library they are made of."""
_SIGN = {
    "strict": SignaturePolicy.STRICT_SIGN,
    "none": SignaturePolicy.STRICT_NO_SIGN,
    "lax": SignaturePolicy.LAX_SIGN,
}


class OptionError(GossipSubError):
    """A flag or parameter that cannot be; the command ends with exit status 2."""


@dataclass(frozen=True, slots=True)
class PeerOptions:
    listen: str
    key: PrivateKey
    params: GossipParams
    config: HostConfig
    direct: tuple[str, ...]
    """Addresses of direct peers."""
    bootstrap: tuple[str, ...]
    """Addresses of peers that are dialled, and again whenever they are lost."""
    quiet: bool
    backend: str
    """One of `BACKENDS`."""
    app_scores: AppScores | None
    """None: peers are not scored."""
    partial: PartialMode | None
    """What is done with partial messages in every topic."""
    unsupported: tuple[str, ...]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise OptionError(message)


def parse_options(arguments: Sequence[str]) -> PeerOptions:
    """Read the flags. OptionError says which is wrong and why."""
    parser = _Parser(prog="gossipsub peer", description=__doc__, allow_abbrev=False)
    parser.add_argument("--listen", default="/ip4/127.0.0.1/tcp/0")
    parser.add_argument("--seed", type=_key)
    parser.add_argument("--protocol", choices=["gossipsub", "floodsub"], default="gossipsub")
    parser.add_argument("--params", type=_json_object, default={})
    parser.add_argument("--score", type=_json_object)
    parser.add_argument("--msgid", choices=["default", "content", "library"], default="default")
    parser.add_argument("--sign", choices=["strict", "none", "lax", "author"], default="strict")
    parser.add_argument("--no-sign", action="store_const", const="none", dest="sign")
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--backend", choices=BACKENDS, default="asyncio")
    parser.add_argument("--crypto", choices=SIGNATURE_LIBRARIES, default="auto")
    parser.add_argument("--bootstrap", type=_peer_address, action="append", default=[])
    parser.add_argument("--partial", choices=["off", "support", "request"], default="off")
    parser.add_argument("--test-extension", action="store_true")
    flags = parser.parse_args(list(arguments))
    if flags.sign not in _SIGN:
        raise OptionError(f"--sign {flags.sign}: this version has strict, none and lax")
    if flags.protocol == "floodsub" and (flags.partial != "off" or flags.test_extension):
        raise OptionError("--partial and --test-extension need --protocol gossipsub")
    if why := why_missing(flags.backend):
        raise OptionError(f"--backend {flags.backend}: {why}")
    scoring = _read_score(flags)
    return PeerOptions(
        listen=_address(flags.listen),
        key=flags.seed or PrivateKey.generate(),
        quiet=flags.quiet,
        backend=flags.backend,
        bootstrap=tuple(flags.bootstrap),
        **_read_params(flags, scoring),
        app_scores=None if scoring is None else scoring.app_scores,
        partial=None if flags.partial == "off" else PartialMode(flags.partial),
    )


def _config(library: str) -> HostConfig:
    try:
        return HostConfig(signature_library=library)
    except LocalProtocolError as error:
        raise OptionError(f"--crypto {library}: {error}") from error


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("not a JSON object")
    return value


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _key(text: str) -> PrivateKey:
    if not (text.isascii() and text.isdigit() and int(text) < 2**64):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 2^64-1")
    return PrivateKey.from_node_number(int(text))


def _address(text: str) -> str:
    try:
        Address.parse(text)
    except AddressError as error:
        raise OptionError(f"--listen: {error}") from error
    return text


def _peer_address(text: str) -> str:
    try:
        return _peer_addresses([text])[0]
    except (ValueError, AddressError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _peer_addresses(value: Any) -> tuple[str, ...]:
    addresses = texts(value) if value != [] else ()
    for text in addresses:
        if Address.parse(text).peer is None:
            raise ValueError(f"must end in /p2p/PEER: {text!r}")
    return addresses


def _read_score(flags: argparse.Namespace) -> Scoring | None:
    if flags.score is None:
        return None
    if flags.protocol != "gossipsub":
        raise OptionError("--score needs --protocol gossipsub")
    try:
        return read_scoring(flags.score)
    except ValueError as error:
        raise OptionError(f"--score: {error}") from error


def _read_params(flags: argparse.Namespace, scoring: Scoring | None) -> dict[str, Any]:
    given: dict[str, Any] = flags.params
    is_floodsub = flags.protocol == "floodsub"
    unknown = sorted(set(given) - KNOWN)
    if unknown:
        raise OptionError(f"--params: unknown parameter {unknown[0]!r}")
    unsupported = _NONE_HERE | _GOSSIP if is_floodsub else _NONE_HERE
    wanted = {name: value for name, value in given.items() if name not in unsupported}
    config = _config(flags.crypto)
    try:
        params = _gossip_params(Values(wanted), flags.sign, flags.msgid, is_floodsub)
        config = replace(config, **Values(wanted).pick(_CONFIG, whole))
        direct = Values(wanted).pick({"direct": "it"}, _peer_addresses).get("it", ())
    except (ValueError, GossipSubError) as error:
        raise OptionError(f"--params: {error}") from error
    extensions = ExtensionParams(
        partial_messages=flags.partial != "off",
        test_extension=flags.test_extension,
        partial_group_heartbeats=60,
    )
    params = replace(params, extensions=extensions)
    if scoring is not None:
        params = replace(params, score=scoring.params, thresholds=scoring.thresholds)
    return {
        "params": params,
        "config": config,
        "direct": direct,
        "unsupported": tuple(sorted(set(given) & unsupported)),
    }


def _gossip_params(given: Values, sign: str, msgid: str, is_floodsub: bool) -> GossipParams:
    policy = _SIGN[sign]
    default = (FLOODSUB,) if is_floodsub else OFFERED
    return GossipParams(
        mesh=replace(MeshParams(), **given.pick(_MESH, whole)),
        lazy=replace(
            LazyParams(),
            **given.pick(_LAZY, whole),
            **given.pick(_LAZY_MS, seconds),
            **given.pick(_FACTOR, number),
        ),
        backoff=replace(BackoffParams(), **given.pick(_BACKOFF_MS, seconds)),
        signature_policy=policy,
        message_id=_message_id(msgid, policy),
        protocols=given.pick({"protocols": "it"}, texts).get("it", default),
        **given.pick(_SWITCHES, switch),
        **given.pick(_ROUTER_COUNTS, whole),
        **given.pick({**_ROUTER_MS, **_SEEN_MS}, seconds),
    )


def _message_id(msgid: str, policy: SignaturePolicy) -> Callable[[Message], bytes]:
    if msgid == "content" or policy is SignaturePolicy.STRICT_NO_SIGN:
        return content_id
    return origin_id if msgid == "default" else GossipParams().message_id


def content_id(message: Message) -> bytes:
    """SHA-256 of the data."""
    return hashlib.sha256(message.data or b"").digest()
