"""What the test-peer protocol promises, held against each peer in another language. Where a library
does not go as far, or another way, its entry in the table says so; what only one of them does is in
the module of that peer."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from gossipsub.conformance.build_js import SOURCE as JS
from gossipsub.conformance.driver import (
    Event,
    PeerError,
    PeerFailed,
    PeerProcess,
    PeerTimeout,
    start_peer,
)
from gossipsub.conformance.exchange import connect, exchange, in_mesh, start_peers

FAST = {"heartbeatMs": 100, "heartbeatInitialDelayMs": 10}
STATS = {
    *("received", "bytes", "first_ns", "last_ns", "backwards", "duplicates", "rejected"),
    *("rejections", "rpc_in", "rpc_out", "rpc_dropped", "undelivered", "throttled"),
    *("cpu_user_s", "cpu_sys_s", "cpu_s", "cpu_since_reset_s", "rss_bytes", "max_rss_bytes"),
    "latency_us",
}
EVERY_PARAMETER = {
    **{"D": 5, "Dlo": 4, "Dhi": 9, "Dscore": 3, "Dout": 1, "Dlazy": 5, "gossipFactor": 0.5},
    **{"gossipRetransmission": 2, "historyLength": 6, "historyGossip": 4, "heartbeatMs": 500},
    **{"heartbeatInitialDelayMs": 50, "fanoutTTLMs": 5000, "pruneBackoffMs": 2000},
    **{"unsubscribeBackoffMs": 1500, "graftFloodThresholdMs": 500, "iwantFollowupMs": 900},
    **{"seenTTLMs": 60_000, "prunePeers": 4, "opportunisticGraftTicks": 10},
    **{"opportunisticGraftPeers": 1, "maxIHaveLength": 100, "maxIHaveMessages": 5},
    **{"idontwantThreshold": 512, "floodPublish": False, "doPX": True, "maxMessageSize": 100_000},
    **{"outboundQueue": 64, "validateQueue": 64, "validateThrottle": 64, "validateWorkers": 2},
    **{"subBuffer": 64, "protocols": ["/meshsub/1.1.0", "/meshsub/1.0.0"], "direct": []},
    **{"validate": True, "metrics": False},
}
ALL_POLICIES = {"strict": True, "lax": True, "author": True, "none": False}
DECIDED = {"validation failed": 2, "validation ignored": 1}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A peer, and what is particular about it."""

    name: str
    fixture: str
    backends: tuple[str, ...] = ("asyncio",)
    """Of the driver; once is enough for peers that take long."""
    friend: str = "python"
    """What it meets where one other peer will do."""
    impl: str
    version: tuple[str, str]
    params: Mapping[str, object]
    """Given to it at first."""
    unsupported: list[str]
    """Which of these it has no use for."""
    protocol: str = "/meshsub/1.3.0"
    names_peers_in_addresses: bool = False
    """What it tells of a peer's addresses ends in the peer's id."""
    hears_itself: bool | None = None
    """Whether the application gets its own messages; None where nothing was said of it."""
    large_messages: bool = True
    """Messages of 64 KiB pass."""
    counts_rpcs: bool = True
    rejections: Mapping[str, int] | None = field(default_factory=lambda: DECIDED)
    """How it calls two rejected messages and an ignored one; None where the words vary."""
    can_ignore: bool = True
    """Validators have a third verdict."""
    scores_topics: bool = True
    """Scores are told with their parts in topics."""
    unsupported_score: tuple[str, ...] = ()
    policies: Mapping[str, bool]
    """Signature policies, and whether messages name their author."""
    unsigned: Mapping[str, int] = field(default_factory=dict)
    """How a strict friend counts a message that is not signed."""
    refuses_known_ids: bool = False
    """Publishing what has a known id is an error."""
    wrong_flags: list[tuple[list[str], str]]
    wrong_commands: list[tuple[str, dict[str, Any], str]]
    connect_seconds: float = 10.0
    refusal: str | None = None
    """What it says of a connection that is refused; None where the system's words are passed on."""


