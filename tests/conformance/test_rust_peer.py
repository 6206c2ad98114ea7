"""The peer written in Rust, held to the test-peer protocol; and at work with the others."""

from __future__ import annotations

import base64
import contextlib
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
from gossipsub.conformance.exchange import connect, exchange, in_mesh, start_peers

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("rust_peer_available")]

FAST = {"heartbeatMs": 100, "heartbeatInitialDelayMs": 10}
ROOMY = FAST | {"outboundQueue": 1024, "validateQueue": 1024, "subBuffer": 1024}
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
STATS = {
    *("received", "bytes", "first_ns", "last_ns", "backwards", "duplicates", "rejected"),
    *("rejections", "rpc_in", "rpc_out", "rpc_dropped", "undelivered", "throttled"),
    *("cpu_user_s", "cpu_sys_s", "cpu_s", "cpu_since_reset_s", "rss_bytes", "max_rss_bytes"),
    "latency_us",
}


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


@contextlib.asynccontextmanager
async def pair(*targets: str, **options: Any) -> AsyncIterator[list[PeerProcess]]:
    """Two connected peers, each in the other's mesh."""
    async with start_peers(
        *(targets or ("rust", "rust")), topic="t", **({"params": FAST} | options)
    ) as (a, b):
        await connect(a, b, topic="t")
        await in_mesh(a, b, topic="t")
        yield [a, b]


async def test_a_peer_introduces_itself_and_its_key_follows_from_the_seed() -> None:
    async with start_peer("rust", seed=0, params=EVERY_PARAMETER) as peer:
        assert peer.peer_id == "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
        assert peer.ready["impl"] == "rust-libp2p"
        assert peer.ready["versions"]["libp2p-gossipsub"] == "0.50.1"
        assert peer.ready["unsupported_params"] == [
            *("subBuffer", "validateQueue", "validateThrottle", "validateWorkers")
        ]
        (address,) = peer.addresses
        assert address.startswith("/ip4/127.0.0.1/tcp/")
        assert address.endswith(f"/p2p/{peer.peer_id}")
    assert (peer.exit_status, peer.killed) == (0, False)


async def test_two_peers_find_each_other_and_part() -> None:
    async with pair() as (a, b):
        assert (await a.wait_event("peer_connected"))["peer"] == b.peer_id
        joined = await a.wait_event("topic_peer_join")
        assert (joined["topic"], joined["peer"]) == ("t", b.peer_id)
        assert (await a.command("topic_peers", topic="other"))["peers"] == []
        (there,) = (await a.command("peers"))["peers"]
        assert there == {
            "peer": b.peer_id,
            "addrs": [b.addresses[0].removesuffix(f"/p2p/{b.peer_id}")],
            "direction": "out",
            "topics": ["t"],
            "protocol": "/meshsub/1.3.0",
        }
        (back,) = (await b.command("peers"))["peers"]
        assert (back["peer"], back["direction"]) == (a.peer_id, "in")

        await a.publish("t", b"\x00hello")
        message = await b.wait_event("message")
        assert (message["topic"], message["data"]) == ("t", b"\x00hello")
        assert (message["from"], message["received_from"]) == (a.peer_id, a.peer_id)
        assert a.messages() == []  # this library does not hand a node its own

        await b.command("unsubscribe", topic="t")
        assert (await a.wait_event("topic_peer_leave"))["peer"] == b.peer_id
        await a.wait_answer("mesh", lambda answer: answer["peers"] == [], topic="t")
        await a.command("disconnect", peer=b.peer_id)
        assert (await b.wait_event("topic_peer_leave"))["peer"] == a.peer_id
        assert (await b.wait_event("peer_disconnected"))["peer"] == a.peer_id
        assert (await b.command("peers"))["peers"] == []
        await a.command("connect", addr=b.addresses[0])  # and again


