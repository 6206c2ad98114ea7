"""CPU time of the router alone: a new message, a duplicate, a heartbeat.

`python -m gossipsub.benchmarks.router`: one router, with scoring off and on, all kinds of score
in use. A message comes from one mesh peer and is forwarded to the others; its validation takes no
time here, and nothing is decoded, encoded or sent. Then each of the others sends it as well, in
bytes of its own. The heartbeats have a new message in each topic to gossip about, and with scoring
all counters to decay. Figures are CPU microseconds of this process; nothing but the bytes of the
messages depends on the seed, and the router's own choices.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from itertools import count
from random import Random
from typing import Any

from gossipsub import GossipParams, MeshParams, PeerScoreParams, TopicScoreParams
from gossipsub.benchmarks.measurement import environment, spread
from gossipsub.testing import GOSSIPSUB_V12, Router, Validate, Verdict
from gossipsub.wire.rpc import Control, Graft, Message, Rpc, SubOpts
from gossipsub.wire.rpc_codec import RpcLimits, decode_rpc, encode_rpc

MESH = MeshParams(d=8, d_low=6, d_high=12)

AIMS = {"new message": 20.0, "duplicate": 4.0, "heartbeat": 20_000.0}
"""Microseconds."""

SCORES = PeerScoreParams(
    other_topics=TopicScoreParams(
        time_in_mesh_weight=1.0,
        first_message_deliveries_weight=1.0,
        first_message_deliveries_decay=0.9,
        mesh_message_deliveries_weight=-0.001,
        mesh_message_deliveries_decay=0.9,
        mesh_message_deliveries_window=2.0,
        mesh_message_deliveries_activation=1.0,
        mesh_failure_penalty_weight=-0.001,
        mesh_failure_penalty_decay=0.9,
        invalid_message_deliveries_weight=-1.0,
        invalid_message_deliveries_decay=0.9,
    ),
    ip_colocation_factor_weight=-1.0,
    behaviour_penalty_weight=-1.0,
    behaviour_penalty_decay=0.9,
)
"""Every part in use, and peers short of deliveries (P3), so that each copy changes a score; time in
the mesh outweighs that, so that all stay in it."""


def main(arguments: list[str] | None = None) -> int:
    flags = _parse(arguments)
    result = measure(flags)
    if flags.json:
        print(json.dumps(result))
    else:
        _print(result)
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gossipsub.benchmarks.router", description=__doc__)
    parser.add_argument("--forward-to", type=int, default=8, help="mesh peers beside the sender")
    parser.add_argument("--topics", type=int, nargs="+", default=[1, 64], help="topics in use")
    parser.add_argument("--messages", type=int, default=1000, help="messages of a repeat")
    parser.add_argument("--size", type=int, default=1024, help="bytes of data in a message")
    parser.add_argument("--heartbeat-topics", type=int, default=50)
    parser.add_argument("--heartbeat-peers", type=int, default=200, help="each in all topics")
    parser.add_argument("--heartbeats", type=int, default=10, help="heartbeats of a repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def measure(flags: argparse.Namespace) -> dict[str, Any]:
    """All cases, each repeated with a router of its own."""
    cases: list[dict[str, Any]] = []
    for scoring in (False, True):
        for topics in flags.topics:
            runs = [_messages(flags, topics, scoring, repeat) for repeat in range(flags.repeats)]
            new, duplicate = zip(*runs, strict=True)
            cases.append(_case("new message", topics, flags.forward_to + 1, scoring, new))
            cases.append(_case("duplicate", topics, flags.forward_to + 1, scoring, duplicate))
        beats = [_heartbeats(flags, scoring, repeat) for repeat in range(flags.repeats)]
        topics, peers = flags.heartbeat_topics, flags.heartbeat_peers
        cases.append(_case("heartbeat", topics, peers, scoring, beats))
    return {
        "versions": environment("protobuf"),
        "seed": flags.seed,
        "size": flags.size,
        "repeats": flags.repeats,
        "cases": cases,
    }


def _case(
    what: str, topics: int, peers: int, scoring: bool, seconds: Sequence[float]
) -> dict[str, Any]:
    return {
        "what": what,
        "topics": topics,
        "peers": peers,
        "scoring": scoring,
        "aim_us": AIMS[what],
        **{f"{name}_us": value * 1e6 for name, value in spread(seconds).items()},
    }


def _print(result: dict[str, Any]) -> None:
    print(", ".join(f"{name} {value}" for name, value in result["versions"].items()))
    print(f"seed {result['seed']}, messages of {result['size']} B, {result['repeats']} repeats")
    print("CPU microseconds            minimum     median    maximum   aim, at most")
    for case in result["cases"]:
        name = f"{case['what']}, {case['topics']} topics, {case['peers']} peers"
        print(f"{name}, scoring {'on' if case['scoring'] else 'off'}")
        figures = "".join(f"{case[f'{key}_us']:11.2f}" for key in ("min", "median", "max"))
        print(f"{'':24}{figures}{case['aim_us']:15.0f}")


# -- the measurements: CPU seconds of one ---------------------------------------------------


def _messages(
    flags: argparse.Namespace, topics: int, scoring: bool, repeat: int
) -> tuple[float, float]:
    """A new message, and a duplicate."""
    names = _topic_names(topics)
    peers = _peer_ids(flags.forward_to + 1)
    router = _router(f"{flags.seed} {repeat}", names, peers, _params(scoring))
    sources = [
        encode_rpc(Rpc(publish=(_message(names[n % topics], n, flags.size),)))
        for n in range(flags.messages)
    ]
    # What each peer sends is decoded on its own: strings and bytes are equal, never the same.
    first, *others = [[decode_rpc(source, RpcLimits()) for source in sources] for _ in peers]
    sender, *receivers = peers
    if any(len(router.mesh(name)) != len(peers) for name in names):
        raise RuntimeError("not all peers are in all meshes")
    now = 3.0
    started = time.process_time()
    for rpc in first:
        _receive_new(router, sender, rpc, now)
    new = time.process_time() - started
    started = time.process_time()
    for peer, rpcs in zip(receivers, others, strict=True):
        for rpc in rpcs:
            router.receive_rpc(peer, rpc, now=now)
            router.effects()
    duplicate = time.process_time() - started
    return new / flags.messages, duplicate / (flags.messages * len(receivers))


def _receive_new(router: Router, peer: bytes, rpc: Rpc, now: float) -> None:
    router.receive_rpc(peer, rpc, now=now)
    for effect in router.effects():
        if isinstance(effect, Validate):
            router.validation_result(effect.ticket, Verdict.ACCEPT, now=now)
    router.effects()


def _heartbeats(flags: argparse.Namespace, scoring: bool, repeat: int) -> float:
    """One heartbeat."""
    names = _topic_names(flags.heartbeat_topics)
    peers = _peer_ids(flags.heartbeat_peers)
    params = _params(scoring)
    router = _router(f"{flags.seed} {repeat}", names, peers, params)
    numbers = count()
    if scoring:  # each peer has counters in each topic
        for peer in peers:
            for name in names:
                rpc = Rpc(publish=(_message(name, next(numbers), flags.size),))
                _receive_new(router, peer, rpc, 3.0)
    for beat in range(params.lazy.history_length):  # of those messages nothing is told any more
        router.handle_timer(now=3.5 + beat)
        router.effects()
    start = 3.5 + params.lazy.history_length
    beats, total = range(flags.heartbeats), 0.0
    for beat in beats:
        for name in names:
            number = next(numbers)
            rpc = Rpc(publish=(_message(name, number, flags.size),))
            _receive_new(router, peers[number % len(peers)], rpc, start + beat - 0.1)
        started = time.process_time()
        router.handle_timer(now=start + beat)
        router.effects()
        total += time.process_time() - started
    return total / len(beats)


# -- what is measured -----------------------------------------------------------------------


def _params(scoring: bool) -> GossipParams:
    return GossipParams(mesh=MESH, score=SCORES if scoring else None)


def _router(seed: str, topics: list[str], peers: list[bytes], params: GossipParams) -> Router:
    """A router at 2 s, in all topics; each peer is in all of them too, and up to a mesh of
    `MESH.d_high` grafts the router in all."""
    router = Router(params, me=b"me", rng=Random(seed), now=0.0)
    for topic in topics:
        router.subscribe(topic, now=0.0)
    grafts = tuple(map(Graft, topics))
    for number, peer in enumerate(peers):
        router.peer_connected(
            peer,
            protocol=GOSSIPSUB_V12,
            outbound=number % 2 == 0,
            ip=f"10.0.{number >> 8}.{number & 255}",
            now=0.0,
        )
        router.receive_rpc(peer, Rpc(subscriptions=tuple(map(SubOpts, topics))), now=0.0)
        if number < MESH.d_high:
            router.receive_rpc(peer, Rpc(control=Control(graft=grafts)), now=0.0)
    for now in (1.5, 2.5):
        router.handle_timer(now=now)
    router.effects()
    return router


def _topic_names(count: int) -> list[str]:
    return [f"topic {number}" for number in range(count)]


def _peer_ids(count: int) -> list[bytes]:
    return [b"\x00\x24\x08\x01\x12\x20" + number.to_bytes(32, "big") for number in range(count)]


def _message(topic: str, number: int, size: int) -> Message:
    author = b"\x00\x24\x08\x01\x12\x20" + b"\xff" * 32
    seqno = number.to_bytes(8, "big")
    return Message(topic, seqno.ljust(size, b"\0")[:size], author, seqno, bytes(64))


if __name__ == "__main__":
    sys.exit(main())