GO = Kind(
    name="go",
    fixture="go_peer_available",
    backends=("asyncio", "trio"),
    friend="go",
    impl="go-libp2p-pubsub",
    version=("go-libp2p-pubsub", "v0.19.0"),
    params={"validate": 1, "metrics": True},
    unsupported=["metrics", "validate"],
    hears_itself=True,
    policies=ALL_POLICIES,
    unsigned={"missing signature": 1},
    wrong_flags=[
        (["--bogus"], "flag provided but not defined: -bogus"),
        (["extra"], 'unexpected argument "extra"'),
        (["--protocol", "episub"], "must be one of gossipsub, floodsub"),
        (["--sign", "maybe"], "must be one of strict, none, lax, author"),
        (["--msgid", "uuid"], "must be one of default, content, library"),
        (["--seed", "-1"], "is not a number"),
        (["--listen", "127.0.0.1:0"], "must begin with /"),
        (["--params", '{"E": 1}'], 'unknown parameter "E"'),
        (["--params", '{"D": "six"}'], "--params: D: "),
        (["--params", '{"D": null}'], "--params: D: must not be null"),
        (["--params", '{"Dlo": 7}'], "must be between Dlo=7"),
        (["--params", "[]"], "--params: "),
        (["--score", '{"topics": {"t": {"weight": 1}}}'], 'unknown field "weight"'),
        (["--score", '{"thresholds": {"gossip": 1}}'], "invalid gossip threshold"),
    ],
    wrong_commands=[
        ("fly", {}, 'unknown command "fly"'),
        ("subscribe", {}, "topic: missing"),
        ("subscribe", {"topic": 1}, "not a command"),
        ("unsubscribe", {"topic": "t"}, 'not subscribed to "t"'),
        ("publish", {"topic": "t", "data_b64": "?"}, "data_b64: "),
        ("disconnect", {"peer": "nobody"}, 'peer "nobody"'),
        ("connect", {"addr": "/ip4/127.0.0.1/tcp/1"}, "invalid p2p multiaddr"),
        ("publish_many", {"topic": "t", "size": 16}, "count: missing"),
        ("publish_many", {"topic": "t", "count": 1, "size": 15}, "size: must be at least 16"),
        ("progress", {"every": -1}, "every: must not be negative"),
    ],
)
RUST = Kind(
    name="rust",
    fixture="rust_peer_available",
    backends=("asyncio", "trio"),
    friend="rust",
    impl="rust-libp2p",
    version=("libp2p-gossipsub", "0.50.1"),
    params=EVERY_PARAMETER,
    unsupported=["subBuffer", "validateQueue", "validateThrottle", "validateWorkers"],
    hears_itself=False,
    large_messages=False,  # unless its limit is raised: its own module tries that
    counts_rpcs=False,
    scores_topics=False,  # its own module tries what it tells
    policies=ALL_POLICIES,
    unsigned={"InvalidSignature": 1},
    wrong_flags=[
        (["--bogus"], 'unknown flag "--bogus"'),
        (["extra"], 'unexpected argument "extra"'),
        (["--seed"], "--seed: needs a value"),
        (["--protocol", "episub"], "must be one of gossipsub, floodsub"),
        (["--protocol", "floodsub"], "unsupported"),
        (["--sign", "maybe"], "must be one of strict, none, lax, author"),
        (["--msgid", "uuid"], "must be one of default, content, library"),
        (["--seed", "-1"], "is not a number"),
        (["--listen", "127.0.0.1:0"], '--listen "127.0.0.1:0": '),
        (["--listen", "/ip4/127.0.0.1/udp/0"], "must be a TCP address"),
        (["--params", '{"E": 1}'], 'unknown parameter "E"'),
        (["--params", '{"D": "six"}'], "--params: D: "),
        (["--params", '{"D": null}'], "--params: D: "),
        (["--params", '{"historyLength": 1}'], "--params: "),
        (["--params", '{"heartbeatMs": 0}'], "heartbeatMs: must be above 0"),
        (["--params", "[]"], "--params: "),
        (["--score", '{"topics": {"t": {"weight": 1}}}'], "unknown field `weight`"),
        (["--score", '{"thresholds": {"gossip": 1}}'], "invalid gossip threshold"),
    ],
    wrong_commands=[
        ("fly", {}, 'unknown command "fly"'),
        ("subscribe", {}, "topic: missing"),
        ("subscribe", {"topic": 1}, "not a command"),
        ("unsubscribe", {"topic": "t"}, 'not subscribed to "t"'),
        ("publish", {"topic": "t", "data_b64": "?"}, "data_b64: "),
        ("disconnect", {"peer": "nobody"}, 'peer "nobody"'),
        ("connect", {"addr": "/ip4/127.0.0.1/tcp/1"}, "must end in /p2p/"),
        ("publish_many", {"topic": "t", "size": 16}, "count: missing"),
        ("publish_many", {"topic": "t", "count": 1, "size": 15}, "size: must be at least 16"),
        ("progress", {"every": -1}, "every: must not be negative"),
        ("app_score", {"peer": "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"}, "missing"),
    ],
)
JS_LIBP2P = Kind(
    name="js",
    fixture="js_peer_available",
    impl="js",
    version=(
        "@libp2p/gossipsub",
        json.loads((JS / "package.json").read_text())["dependencies"]["@libp2p/gossipsub"],
    ),
    params={"validate": 1, "outboundQueue": 5, "D": 6, "Dlazy": 9},
    unsupported=["outboundQueue", "validate"],
    protocol="/meshsub/",
    names_peers_in_addresses=True,
    rejections=None,
    policies={"strict": True, "none": False},
    refuses_known_ids=True,
    wrong_flags=[
        (["--bogus"], "'--bogus'"),
        (["extra"], "'extra'"),
        (["--protocol", "floodsub"], "--protocol floodsub: unsupported"),
        (["--sign", "lax"], "--sign lax: unsupported: this library has strict and none"),
        (["--msgid", "uuid"], "--msgid uuid"),
        (["--seed", "-1"], "--seed"),
        (["--seed", str(2**64)], "not a number"),
        (["--listen", "127.0.0.1:0"], "--listen: "),
        (["--params", '{"E": 1}'], "unknown parameter 'E'"),
        (["--params", '{"D": "six"}'], "--params: D: "),
        (["--params", '{"Dlo": 7}'], "need Dlo <= D <= Dhi"),
        (["--params", "[]"], "--params: "),
        (["--score", '{"topics": {"t": {"weight": 1}}}'], "unknown parameter 'weight'"),
        (["--score", '{"decayToZero": 7}'], "--params or --score: invalid DecayToZero"),
    ],
    wrong_commands=[
        ("fly", {}, "unknown command 'fly'"),
        ("subscribe", {}, "topic: missing"),
        ("subscribe", {"topic": 1}, "topic: not text"),
        ("unsubscribe", {"topic": "t"}, "not subscribed to 't'"),
        ("publish", {"topic": "t", "data_b64": "?"}, "data_b64: "),
        ("disconnect", {"peer": "nobody"}, ""),
        ("connect", {"addr": "nowhere"}, ""),
        ("publish_many", {"topic": "t", "size": 16}, "count: missing"),
        ("publish_many", {"topic": "t", "count": 1, "size": 15}, "size: must be at least 16"),
        ("progress", {"every": -1}, "every: must not be negative"),
        ("validator", {"topic": "t", "verdict": "maybe"}, "accept, reject, ignore or clear"),
    ],
    connect_seconds=20.0,
)
PY_LIBP2P = Kind(
    name="py-libp2p",
    fixture="py_libp2p_peer_available",
    impl="py-libp2p",
    version=("py-libp2p", "0.8.1"),
    params={"validate": 1, "outboundQueue": 5, "D": 4, "Dlo": 3, "Dlazy": 9},
    unsupported=["Dlazy", "outboundQueue", "validate"],
    large_messages=False,
    rejections={"validation failed": 2},
    can_ignore=False,
    unsupported_score=("retainScoreMs",),
    policies={"strict": True},  # and author, which its friend has not: see the unsigned messages
    unsigned={"missing signature": 1},
    wrong_flags=[
        (["--bogus"], "unrecognized arguments: --bogus"),
        (["--protocol", "episub"], "invalid choice: 'episub'"),
        (["--sign", "none"], "--sign none: unsupported: this library has strict and author"),
        (["--seed", "-1"], "is not a number"),
        (["--listen", "127.0.0.1:0"], "--listen: "),
        (["--params", '{"E": 1}'], "unknown parameter 'E'"),
        (["--params", '{"D": "six"}'], "--params: D: "),
        (["--params", '{"Dlo": 7}'], "need Dlo <= D <= Dhi"),
        (["--params", "[]"], "--params: "),
        (["--score", '{"topics": {"t": {"weight": 1}}}'], "unknown parameter 'weight'"),
    ],
    wrong_commands=[
        ("fly", {}, "unknown command 'fly'"),
        ("subscribe", {}, "topic: missing"),
        ("unsubscribe", {"topic": "t"}, "not subscribed to 't'"),
        ("publish", {"topic": "t", "data_b64": "?"}, "data_b64: "),
        ("disconnect", {"peer": "nobody"}, "nobody"),
        ("connect", {"addr": "/ip4/127.0.0.1/tcp/1"}, "addr: "),
        ("connect", {"addr": "nowhere"}, "addr: "),
        ("publish_many", {"topic": "t", "size": 16}, "count: missing"),
        ("progress", {"every": -1}, "every: must not be negative"),
    ],
    connect_seconds=20.0,
    refusal="cannot connect",
)

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(900),  # whichever comes first may have to be built
]