@pytest.mark.parametrize("other", ["python", "go"])
@pytest.mark.parametrize("dials", [True, False])
async def test_it_exchanges_messages_with_the_others(
    other: str, dials: bool, request: pytest.FixtureRequest
) -> None:
    if other == "go":
        request.getfixturevalue("go_peer_available")
    targets = ("rust", other) if dials else (other, "rust")
    params = ROOMY | {"maxMessageSize": 1 << 20}  # rust's own limit is 64 KiB with all around it
    async with pair(*targets, params=params) as peers:
        await exchange(peers, peers, topic="t", count=300, size=100)
        await exchange(peers, peers, topic="t", count=20, size=1 << 16)
        for peer in peers:
            stats = await peer.command("stats")
            assert (stats["received"], stats["duplicates"], stats["rejected"]) == (320, 0, 0)


async def test_stats_count_what_others_sent_and_start_anew_when_reset() -> None:
    async with pair() as (a, b):
        await b.command("progress", every=2)
        for number in range(4):
            await a.publish("t", b"message %d" % number)
        assert [(await b.wait_event("progress"))["received"] for _ in range(2)] == [2, 4]
        stats = await b.command("reset_stats")
        assert set(stats) >= STATS
        assert (stats["received"], stats["bytes"], stats["rejected"]) == (4, 36, 0)
        assert stats["first_ns"] <= stats["last_ns"] <= time.time_ns()
        assert stats["cpu_s"] >= stats["cpu_since_reset_s"] > 0
        assert stats["max_rss_bytes"] >= stats["rss_bytes"] > 1_000_000
        assert stats["latency_us"]["count"] == 0  # no send times in these
        fresh = await b.command("stats")
        assert (fresh["received"], fresh["first_ns"], fresh["duplicates"]) == (0, 0, 0)
        assert fresh["cpu_since_reset_s"] < stats["cpu_since_reset_s"]


async def test_copies_count_as_duplicates_and_not_as_received() -> None:
    async with start_peers("rust", "rust", "rust", topic="t", params=FAST) as (a, b, c):
        for dialler, listener in ((a, b), (b, c), (c, a)):
            await connect(dialler, listener, topic="t")
        await in_mesh(a, b, c, topic="t")
        await a.publish("t", b"data")
        for peer in (b, c):
            await peer.wait_event("message")
        copies = 0
        with anyio.fail_after(10):
            while copies == 0:
                copies = 0
                for peer in (b, c):
                    stats = await peer.command("stats")
                    assert stats["received"] == 1
                    copies += stats["duplicates"]


async def test_publish_many_keeps_within_its_window() -> None:
    async with pair(quiet=True) as (a, b):
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


async def test_publish_many_can_be_paced_stopped_and_limited_in_time() -> None:
    async with pair() as (a, b):
        paced = await a.command("publish_many", topic="t", count=11, size=24, rate=100)
        assert (paced["sent"], paced["aborted"]) == (11, False)
        assert 100_000_000 <= paced["elapsed_ns"] < 5_000_000_000
        payloads = [(await b.wait_event("message"))["data"] for _ in range(11)]
        assert [int.from_bytes(data[:8], "big") for data in payloads] == list(range(11))
        assert len({data[16:] for data in payloads}) == 11
        late = await a.command("publish_many", topic="t", count=9, size=16, window=1, timeout_ms=99)
        assert (late["sent"], late["aborted"]) == (1, True)

        async def stop() -> None:  # when the window's second message is out
            await b.wait_event(
                "message", where=lambda event: event["data"][:8] == (101).to_bytes(8, "big")
            )
            with pytest.raises(PeerError, match="another publish_many is running"):
                await a.command("publish_many", topic="t", count=1, size=16)
            await a.command("publish_stop")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop)
            stopped = await a.command(
                "publish_many", topic="t", count=9, size=16, window=2, first_seq=100
            )
        assert (stopped["sent"], stopped["aborted"]) == (2, True)


async def test_publishing_to_nobody_is_refused_by_the_library() -> None:
    async with start_peer("rust") as peer:
        with pytest.raises(PeerError, match="NoPeersSubscribedToTopic"):
            await peer.publish("t", b"data")
        answer = await peer.command("publish_many", topic="t", count=3, size=16, window=1)
        assert (answer["sent"], answer["failed"]) == (0, 3)


