"""The peer written in Go, held to the test-peer protocol."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from gossipsub.conformance.driver import (
    PeerError,
    PeerFailed,
    PeerProcess,
    PeerTimeout,
    start_peer,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("go_peer_available")]

FAST = {"heartbeatMs": 100, "heartbeatInitialDelayMs": 10}
STATS = {
    *("received", "bytes", "first_ns", "last_ns", "backwards", "duplicates", "rejected"),
    *("rejections", "rpc_in", "rpc_out", "rpc_dropped", "undelivered", "throttled"),
    *("cpu_user_s", "cpu_sys_s", "cpu_s", "cpu_since_reset_s", "rss_bytes", "max_rss_bytes"),
    "latency_us",
}


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


@contextlib.asynccontextmanager
async def pair(*, topic: str = "t", **options: Any) -> AsyncIterator[tuple[PeerProcess, ...]]:
    """Two connected peers that subscribe to a topic and know it of each other."""
    options = {"params": FAST} | options
    async with start_peer("go", seed=1, **options) as a, start_peer("go", seed=2, **options) as b:
        for peer in (a, b):
            await peer.command("subscribe", topic=topic)
        assert (await a.command("connect", addr=b.addresses[0]))["peer"] == b.peer_id
        for peer, other in ((a, b), (b, a)):
            joined = await peer.wait_event("topic_peer_join")
            assert (joined["topic"], joined["peer"]) == (topic, other.peer_id)
        yield a, b


async def in_mesh(a: PeerProcess, b: PeerProcess, topic: str = "t") -> None:
    await a.wait_answer("mesh", lambda answer: answer["peers"] == [b.peer_id], topic=topic)
    await b.wait_answer("mesh", lambda answer: answer["peers"] == [a.peer_id], topic=topic)


async def test_a_peer_introduces_itself_and_its_key_follows_from_the_seed() -> None:
    async with start_peer("go", seed=0, params={"validate": 1, "metrics": True}) as peer:
        assert peer.peer_id == "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
        assert peer.ready["impl"] == "go-libp2p-pubsub"
        assert peer.ready["versions"]["go-libp2p-pubsub"] == "v0.19.0"
        assert peer.ready["unsupported_params"] == ["metrics", "validate"]
        (address,) = peer.addresses
        assert address.startswith("/ip4/127.0.0.1/tcp/")
        assert address.endswith(f"/p2p/{peer.peer_id}")
    assert (peer.exit_status, peer.killed) == (0, False)


async def test_two_peers_find_each_other_and_exchange_messages() -> None:
    async with pair() as (a, b):
        assert (await a.wait_event("peer_connected"))["peer"] == b.peer_id
        await in_mesh(a, b)
        assert (await a.command("topic_peers", topic="t"))["peers"] == [b.peer_id]
        assert (await a.command("topic_peers", topic="other"))["peers"] == []
        await b.wait_answer("peers", lambda answer: answer["peers"][0]["topics"] == ["t"])
        (there,) = (await a.command("peers"))["peers"]
        assert (there["peer"], there["direction"]) == (b.peer_id, "out")
        assert there["addrs"] == [b.addresses[0].removesuffix(f"/p2p/{b.peer_id}")]
        assert there["protocol"] == "/meshsub/1.3.0"
        (back,) = (await b.command("peers"))["peers"]
        assert (back["peer"], back["direction"]) == (a.peer_id, "in")

        await a.publish("t", b"\x00hello")
        message = await b.wait_event("message")
        assert (message["topic"], message["data"]) == ("t", b"\x00hello")
        assert (message["from"], message["received_from"]) == (a.peer_id, a.peer_id)
        own = await a.wait_event("message")  # this library hands a node its own messages too
        assert own["received_from"] == a.peer_id

        await b.command("unsubscribe", topic="t")
        assert (await a.wait_event("topic_peer_leave"))["peer"] == b.peer_id
        await a.wait_answer("mesh", lambda answer: answer["peers"] == [], topic="t")
        await a.command("disconnect", peer=b.peer_id)
        assert (await b.wait_event("peer_disconnected"))["peer"] == a.peer_id
        assert (await b.command("peers"))["peers"] == []


async def test_stats_count_what_others_sent_and_start_anew_when_reset() -> None:
    async with pair() as (a, b):
        await in_mesh(a, b)
        await b.command("progress", every=2)
        for number in range(4):
            await a.publish("t", b"message %d" % number)
        assert [(await b.wait_event("progress"))["received"] for _ in range(2)] == [2, 4]
        stats = await b.command("reset_stats")
        assert set(stats) >= STATS
        assert (stats["received"], stats["bytes"], stats["rejected"]) == (4, 36, 0)
        assert stats["first_ns"] <= stats["last_ns"] <= time.time_ns()
        assert stats["rpc_in"] > 0
        assert stats["cpu_s"] >= stats["cpu_since_reset_s"] > 0
        assert stats["max_rss_bytes"] >= stats["rss_bytes"] > 1_000_000
        assert stats["latency_us"]["count"] == 0  # no send times in these
        fresh = await b.command("stats")
        assert (fresh["received"], fresh["first_ns"]) == (0, 0)
        assert fresh["cpu_since_reset_s"] < stats["cpu_since_reset_s"]
        assert (await a.command("stats"))["received"] == 0  # its own do not count


async def test_publish_many_keeps_within_its_window() -> None:
    in_order = FAST | {"validateWorkers": 1}  # several verify side by side and mix the order up
    async with pair(quiet=True, params=in_order) as (a, b):
        await in_mesh(a, b)
        await b.command("progress", every=10)
        answer: dict[str, Any] = {}

        async def publish() -> None:
            answer.update(
                await a.command(
                    "publish_many", topic="t", count=40, size=100, window=10, first_seq=5
                )
            )

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(publish)
            for received in (10, 20, 30, 40):
                assert (await b.wait_event("progress"))["received"] == received
                with pytest.raises(PeerTimeout):  # the window is shut: nothing more comes
                    await b.wait_event("progress", timeout=0.05)
                await a.credit(received)
        assert (answer["sent"], answer["failed"], answer["aborted"]) == (40, 0, False)
        assert answer["elapsed_ns"] > 150_000_000  # it stood still four times
        stats = await b.command("stats")
        assert (stats["received"], stats["bytes"], stats["backwards"]) == (40, 4000, 0)
        latency = stats["latency_us"]
        assert latency["count"] == 40
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"] < 10_000_000
        assert b.messages() == []  # quiet
        await a.command("publish_many", topic="t", count=1, size=16)  # from 0: behind the others
        await b.wait_answer("stats", lambda stats: stats["backwards"] == 1)


async def test_the_payloads_of_publish_many_carry_a_number_and_a_send_time() -> None:
    before = time.time_ns()
    async with pair() as (a, b):
        await in_mesh(a, b)
        await a.command("publish_many", topic="t", count=3, size=24, first_seq=2**40)
        payloads = [(await b.wait_event("message"))["data"] for _ in range(3)]
    numbers = [int.from_bytes(data[:8], "big") for data in payloads]
    assert sorted(numbers) == [2**40, 2**40 + 1, 2**40 + 2]
    assert all(before < int.from_bytes(data[8:16], "big") < time.time_ns() for data in payloads)
    assert len({data[16:] for data in payloads}) == 3


async def test_publish_many_can_be_paced_stopped_and_limited_in_time() -> None:
    async with start_peer("go") as peer:
        await peer.command("subscribe", topic="t")
        paced = await peer.command("publish_many", topic="t", count=11, size=16, rate=100)
        assert (paced["sent"], paced["aborted"]) == (11, False)
        assert 100_000_000 <= paced["elapsed_ns"] < 5_000_000_000
        late = await peer.command(
            "publish_many", topic="t", count=9, size=16, window=1, timeout_ms=500
        )
        assert (late["sent"], late["aborted"]) == (1, True)

        def number(event: dict[str, Any]) -> int:
            return int.from_bytes(event["data"][:8], "big")

        async def stop() -> None:  # when the window's second message is out
            await peer.wait_event("message", where=lambda event: number(event) == 101)
            with pytest.raises(PeerError, match="another publish_many is running"):
                await peer.command("publish_many", topic="t", count=1, size=16)
            await peer.command("publish_stop")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop)
            stopped = await peer.command(
                "publish_many", topic="t", count=9, size=16, window=2, first_seq=100
            )
        assert (stopped["sent"], stopped["aborted"]) == (2, True)
        with pytest.raises(PeerError, match="size: must be at least 16"):
            await peer.command("publish_many", topic="t", count=1, size=15)


async def test_the_newest_matching_validator_rule_decides() -> None:
    async with pair() as (a, b):
        await in_mesh(a, b)
        rules = [("reject", b""), ("accept", b"good"), ("ignore", b"good but"), ("accept", b"z")]
        for verdict, prefix in rules:
            await b.command("validator", topic="t", verdict=verdict, prefix_b64=encode(prefix))
        await b.command("validator", topic="t", verdict="clear", prefix_b64=encode(b"z"))
        for data in (b"bad", b"good", b"good but", b"zzz", b"good 2"):
            await a.publish("t", data)
        stats = await b.wait_answer("stats", lambda stats: stats["received"] == 2)
        assert sorted(event["data"] for event in b.messages()) == [b"good", b"good 2"]
        stats = await b.wait_answer("stats", lambda stats: stats["rejected"] == 3)
        assert stats["rejections"] == {"validation failed": 2, "validation ignored": 1}
        await b.command("validator", topic="t", verdict="clear", prefix_b64="")
        await a.publish("t", b"bad again")
        await b.wait_event("message", where=lambda event: event["data"] == b"bad again")
        with pytest.raises(PeerError, match="must be accept, reject, ignore or clear"):
            await b.command("validator", topic="t", verdict="maybe", prefix_b64="")


async def test_a_slow_verdict_holds_up_no_other_message() -> None:
    async with pair() as (a, b):
        await in_mesh(a, b)
        await b.command(
            "validator", topic="t", verdict="accept", prefix_b64=encode(b"slow"), delay_ms=300
        )
        start = time.monotonic()
        for data in (b"slow", b"fast"):
            await a.publish("t", data)
        assert (await b.wait_event("message"))["data"] == b"fast"
        assert (await b.wait_event("message"))["data"] == b"slow"
        assert time.monotonic() - start > 0.3


async def test_scores_are_shown_and_the_applications_part_can_be_set() -> None:
    score = {"decayIntervalMs": 100, "appSpecificWeight": 2, "thresholds": {"graylist": -1000}}
    async with pair(score=score) as (a, b):
        await in_mesh(a, b)
        await b.command("validator", topic="t", verdict="reject", prefix_b64=encode(b"bad"))
        await a.publish("t", b"bad")
        await a.publish("t", b"good")
        await b.command("app_score", peer=a.peer_id, score=-3)
        seen = await b.wait_answer(
            "scores",
            lambda answer: (
                answer["scores"][a.peer_id]["topics"]["t"]["invalid_message_deliveries"] > 0
            ),
        )
        entry = seen["scores"][a.peer_id]
        assert entry["app_specific_score"] == -3
        assert entry["score"] < -6
        assert entry["ip_colocation_factor"] == entry["behaviour_penalty"] == 0
        assert entry["topics"]["t"]["time_in_mesh_ms"] >= 0
        # 0.9 every 100 ms; at the library's shortest interval, 1 s, it would take 7 s
        await b.wait_answer(
            "scores",
            lambda answer: (
                answer["scores"][a.peer_id]["topics"]["t"]["invalid_message_deliveries"] < 0.5
            ),
            timeout=5,
        )
    async with start_peer("go") as peer:
        with pytest.raises(PeerError, match="peer scoring is off"):
            await peer.command("scores")


@pytest.mark.parametrize(
    ("sign", "author"), [("strict", True), ("lax", True), ("author", True), ("none", False)]
)
async def test_each_signing_policy_delivers_among_its_own(sign: str, author: bool) -> None:
    async with pair(sign=sign) as (a, b):
        await in_mesh(a, b)
        await a.publish("t", b"data")
        message = await b.wait_event("message")
        assert message["from"] == (a.peer_id if author else None)


async def test_unsigned_messages_are_refused_by_a_strict_peer() -> None:
    async with start_peer("go", sign="author") as a, start_peer("go") as b:
        await b.command("subscribe", topic="t")
        await a.command("connect", addr=b.addresses[0])
        await a.wait_answer("topic_peers", lambda answer: answer["peers"] != [], topic="t")
        await a.publish("t", b"data")
        stats = await b.wait_answer("stats", lambda stats: stats["rejected"] == 1)
        assert stats["rejections"] == {"missing signature": 1}
        assert stats["received"] == 0


@pytest.mark.parametrize(("msgid", "copies"), [("default", 2), ("library", 2), ("content", 1)])
async def test_the_message_id_decides_what_is_the_same_message(msgid: str, copies: int) -> None:
    async with pair(msgid=msgid) as (a, b):
        await in_mesh(a, b)
        for data in (b"twice", b"twice", hashlib.sha256(msgid.encode()).digest()):
            await a.publish("t", data)
        await b.wait_answer("stats", lambda stats: stats["received"] == copies + 1)


async def test_floodsub_has_no_mesh_and_knows_no_mesh_parameters() -> None:
    async with pair(protocol="floodsub") as (a, b):
        assert a.ready["unsupported_params"] == ["heartbeatInitialDelayMs", "heartbeatMs"]
        assert (await a.command("peers"))["peers"][0]["protocol"] == "/floodsub/1.0.0"
        await a.publish("t", b"data")
        assert (await b.wait_event("message"))["data"] == b"data"
        assert (await b.command("mesh", topic="t"))["peers"] == []


async def test_parameters_reach_the_library() -> None:
    params = FAST | {"protocols": ["/meshsub/1.1.0"], "maxMessageSize": 2000, "outboundQueue": 64}
    async with pair(params=params) as (a, b):
        assert (await a.command("peers"))["peers"][0]["protocol"] == "/meshsub/1.1.0"
        await in_mesh(a, b)
        await a.publish("t", b"x" * 3000)
        await a.wait_answer("stats", lambda stats: stats["rpc_dropped"] > 0)
        await a.publish("t", b"x" * 1000)
        assert len((await b.wait_event("message"))["data"]) == 1000


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
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
)
async def test_a_wrong_flag_is_refused_with_one_line_and_status_2(
    arguments: list[str], complaint: str
) -> None:
    peer = start_peer("go", arguments=arguments)
    with pytest.raises(PeerFailed) as caught:
        async with peer:
            pytest.fail("the block ran")
    assert caught.value.exit_status == 2
    assert complaint in peer.stderr
    assert peer.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "fields", "complaint"),
    [
        ("fly", {}, 'unknown command "fly"'),
        ("subscribe", {}, "topic: missing"),
        ("subscribe", {"topic": 1}, "not a command"),
        ("unsubscribe", {"topic": "t"}, 'not subscribed to "t"'),
        ("publish", {"topic": "t", "data_b64": "?"}, "data_b64: "),
        ("disconnect", {"peer": "nobody"}, 'peer "nobody"'),
        ("connect", {"addr": "/ip4/127.0.0.1/tcp/1"}, "invalid p2p multiaddr"),
        ("publish_many", {"topic": "t", "size": 16}, "count: missing"),
        ("progress", {"every": -1}, "every: must not be negative"),
    ],
)
async def test_a_command_that_cannot_be_done_says_why(
    name: str, fields: dict[str, Any], complaint: str
) -> None:
    async with start_peer("go") as peer:
        with pytest.raises(PeerError) as caught:
            await peer.command(name, **fields)
        assert complaint in caught.value.reason


async def test_a_refused_connection_is_an_error_and_can_be_tried_again() -> None:
    async with start_peer("go", seed=3) as other:
        address = other.addresses[0]
        port = address.split("/")[4]
    async with start_peer("go") as peer:
        with pytest.raises(PeerError):
            await peer.command("connect", addr=address)
        async with start_peer("go", seed=3, listen=f"/ip4/127.0.0.1/tcp/{port}"):
            await peer.command("connect", addr=address)


async def test_the_end_of_its_input_ends_the_peer() -> None:
    async with start_peer("go") as peer:
        assert (await peer.command("exit"))["event"] == "ok"
        with pytest.raises(PeerFailed):
            await peer.wait_event("message")
    assert (peer.exit_status, peer.killed) == (0, False)


@pytest.mark.skipif(not os.path.exists("/proc/net/tcp"), reason="reads the sockets from /proc")
async def test_a_peer_listens_on_its_one_address_and_nowhere_else() -> None:
    async with pair() as (a, _b):
        folder = f"/proc/{a.ready['pid']}"
        sockets = {
            link.removeprefix("socket:[").removesuffix("]")
            for name in os.listdir(f"{folder}/fd")
            if (link := os.readlink(f"{folder}/fd/{name}")).startswith("socket:[")
        }
        listening: list[tuple[str, str]] = []
        other: list[tuple[str, str]] = []
        for table in ("tcp", "tcp6", "udp", "udp6"):
            with open(f"{folder}/net/{table}") as lines:
                for columns in map(str.split, list(lines)[1:]):
                    if columns[9] in sockets:
                        (listening if columns[3] == "0A" else other).append((table, columns[1]))
        port = int(a.addresses[0].split("/")[4])
        assert listening == [("tcp", f"0100007F:{port:04X}")]
        assert all(table == "tcp" and local.startswith("0100007F") for table, local in other)