def peers(*kinds: Kind) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("kind", "anyio_backend"),
        [(kind, backend) for kind in kinds for backend in kind.backends],
        ids=[f"{kind.name}-{backend}" for kind in kinds for backend in kind.backends],
    )


every_peer = peers(GO, RUST, JS_LIBP2P, PY_LIBP2P)


@pytest.fixture(autouse=True)
def available(kind: Kind, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(kind.fixture)


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def number(event: Event) -> int:
    """Of a message of publish_many."""
    return int.from_bytes(event["data"][:8], "big")


@contextlib.asynccontextmanager
async def pair(
    kind: Kind, other: str | None = None, **options: Any
) -> AsyncIterator[tuple[PeerProcess, PeerProcess]]:
    """The peer, and a friend that dialled it: subscribed, and each knowing it of the other."""
    options = {"params": FAST} | options
    async with start_peers(kind.name, other or kind.friend, topic="t", **options) as (peer, friend):
        await connect(friend, peer, topic="t")
        yield peer, friend


@contextlib.asynccontextmanager
async def mesh(
    kind: Kind, other: str | None = None, **options: Any
) -> AsyncIterator[tuple[PeerProcess, PeerProcess]]:
    """And in each other's mesh."""
    async with pair(kind, other, **options) as (peer, friend):
        await in_mesh(peer, friend, topic="t")
        yield peer, friend


@every_peer
async def test_a_peer_introduces_itself_and_its_key_follows_from_the_seed(kind: Kind) -> None:
    async with start_peer(kind.name, seed=0, params=kind.params) as peer:
        assert peer.peer_id == "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
        assert peer.ready["impl"] == kind.impl
        library, version = kind.version
        assert peer.ready["versions"][library] == version
        assert sorted(peer.ready["unsupported_params"]) == kind.unsupported
        (address,) = peer.addresses
        assert address.startswith("/ip4/127.0.0.1/tcp/")
        assert address.endswith(f"/p2p/{peer.peer_id}")
    assert (peer.exit_status, peer.killed) == (0, False)


@every_peer
@pytest.mark.parametrize("like", [True, False], ids=["its-like", "python"])
async def test_two_peers_find_each_other_exchange_messages_and_part(kind: Kind, like: bool) -> None:
    async with mesh(kind, kind.name if like else "python") as (peer, friend):
        for here, there in ((peer, friend), (friend, peer)):
            assert (await here.wait_event("peer_connected"))["peer"] == there.peer_id
            joined = await here.wait_event("topic_peer_join")
            assert (joined["topic"], joined["peer"]) == ("t", there.peer_id)
            assert (await here.command("topic_peers", topic="t"))["peers"] == [there.peer_id]
            assert (await here.command("topic_peers", topic="other"))["peers"] == []
            await here.wait_answer("peers", lambda answer: answer["peers"][0]["topics"] == ["t"])
        (at_peer,) = (await peer.command("peers"))["peers"]
        assert (at_peer["peer"], at_peer["direction"]) == (friend.peer_id, "in")
        (at_friend,) = (await friend.command("peers"))["peers"]
        assert (at_friend["peer"], at_friend["direction"]) == (peer.peer_id, "out")
        for entry in (at_peer, at_friend):
            assert entry["protocol"].startswith(kind.protocol)
        address, name = peer.addresses[0], f"/p2p/{peer.peer_id}"
        names_peer = like and kind.names_peers_in_addresses
        assert at_friend["addrs"] == [address if names_peer else address.removesuffix(name)]
        await _messages_pass(kind, peer, friend)
        await _part(peer, friend)


async def _messages_pass(kind: Kind, peer: PeerProcess, friend: PeerProcess) -> None:
    both = [peer, friend]
    for here, there, data in ((friend, peer, b"\x00hello"), (peer, friend, b"\x00back")):
        await here.publish("t", data)
        message = await there.wait_event("message", where=lambda event, d=data: event["data"] == d)
        assert message["topic"] == "t"
        assert (message["from"], message["received_from"]) == (here.peer_id, here.peer_id)
    if kind.hears_itself is True:
        assert (await peer.wait_event("message"))["received_from"] == peer.peer_id
    elif kind.hears_itself is False:
        assert peer.messages() == []
    await exchange(both, both, topic="t", count=40, size=100, window=16)
    if kind.large_messages:
        await exchange(both, both, topic="t", count=3, size=64 * 1024, window=2)


async def _part(peer: PeerProcess, friend: PeerProcess) -> None:
    """Out of the topic, then out of touch, and together again."""
    await friend.command("unsubscribe", topic="t")
    assert (await peer.wait_event("topic_peer_leave"))["peer"] == friend.peer_id
    await peer.wait_answer("mesh", lambda answer: answer["peers"] == [], topic="t")
    await peer.command("disconnect", peer=friend.peer_id)
    for here, there in ((peer, friend), (friend, peer)):
        assert (await here.wait_event("peer_disconnected"))["peer"] == there.peer_id
        await here.wait_answer("peers", lambda answer: answer["peers"] == [])
    await friend.command("connect", addr=peer.addresses[0])


@every_peer
async def test_stats_count_what_others_sent_and_start_anew_when_reset(kind: Kind) -> None:
    async with mesh(kind) as (peer, friend):
        await peer.command("progress", every=2)
        await peer.publish("t", b"its own do not count")
        for count in range(4):
            await friend.publish("t", b"message %d" % count)
        assert [(await peer.wait_event("progress"))["received"] for _ in range(2)] == [2, 4]
        stats = await peer.command("reset_stats")
        assert set(stats) >= STATS
        assert (stats["received"], stats["bytes"], stats["rejected"]) == (4, 36, 0)
        assert 0 < stats["first_ns"] <= stats["last_ns"] <= time.time_ns()
        assert stats["cpu_s"] >= stats["cpu_since_reset_s"] > 0
        assert stats["max_rss_bytes"] >= stats["rss_bytes"] > 1_000_000
        assert stats["latency_us"]["count"] == 0  # no send times in these
        fresh = await peer.command("stats")
        for counted in ("received", "bytes", "first_ns", "duplicates"):
            assert fresh[counted] == 0
        assert fresh["cpu_since_reset_s"] < stats["cpu_since_reset_s"]
        if kind.counts_rpcs:
            assert min(stats["rpc_in"], stats["rpc_out"]) > 0
            assert fresh["rpc_in"] < stats["rpc_in"]


@every_peer
async def test_publish_many_keeps_within_its_window(kind: Kind) -> None:
    in_order = FAST | {"validateWorkers": 1}  # several verify side by side and mix the order up
    async with mesh(kind, quiet=True, params=in_order) as (peer, friend):
        await friend.command("progress", every=10)
        answer: dict[str, Any] = {}

        async def publish() -> None:
            many = {"count": 40, "size": 100, "window": 10, "first_seq": 5}
            answer.update(await peer.command("publish_many", topic="t", timeout=60, **many))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(publish)
            for received in (10, 20, 30, 40):
                assert (await friend.wait_event("progress"))["received"] == received
                with pytest.raises(PeerTimeout):  # the window is shut: nothing more comes
                    await friend.wait_event("progress", timeout=0.05)
                await peer.credit(received)
        assert (answer["sent"], answer["failed"], answer["aborted"]) == (40, 0, False)
        assert answer["elapsed_ns"] > 150_000_000  # it stood still four times
        stats = await friend.command("stats")
        assert (stats["received"], stats["bytes"], stats["backwards"]) == (40, 4000, 0)
        latency = stats["latency_us"]
        assert latency["count"] == 40
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"] < 10_000_000
        assert friend.messages() == []  # quiet
        await peer.command("publish_many", topic="t", count=1, size=16)  # from 0: behind the others
        await friend.wait_answer("stats", lambda stats: stats["backwards"] == 1)


@every_peer
async def test_the_payloads_of_publish_many_carry_a_number_and_a_send_time(kind: Kind) -> None:
    before = time.time_ns()
    async with mesh(kind) as (peer, friend):
        await peer.command("publish_many", topic="t", count=3, size=24, first_seq=2**40)
        events = [await friend.wait_event("message") for _ in range(3)]
    assert sorted(number(event) for event in events) == [2**40, 2**40 + 1, 2**40 + 2]
    payloads = [event["data"] for event in events]
    assert all(before < int.from_bytes(data[8:16], "big") < time.time_ns() for data in payloads)
    assert len({data[16:] for data in payloads}) == 3


@every_peer
async def test_publish_many_can_be_paced_stopped_and_limited_in_time(kind: Kind) -> None:
    async with mesh(kind) as (peer, friend):
        paced = await peer.command("publish_many", topic="t", count=11, size=24, rate=100)
        assert (paced["sent"], paced["aborted"]) == (11, False)
        assert 100_000_000 <= paced["elapsed_ns"] < 5_000_000_000
        got = [await friend.wait_event("message") for _ in range(11)]
        assert sorted(number(event) for event in got) == list(range(11))
        limited = {"count": 9, "size": 16, "window": 1, "timeout_ms": 300}
        late = await peer.command("publish_many", topic="t", **limited)
        assert (late["sent"], late["aborted"]) == (1, True)

        async def stop() -> None:  # when the window's second message is out
            await friend.wait_event("message", where=lambda event: number(event) == 101)
            with pytest.raises(PeerError, match="another publish_many is running"):
                await peer.command("publish_many", topic="t", count=1, size=16)
            await peer.command("publish_stop")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop)
            many = {"count": 9, "size": 16, "window": 2, "first_seq": 100}
            stopped = await peer.command("publish_many", topic="t", timeout=60, **many)
        assert (stopped["sent"], stopped["aborted"]) == (2, True)