async def test_the_newest_matching_validator_rule_decides() -> None:
    async with pair() as (a, b):
        rules = [("reject", b""), ("accept", b"good"), ("ignore", b"good but"), ("accept", b"z")]
        for verdict, prefix in rules:
            await b.command("validator", topic="t", verdict=verdict, prefix_b64=encode(prefix))
        await b.command("validator", topic="t", verdict="clear", prefix_b64=encode(b"z"))
        for data in (b"bad", b"good", b"good but", b"zzz", b"good 2"):
            await a.publish("t", data)
        stats = await b.wait_answer("stats", lambda stats: stats["received"] == 2)
        assert [event["data"] for event in b.messages()] == [b"good", b"good 2"]
        assert stats["rejections"] == {"validation failed": 2, "validation ignored": 1}
        await b.command("validator", topic="t", verdict="clear")
        await a.publish("t", b"bad again")
        await b.wait_event("message", where=lambda event: event["data"] == b"bad again")
        with pytest.raises(PeerError, match="must be accept, reject, ignore or clear"):
            await b.command("validator", topic="t", verdict="maybe", prefix_b64="")


async def test_a_slow_verdict_holds_up_no_other_message() -> None:
    async with pair() as (a, b):
        await b.command(
            "validator", topic="t", verdict="accept", prefix_b64=encode(b"slow"), delay_ms=300
        )
        start = time.monotonic()
        for data in (b"slow", b"fast"):
            await a.publish("t", data)
        assert (await b.wait_event("message"))["data"] == b"fast"
        assert (await b.wait_event("message"))["data"] == b"slow"
        assert time.monotonic() - start > 0.3


async def test_without_validation_there_are_no_validators() -> None:
    async with pair(params=FAST | {"validate": False}) as (a, b):
        with pytest.raises(PeerError, match="unsupported"):
            await b.command("validator", topic="t", verdict="reject", prefix_b64="")
        await a.publish("t", b"data")
        assert (await b.wait_event("message"))["data"] == b"data"


async def test_scores_are_sums_and_the_applications_part_can_be_set() -> None:
    score = {"decayIntervalMs": 100, "appSpecificWeight": 2, "thresholds": {"graylist": -1000}}
    async with pair(score=score) as (a, b):
        assert a.ready["unsupported_params"] == ["score.decayIntervalMs"]
        await b.command("app_score", peer=a.peer_id, score=-3)
        (entry,) = (await b.command("scores"))["scores"].values()
        assert entry["app_specific_score"] == -3
        assert -6 <= entry["score"] < -5
        assert entry["topics"] == {}
        assert entry["behaviour_penalty"] is entry["ip_colocation_factor"] is None
        await b.command("validator", topic="t", verdict="reject", prefix_b64="")
        await a.publish("t", b"bad")  # P4 by the parameters of every topic
        await b.wait_answer("scores", lambda seen: seen["scores"][a.peer_id]["score"] < -13)
    async with start_peer("rust") as peer:
        with pytest.raises(PeerError, match="peer scoring is off"):
            await peer.command("scores")


async def test_an_app_score_counts_for_whoever_comes_later() -> None:
    async with (
        start_peer("rust", seed=1) as a,
        start_peer("rust", score={"appScores": {a.peer_id: 7}}) as b,
    ):
        await a.command("connect", addr=b.addresses[0])
        await b.wait_answer(
            "scores", lambda seen: [s["score"] for s in seen["scores"].values()] == [7]
        )


@pytest.mark.parametrize(
    ("sign", "author"), [("strict", True), ("lax", True), ("author", True), ("none", False)]
)
async def test_each_signing_policy_delivers_among_its_own(sign: str, author: bool) -> None:
    async with pair(sign=sign) as (a, b):
        await a.publish("t", b"data")
        message = await b.wait_event("message")
        assert message["from"] == (a.peer_id if author else None)


