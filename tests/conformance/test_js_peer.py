"""The peer made of js-libp2p, held to the test-peer protocol as far as the library goes."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from gossipsub.conformance.build_js import SOURCE
from gossipsub.conformance.driver import (
    PeerError,
    PeerFailed,
    PeerProcess,
    PeerTimeout,
    start_peer,
)
from gossipsub.conformance.exchange import connect, exchange, in_mesh, start_peers

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),  # the peer's own is what is tried
    pytest.mark.usefixtures("js_peer_available"),
]

FAST = {"heartbeatMs": 100}
STATS = {
    *("received", "bytes", "first_ns", "last_ns", "backwards", "duplicates", "rejected"),
    *("rejections", "rpc_in", "rpc_out", "rpc_dropped", "undelivered", "throttled"),
    *("cpu_user_s", "cpu_sys_s", "cpu_s", "cpu_since_reset_s", "rss_bytes", "max_rss_bytes"),
    "latency_us",
}


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


@contextlib.asynccontextmanager
async def pair(other: str = "python", **options: Any) -> AsyncIterator[tuple[PeerProcess, ...]]:
    """This peer, and one that dialled it: subscribed, and each knowing it of the other."""
    options = {"params": FAST} | options
    async with start_peers("js", other, topic="t", **options) as (peer, friend):
        await connect(friend, peer, topic="t")
        yield peer, friend


async def test_a_peer_introduces_itself_and_its_key_follows_from_the_seed() -> None:
    params = {"validate": 1, "outboundQueue": 5, "D": 6, "Dlazy": 9}
    async with start_peer("js", seed=0, params=params) as peer:
        assert peer.peer_id == "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
        assert peer.ready["impl"] == "js"
        pinned = json.loads((SOURCE / "package.json").read_text())["dependencies"]
        versions = peer.ready["versions"]
        assert versions["@libp2p/gossipsub"] == pinned["@libp2p/gossipsub"]
        assert sorted(peer.ready["unsupported_params"]) == ["outboundQueue", "validate"]
        (address,) = peer.addresses
        assert address.startswith("/ip4/127.0.0.1/tcp/")
        assert address.endswith(f"/p2p/{peer.peer_id}")
    assert (peer.exit_status, peer.killed) == (0, False)


@pytest.mark.parametrize("other", ["python", "js"])
async def test_two_peers_find_each_other_and_exchange_messages(other: str) -> None:
    async with pair(other) as (peer, friend):
        assert (await peer.wait_event("peer_connected"))["peer"] == friend.peer_id
        joined = await peer.wait_event("topic_peer_join")
        assert (joined["topic"], joined["peer"]) == ("t", friend.peer_id)
        await in_mesh(peer, friend, topic="t")
        (there,) = (await peer.command("peers"))["peers"]
        assert (there["peer"], there["direction"]) == (friend.peer_id, "in")
        assert (there["topics"], there["protocol"][:9]) == (["t"], "/meshsub/")
        (back,) = (await friend.command("peers"))["peers"]
        assert back["direction"] == "out"

        await friend.publish("t", b"\x00hello")
        message = await peer.wait_event("message")
        assert (message["topic"], message["data"]) == ("t", b"\x00hello")
        assert (message["from"], message["received_from"]) == (friend.peer_id, friend.peer_id)
        both = [peer, friend]
        await exchange(both, both, topic="t", count=40, size=100, window=16)
        await exchange(both, both, topic="t", count=3, size=64 * 1024, window=2)

        await friend.command("unsubscribe", topic="t")
        assert (await peer.wait_event("topic_peer_leave"))["peer"] == friend.peer_id
        await peer.wait_answer("mesh", lambda answer: answer["peers"] == [], topic="t")
        await peer.command("disconnect", peer=friend.peer_id)
        assert (await peer.wait_event("peer_disconnected"))["peer"] == friend.peer_id
        await peer.wait_answer("peers", lambda answer: answer["peers"] == [])


async def test_stats_count_what_others_sent_and_start_anew_when_reset() -> None:
    async with pair() as (peer, friend):
        await in_mesh(peer, friend, topic="t")
        await peer.command("progress", every=2)
        await peer.publish("t", b"its own do not count")
        for number in range(4):
            await friend.publish("t", b"message %d" % number)
        assert [(await peer.wait_event("progress"))["received"] for _ in range(2)] == [2, 4]
        stats = await peer.command("reset_stats")
        assert set(stats) >= STATS
        assert (stats["received"], stats["bytes"], stats["rejected"]) == (4, 36, 0)
        assert 0 < stats["first_ns"] <= stats["last_ns"]
        assert min(stats["rpc_in"], stats["rpc_out"]) > 0
        assert stats["cpu_s"] >= stats["cpu_since_reset_s"] > 0
        assert min(stats["max_rss_bytes"], stats["rss_bytes"]) > 1_000_000
        fresh = await peer.command("stats")
        assert (fresh["received"], fresh["first_ns"], fresh["bytes"]) == (0, 0, 0)


async def test_publish_many_keeps_within_its_window_and_can_be_stopped() -> None:
    async with pair(quiet=True) as (peer, friend):
        await in_mesh(peer, friend, topic="t")
        await friend.command("progress", every=10)
        answers: list[dict[str, Any]] = []

        async def publish() -> None:
            many = {"count": 40, "size": 100, "window": 10, "first_seq": 5}
            answers.append(await peer.command("publish_many", topic="t", timeout=60, **many))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(publish)
            for received in (10, 20):
                assert (await friend.wait_event("progress"))["received"] == received
                with pytest.raises(PeerTimeout):  # the window is shut: nothing more comes
                    await friend.wait_event("progress", timeout=0.05)
                with pytest.raises(PeerError, match="another publish_many is running"):
                    await peer.command("publish_many", topic="t", count=1, size=16)
                if received < 20:
                    await peer.credit(received)
            await peer.command("publish_stop")
        (answer,) = answers
        assert (answer["sent"], answer["failed"], answer["aborted"]) == (20, 0, True)
        stats = await friend.command("stats")
        assert (stats["received"], stats["bytes"]) == (20, 2000)
        assert stats["latency_us"]["count"] == 20


async def test_the_newest_matching_validator_rule_decides() -> None:
    async with pair() as (peer, friend):
        await in_mesh(peer, friend, topic="t")
        rules = [("reject", b""), ("accept", b"good"), ("ignore", b"good but"), ("accept", b"z")]
        for verdict, prefix in rules:
            await peer.command("validator", topic="t", verdict=verdict, prefix_b64=encode(prefix))
        await peer.command("validator", topic="t", verdict="clear", prefix_b64=encode(b"z"))
        for data in (b"bad", b"good", b"good but", b"zzz", b"good 2"):
            await friend.publish("t", data)
        stats = await peer.wait_answer(
            "stats", lambda stats: (stats["received"], stats["rejected"]) == (2, 3)
        )
        assert sorted(stats["rejections"].values()) == [1, 2]
        assert sorted(event["data"] for event in peer.messages()) == [b"good", b"good 2"]
        await peer.command("validator", topic="t", verdict="clear", prefix_b64="")
        await friend.publish("t", b"bad again")
        await peer.wait_event("message", where=lambda event: event["data"] == b"bad again")


async def test_a_slow_verdict_holds_up_no_other_message() -> None:
    async with pair() as (peer, friend):
        await in_mesh(peer, friend, topic="t")
        slow = {"prefix_b64": encode(b"slow"), "delay_ms": 300}
        await peer.command("validator", topic="t", verdict="accept", **slow)
        for data in (b"slow", b"fast"):
            await friend.publish("t", data)
        assert [(await peer.wait_event("message"))["data"] for _ in range(2)] == [b"fast", b"slow"]


async def test_scores_are_shown_and_the_applications_part_can_be_set() -> None:
    score = {"appSpecificWeight": 2, "thresholds": {"graylist": -1000}}
    async with pair(score=score) as (peer, friend):
        await in_mesh(peer, friend, topic="t")
        await peer.command("validator", topic="t", verdict="reject", prefix_b64=encode(b"bad"))
        await friend.publish("t", b"bad")
        await peer.command("app_score", peer=friend.peer_id, score=-3)

        def is_judged(answer: dict[str, Any]) -> bool:
            entry = answer["scores"][friend.peer_id]
            invalid = entry["topics"]["t"]["invalid_message_deliveries"]
            return bool(invalid > 0 and entry["app_specific_score"] == -3 and entry["score"] < -6)

        await peer.wait_answer("scores", is_judged)
    async with start_peer("js") as peer:
        with pytest.raises(PeerError, match="peer scoring is off"):
            await peer.command("scores")


@pytest.mark.parametrize(("sign", "is_named"), [("strict", True), ("none", False)])
async def test_each_signing_policy_delivers_among_its_own(sign: str, is_named: bool) -> None:
    async with pair(sign=sign) as (peer, friend):
        await in_mesh(peer, friend, topic="t")
        for publisher, other, data in ((friend, peer, b"there"), (peer, friend, b"back")):
            await publisher.publish("t", data)
            message = await other.wait_event(
                "message", where=lambda event, d=data: event["data"] == d
            )
            assert message["from"] == (publisher.peer_id if is_named else None)


@pytest.mark.parametrize(("msgid", "copies"), [("default", 2), ("library", 2), ("content", 1)])
async def test_the_message_id_decides_what_is_the_same_message(msgid: str, copies: int) -> None:
    async with pair(other="js", msgid=msgid) as (peer, friend):
        await in_mesh(peer, friend, topic="t")
        last = hashlib.sha256(msgid.encode()).digest()
        await friend.publish("t", b"twice")
        with contextlib.suppress(PeerError):  # what has an id already the library refuses
            await friend.publish("t", b"twice")
        await friend.publish("t", last)
        await peer.wait_answer("stats", lambda stats: stats["received"] == copies + 1)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
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
)
async def test_a_wrong_flag_is_refused_with_one_line_and_status_2(
    arguments: list[str], complaint: str
) -> None:
    peer = start_peer("js", arguments=arguments)
    with pytest.raises(PeerFailed) as caught:
        async with peer:
            pytest.fail("the block ran")
    assert caught.value.exit_status == 2
    assert complaint in peer.stderr
    assert peer.stderr.count("\n") == 1


async def test_a_command_that_cannot_be_done_says_why_and_the_peer_goes_on() -> None:
    commands: list[tuple[str, dict[str, Any], str]] = [
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
    ]
    async with start_peer("js") as peer:
        for name, fields, complaint in commands:
            with pytest.raises(PeerError) as caught:
                await peer.command(name, **fields)
            assert complaint in caught.value.reason
        await peer.command("stats")


async def test_a_refused_connection_is_an_error_and_can_be_tried_again() -> None:
    async with start_peer("js", seed=3) as other:
        address = other.addresses[0]
        port = address.split("/")[4]
    async with start_peer("js") as peer:
        with pytest.raises(PeerError):
            await peer.command("connect", addr=address, timeout=20)
        async with start_peer("js", seed=3, listen=f"/ip4/127.0.0.1/tcp/{port}"):
            await peer.command("connect", addr=address, timeout=20)


async def test_the_end_of_its_input_ends_the_peer() -> None:
    async with start_peer("js") as peer:
        assert (await peer.command("exit"))["event"] == "ok"
        with pytest.raises(PeerFailed):
            await peer.wait_event("message")
    assert (peer.exit_status, peer.killed) == (0, False)