@every_peer
async def test_the_newest_matching_validator_rule_decides(kind: Kind) -> None:
    async with mesh(kind) as (peer, friend):
        rules = [("reject", b""), ("accept", b"good"), ("ignore", b"good but"), ("accept", b"z")]
        sent = [b"bad", b"good", b"good but", b"zzz", b"good 2"]
        if not kind.can_ignore:
            with pytest.raises(PeerError, match="unsupported: validators of this library accept"):
                await peer.command("validator", topic="t", verdict="ignore", prefix_b64="")
            del rules[2], sent[2]
        for verdict, prefix in rules:
            await peer.command("validator", topic="t", verdict=verdict, prefix_b64=encode(prefix))
        await peer.command("validator", topic="t", verdict="clear", prefix_b64=encode(b"z"))
        for data in sent:
            await friend.publish("t", data)
        wanted = (2, len(sent) - 2)
        stats = await peer.wait_answer(
            "stats", lambda stats: (stats["received"], stats["rejected"]) == wanted
        )
        assert sorted(event["data"] for event in peer.messages()) == [b"good", b"good 2"]
        if kind.rejections is not None:
            assert stats["rejections"] == kind.rejections
        else:
            assert sorted(stats["rejections"].values()) == [1, 2]
        await peer.command("validator", topic="t", verdict="clear", prefix_b64="")
        await friend.publish("t", b"bad again")
        await peer.wait_event("message", where=lambda event: event["data"] == b"bad again")
        with pytest.raises(PeerError, match=r"accept, reject, ignore or clear|unsupported"):
            await peer.command("validator", topic="t", verdict="maybe", prefix_b64="")


