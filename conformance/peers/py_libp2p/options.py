"""The command line, turned into what the library is made of."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.pubsub.pubsub import get_peer_and_seqno_msg_id
from libp2p.pubsub.score import ScoreParams
from multiaddr import Multiaddr

from gossipsub.conformance.peers.py_libp2p.scoring import read_score_params
from gossipsub.peer.options import KNOWN, OptionError
from gossipsub.peer.score import AppScores
from gossipsub.peer.values import Values, seconds, switch, texts, whole

PROTOCOLS = ("/meshsub/1.3.0", "/meshsub/1.2.0", "/meshsub/1.1.0", "/meshsub/1.0.0")
"""What is offered unless `protocols` says otherwise: those that are specified. The library has
no default of its own, and two more names that no specification knows."""
FLOODSUB = ("/floodsub/1.0.0",)
DEGREES = {"degree": 6, "degree_low": 5, "degree_high": 12}
"""Of the specification; the library has no defaults of its own."""


def whole_seconds(milliseconds: Any) -> int:
    """The library counts these times in whole seconds; up, so that none becomes 0."""
    return math.ceil(seconds(milliseconds))


def peer_infos(addresses: Any) -> list[Any]:
    return [info_from_p2p_addr(Multiaddr(text)) for text in texts(addresses)]


ROUTER: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "D": ("degree", whole),
    "Dlo": ("degree_low", whole),
    "Dhi": ("degree_high", whole),
    "historyLength": ("gossip_history", whole),
    "historyGossip": ("gossip_window", whole),
    "heartbeatMs": ("heartbeat_interval", seconds),
    "heartbeatInitialDelayMs": ("heartbeat_initial_delay", seconds),
    "fanoutTTLMs": ("time_to_live", seconds),
    "pruneBackoffMs": ("prune_back_off", whole_seconds),
    "unsubscribeBackoffMs": ("unsubscribe_back_off", whole_seconds),
    "prunePeers": ("px_peers_count", whole),
    "doPX": ("do_px", switch),
    "direct": ("direct_peers", peer_infos),
}
ATTRIBUTES = {"graftFloodThresholdMs": ("graft_flood_threshold", seconds)}
PUBSUB = {
    "seenTTLMs": ("seen_ttl", whole_seconds),
    "maxMessageSize": ("max_inbound_rpc_size", whole),
    "validateThrottle": ("max_concurrent_validator_count", whole),
}
ADAPTED = {"Dlo", "Dhi", "heartbeatMs"}
"""What the library's adaptive mode puts values of its own in the place of."""


@dataclass(frozen=True, slots=True)
class Options:
    listen: Multiaddr
    key_pair: Any
    is_floodsub: bool
    protocols: tuple[str, ...]
    router: dict[str, Any]
    """Arguments of GossipSub."""
    attributes: dict[str, Any]
    """Set on it when it is there."""
    pubsub: dict[str, Any]
    """Arguments of Pubsub."""
    score: ScoreParams | None
    app_scores: AppScores | None
    """None: peers are not scored."""
    quiet: bool
    unsupported: tuple[str, ...]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise OptionError(message)


def parse_options(arguments: Sequence[str]) -> Options:
    """Read the flags. OptionError says which is wrong and why."""
    parser = _Parser(prog="py-libp2p peer", description=__doc__, allow_abbrev=False)
    parser.add_argument("--listen", type=_multiaddr, default="/ip4/127.0.0.1/tcp/0")
    parser.add_argument("--seed", type=_seed)
    parser.add_argument("--protocol", choices=["gossipsub", "floodsub"], default="gossipsub")
    parser.add_argument("--params", type=_json_object, default={})
    parser.add_argument("--score", type=_json_object)
    parser.add_argument("--msgid", choices=["default", "content", "library"], default="default")
    parser.add_argument("--sign", choices=["strict", "none", "lax", "author"], default="strict")
    parser.add_argument("--no-sign", action="store_const", const="none", dest="sign")
    parser.add_argument("--quiet", action="store_true")
    flags = parser.parse_args(list(arguments))
    if flags.sign not in ("strict", "author"):
        raise OptionError(f"--sign {flags.sign}: unsupported: this library has strict and author")
    if flags.score is not None and flags.protocol != "gossipsub":
        raise OptionError("--score needs --protocol gossipsub")
    try:
        return _options(flags)
    except ValueError as error:
        raise OptionError(str(error)) from error


def _options(flags: argparse.Namespace) -> Options:
    given: dict[str, Any] = flags.params
    unknown = sorted(set(given) - KNOWN)
    if unknown:
        raise ValueError(f"--params: unknown parameter {unknown[0]!r}")
    is_floodsub = flags.protocol == "floodsub"
    supported = {*PUBSUB, "protocols"} | (set() if is_floodsub else {*ROUTER, *ATTRIBUTES})
    score: ScoreParams | None = None
    app_scores: AppScores | None = None
    lacking: tuple[str, ...] = ()
    if flags.score is not None:
        score, app_scores, lacking = read_score_params(flags.score)
    protocols = _pick(given, {"protocols": ("it", texts)}).get("it")
    router = DEGREES | _pick(given, ROUTER)
    if not router["degree_low"] <= router["degree"] <= router["degree_high"]:
        raise ValueError("--params: need Dlo <= D <= Dhi")
    return Options(
        listen=flags.listen if isinstance(flags.listen, Multiaddr) else Multiaddr(flags.listen),
        key_pair=create_new_key_pair(flags.seed),
        is_floodsub=is_floodsub,
        protocols=protocols or (FLOODSUB if is_floodsub else PROTOCOLS),
        router=router | {"adaptive_gossip_enabled": not ADAPTED & set(given)},
        attributes=_pick(given, ATTRIBUTES),
        pubsub={
            **_pick(given, PUBSUB),
            "strict_signing": flags.sign == "strict",
            "msg_id_constructor": (
                _content_id if flags.msgid == "content" else get_peer_and_seqno_msg_id
            ),
        },
        score=score,
        app_scores=app_scores,
        quiet=flags.quiet,
        unsupported=(*sorted(set(given) - supported), *lacking),
    )


def _pick(
    given: dict[str, Any], names: Mapping[str, tuple[str, Callable[[Any], Any]]]
) -> dict[str, Any]:
    picked: dict[str, Any] = {}
    for theirs, (ours, convert) in names.items():
        try:
            picked |= Values(given).pick({theirs: ours}, convert)
        except ValueError as error:
            raise ValueError(f"--params: {error}") from error
    return picked


def _content_id(message: Any) -> bytes:
    return hashlib.sha256(message.data).digest()


def _multiaddr(text: str) -> Multiaddr:
    try:
        return Multiaddr(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _seed(text: str) -> bytes:
    if not (text.isascii() and text.isdigit() and int(text) < 2**64):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 2^64-1")
    return int(text).to_bytes(8, "little") + bytes(24)


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("not a JSON object")
    return value