async def test_unsigned_messages_are_refused_by_a_strict_peer() -> None:
    async with start_peer("rust", sign="author") as a, start_peer("rust") as b:
        await b.command("subscribe", topic="t")
        await a.command("connect", addr=b.addresses[0])
        await a.wait_answer("topic_peers", lambda answer: answer["peers"] != [], topic="t")
        await a.publish("t", b"data")
        stats = await b.wait_answer("stats", lambda stats: stats["rejected"] == 1)
        assert stats["rejections"] == {"InvalidSignature": 1}
        assert stats["received"] == 0


@pytest.mark.parametrize(("msgid", "copies"), [("default", 2), ("library", 2), ("content", 1)])
async def test_the_message_id_decides_what_is_the_same_message(msgid: str, copies: int) -> None:
    async with pair(msgid=msgid) as (a, b):
        for data in (b"twice", b"twice", b"last"):
            await a.publish("t", data)
        await b.wait_answer("stats", lambda stats: stats["received"] == copies + 1)


@pytest.mark.parametrize(
    ("protocols", "spoken"),
    [
        (["/meshsub/1.1.0", "/meshsub/1.0.0"], "/meshsub/1.1.0"),
        (["/meshsub/1.0.0"], "/meshsub/1.0.0"),
        (["/own/1.1.0", "/own/1.0.0", "/floodsub/1.0.0"], "/own/1.1.0"),
    ],
)
async def test_protocols_that_the_library_can_speak(protocols: list[str], spoken: str) -> None:
    async with pair(params=FAST | {"protocols": protocols}) as (a, _b):
        assert a.ready["unsupported_params"] == []
        assert (await a.command("peers"))["peers"][0]["protocol"] == spoken


@pytest.mark.parametrize(
    "protocols", [["/meshsub/1.2.0"], ["/floodsub/1.0.0"], ["/a/1.1.0", "/b/1.0.0"]]
)
async def test_protocols_that_it_cannot_speak_are_named_as_unsupported(
    protocols: list[str],
) -> None:
    async with start_peer("rust", params={"protocols": protocols}) as peer:
        assert peer.ready["unsupported_params"] == ["protocols"]


async def test_direct_peers_are_dialled_and_kept() -> None:
    async with (
        start_peer("rust", seed=5) as other,
        start_peer("rust", params={"direct": other.addresses}) as peer,
    ):
        assert (await peer.wait_event("peer_connected"))["peer"] == other.peer_id


async def test_a_message_above_the_limit_is_refused() -> None:
    async with pair(params=FAST | {"maxMessageSize": 2000}) as (a, b):
        with pytest.raises(PeerError, match="MessageTooLarge"):
            await a.publish("t", b"x" * 3000)
        await a.publish("t", b"x" * 1000)
        assert len((await b.wait_event("message"))["data"]) == 1000


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
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
)
async def test_a_wrong_flag_is_refused_with_one_line_and_status_2(
    arguments: list[str], complaint: str
) -> None:
    peer = start_peer("rust", arguments=arguments)
    with pytest.raises(PeerFailed) as caught:
        async with peer:
            pytest.fail("the block ran")
    assert caught.value.exit_status == 2
    assert complaint in peer.stderr
    assert peer.stderr.count("\n") == 1


async def test_a_command_that_cannot_be_done_says_why() -> None:
    commands: list[tuple[str, dict[str, Any], str]] = [
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
    ]
    async with start_peer("rust") as peer:
        for name, fields, complaint in commands:
            with pytest.raises(PeerError) as caught:
                await peer.command(name, **fields)
            assert complaint in caught.value.reason


async def test_a_refused_connection_is_an_error_and_can_be_tried_again() -> None:
    async with start_peer("rust", seed=3) as other:
        address = other.addresses[0]
    port = address.split("/")[4]
    async with start_peer("rust") as peer:
        with pytest.raises(PeerError):
            await peer.command("connect", addr=address)
        async with start_peer("rust", seed=3, listen=f"/ip4/127.0.0.1/tcp/{port}"):
            await peer.command("connect", addr=address)


async def test_the_end_of_its_input_ends_the_peer() -> None:
    async with start_peer("rust") as peer:
        assert (await peer.command("exit"))["event"] == "ok"
        with pytest.raises(PeerFailed):
            await peer.wait_event("message")
    assert (peer.exit_status, peer.killed) == (0, False)