@every_peer
async def test_a_slow_verdict_holds_up_no_other_message(kind: Kind) -> None:
    async with mesh(kind) as (peer, friend):
        slow = {"prefix_b64": encode(b"slow"), "delay_ms": 300}
        await peer.command("validator", topic="t", verdict="accept", **slow)
        start = time.monotonic()
        for data in (b"slow", b"fast"):
            await friend.publish("t", data)
        assert [(await peer.wait_event("message"))["data"] for _ in range(2)] == [b"fast", b"slow"]
        assert time.monotonic() - start > 0.3


@every_peer
async def test_scores_are_shown_and_the_applications_part_can_be_set(kind: Kind) -> None:
    score: dict[str, Any] = {"appSpecificWeight": 2, "thresholds": {"graylist": -1000}}
    score |= dict.fromkeys(kind.unsupported_score, 5)

    def is_judged(answer: Event) -> bool:
        entry = answer["scores"][friend.peer_id]
        topic = entry["topics"]["t"] if kind.scores_topics else {"invalid_message_deliveries": 1}
        invalid = topic["invalid_message_deliveries"]
        return bool(invalid > 0 and entry["app_specific_score"] == -3 and entry["score"] < -6)

    async with mesh(kind, score=score) as (peer, friend):
        named = [name for name in peer.ready["unsupported_params"] if name.startswith("score.")]
        assert named == [f"score.{name}" for name in kind.unsupported_score]
        await peer.command("validator", topic="t", verdict="reject", prefix_b64=encode(b"bad"))
        await friend.publish("t", b"bad")
        await peer.command("app_score", peer=friend.peer_id, score=-3)
        await peer.wait_answer("scores", is_judged)
    async with start_peer(kind.name) as peer:
        with pytest.raises(PeerError, match="peer scoring is off"):
            await peer.command("scores")


@every_peer
async def test_each_signing_policy_delivers_among_its_own(kind: Kind) -> None:
    for sign, is_named in kind.policies.items():
        async with mesh(kind, sign=sign) as (peer, friend):
            for publisher, other, data in ((friend, peer, b"there"), (peer, friend, b"back")):
                await publisher.publish("t", data)
                message = await other.wait_event(
                    "message",
                    where=lambda event, d=data: event["data"] == d,
                )
                assert message["from"] == (publisher.peer_id if is_named else None), sign


@peers(GO, RUST, PY_LIBP2P)  # js signs all that names an author
async def test_unsigned_messages_are_refused_by_a_strict_peer(kind: Kind) -> None:
    async with start_peer(kind.name, sign="author") as author, start_peer(kind.friend) as strict:
        await strict.command("subscribe", topic="t")
        await author.command("connect", addr=strict.addresses[0])
        await author.wait_answer("topic_peers", lambda answer: answer["peers"] != [], topic="t")
        await author.publish("t", b"data")
        stats = await strict.wait_answer("stats", lambda stats: stats["rejected"] == 1)
        assert stats["rejections"] == kind.unsigned
        assert stats["received"] == 0


@every_peer
@pytest.mark.parametrize(("msgid", "copies"), [("default", 2), ("library", 2), ("content", 1)])
async def test_the_message_id_decides_what_is_the_same_message(
    kind: Kind, msgid: str, copies: int
) -> None:
    async with mesh(kind, kind.name, msgid=msgid) as (peer, friend):
        await friend.publish("t", b"twice")
        with contextlib.suppress(*[PeerError] * kind.refuses_known_ids):
            await friend.publish("t", b"twice")
        await friend.publish("t", hashlib.sha256(msgid.encode()).digest())
        await peer.wait_answer("stats", lambda stats: stats["received"] == copies + 1)


@peers(GO, PY_LIBP2P)  # the others have none
async def test_floodsub_has_no_mesh_and_knows_no_mesh_parameters(kind: Kind) -> None:
    async with pair(kind, protocol="floodsub") as (peer, friend):
        assert peer.ready["unsupported_params"] == ["heartbeatInitialDelayMs", "heartbeatMs"]
        assert (await friend.command("peers"))["peers"][0]["protocol"] == "/floodsub/1.0.0"
        await friend.publish("t", b"data")
        assert (await peer.wait_event("message"))["data"] == b"data"
        assert (await peer.command("mesh", topic="t"))["peers"] == []


@every_peer
async def test_a_wrong_flag_is_refused_with_one_line_and_status_2(kind: Kind) -> None:
    for arguments, complaint in kind.wrong_flags:
        peer = start_peer(kind.name, arguments=arguments)
        with pytest.raises(PeerFailed) as caught:
            async with peer:
                pytest.fail(f"the block ran: {arguments}")
        assert caught.value.exit_status == 2, arguments
        assert complaint in peer.stderr
        assert peer.stderr.count("\n") == 1, peer.stderr


@every_peer
async def test_a_command_that_cannot_be_done_says_why_and_the_peer_goes_on(kind: Kind) -> None:
    async with start_peer(kind.name) as peer:
        for name, fields, complaint in kind.wrong_commands:
            with pytest.raises(PeerError) as caught:
                await peer.command(name, **fields)
            assert complaint in caught.value.reason
        await peer.command("stats")


@every_peer
async def test_a_refused_connection_is_an_error_and_can_be_tried_again(kind: Kind) -> None:
    async with start_peer(kind.name, seed=3) as other:
        address = other.addresses[0]
        port = address.split("/")[4]
    async with start_peer(kind.name) as peer:
        with pytest.raises(PeerError, match=kind.refusal):
            await peer.command("connect", addr=address, timeout=kind.connect_seconds)
        async with start_peer(kind.name, seed=3, listen=f"/ip4/127.0.0.1/tcp/{port}"):
            await peer.command("connect", addr=address, timeout=kind.connect_seconds)


@every_peer
async def test_a_peer_ends_when_it_is_told_to(kind: Kind) -> None:
    async with start_peer(kind.name) as peer:
        assert (await peer.command("exit"))["event"] == "ok"
        with pytest.raises(PeerFailed):
            await peer.wait_event("message")
    assert (peer.exit_status, peer.killed) == (0, False)
