"""`gossipsub peer`, held to the test-peer protocol; where that is open, to the Go peer's ways."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from gossipsub.__main__ import main
from gossipsub.conformance.driver import (
    PeerError,
    PeerFailed,
    PeerProcess,
    PeerTimeout,
    start_peer,
)

pytestmark = pytest.mark.anyio

FAST = {"heartbeatMs": 100, "heartbeatInitialDelayMs": 10}
STATS = {
    *("received", "bytes", "first_ns", "last_ns", "backwards", "duplicates", "rejected"),
    *("rejections", "rpc_in", "rpc_out", "rpc_dropped", "undelivered", "throttled"),
    *("cpu_user_s", "cpu_sys_s", "cpu_s", "cpu_since_reset_s", "rss_bytes", "max_rss_bytes"),
    "latency_us",
}
HOUR = 3600 * 10**9
MANY = {"topic": "t", "size": 16, "count": 1}
REJECT = {"topic": "t", "verdict": "reject"}
SOMEBODY = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"


BUILD_TIMEOUT = 900
"""The first test that needs the Go peer may have to build it."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests that ask for a `target` show what both peers promise alike."""
    if "target" in metafunc.fixturenames:
        targets = [
            pytest.param("python", "asyncio"),
            pytest.param("python", "trio"),
            pytest.param("go", "asyncio", marks=pytest.mark.timeout(BUILD_TIMEOUT)),
        ]
        metafunc.parametrize(("target", "anyio_backend"), targets)


@pytest.fixture(autouse=True)
def go_where_wanted(request: pytest.FixtureRequest) -> None:
    call = getattr(request.node, "callspec", None)
    if call is not None and call.params.get("target") == "go":
        request.getfixturevalue("go_peer_available")


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


@contextlib.asynccontextmanager
async def pair(target: str = "python", **options: Any) -> AsyncIterator[tuple[PeerProcess, ...]]:
    """Two connected peers that subscribe to topic t and know it of each other."""
    options = {"params": FAST} | options
    async with (
        start_peer(target, seed=1, **options) as a,
        start_peer(target, seed=2, **options) as b,
    ):
        for peer in (a, b):
            await peer.command("subscribe", topic="t")
        assert (await a.command("connect", addr=b.addresses[0]))["peer"] == b.peer_id
        for peer, other in ((a, b), (b, a)):
            joined = await peer.wait_event("topic_peer_join")
            assert (joined["topic"], joined["peer"]) == ("t", other.peer_id)
        yield a, b


async def in_mesh(a: PeerProcess, b: PeerProcess) -> None:
    await a.wait_answer("mesh", lambda answer: answer["peers"] == [b.peer_id], topic="t")
    await b.wait_answer("mesh", lambda answer: answer["peers"] == [a.peer_id], topic="t")


def stamped(number: int, sent_ns: int) -> bytes:
    return number.to_bytes(8, "big") + sent_ns.to_bytes(8, "big") + os.urandom(4)


# Introduction and flags


async def test_a_peer_introduces_itself_and_its_key_follows_from_the_seed(target: str) -> None:
    params = {"validate": 1, "metrics": True}
    async with start_peer(target, seed=0, params=params) as peer:
        assert peer.peer_id == "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
        assert peer.ready["unsupported_params"] == ["metrics", "validate"]
        (address,) = peer.addresses
        assert address.startswith("/ip4/127.0.0.1/tcp/")
        assert address.endswith(f"/p2p/{peer.peer_id}")
    assert (peer.exit_status, peer.killed, peer.stderr) == (0, False, "")


async def test_ready_tells_what_runs() -> None:
    async with start_peer("python", params=FAST) as peer, start_peer("python") as other:
        ready = peer.ready
        assert set(ready) == {
            *("event", "peer_id", "addrs", "impl", "versions", "pid", "unsupported_params")
        }
        assert (ready["impl"], ready["unsupported_params"]) == ("python", [])
        assert {"gossipsub", "python", "cryptography"} <= set(ready["versions"])
        assert ready["pid"] > 0
        assert peer.peer_id != other.peer_id  # a random key where no seed is given


async def test_a_floodsub_peer_knows_no_mesh_parameters_and_has_no_mesh(target: str) -> None:
    params = FAST | {"D": 4, "seenTTLMs": 60_000}
    async with pair(target, protocol="floodsub", params=params) as (a, b):
        assert a.ready["unsupported_params"] == ["D", "heartbeatInitialDelayMs", "heartbeatMs"]
        assert (await a.command("peers"))["peers"][0]["protocol"] == "/floodsub/1.0.0"
        await a.publish("t", b"data")
        assert (await b.wait_event("message"))["data"] == b"data"
        assert (await b.command("mesh", topic="t"))["peers"] == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--bogus"], "unrecognized arguments: --bogus"),
        (["--quie"], "unrecognized arguments: --quie"),
        (["extra"], "unrecognized arguments: extra"),
        (["--seed"], "argument --seed: expected one argument"),
        (["--protocol", "episub"], "argument --protocol: invalid choice: 'episub'"),
        (["--sign", "maybe"], "argument --sign: invalid choice: 'maybe'"),
        (["--sign", "author"], "--sign author: this version has strict, none and lax"),
        (["--msgid", "uuid"], "argument --msgid: invalid choice: 'uuid'"),
        (["--seed", "-1"], "argument --seed: '-1' is not a number from 0 to 2^64-1"),
        (["--seed", str(2**64)], "is not a number from 0 to 2^64-1"),
        (["--listen", "127.0.0.1:0"], "--listen: an address is a text that begins with '/'"),
        (["--bootstrap", "nowhere"], "argument --bootstrap: an address is a text that begins"),
        (["--bootstrap", "/ip4/127.0.0.1/tcp/1"], "argument --bootstrap: must end in /p2p/PEER"),
        (["--listen", "/ip4/127.0.0.1/udp/1"], "--listen: only TCP is spoken here, not /udp"),
        (["--params", "[]"], "argument --params: not a JSON object"),
        (["--params", "{"], "argument --params: not JSON: "),
        (["--params", "[" * 100_000], "argument --params: not JSON: "),
        (["--params", '{"D": NaN}'], "argument --params: not JSON: NaN is no number"),
        (["--params", '{"D": 1\n}x'], "argument --params: not JSON: "),
        (["--params", '{"E": 1}'], "--params: unknown parameter 'E'"),
        (
            ["--params", '{"direct": ["/ip4/127.0.0.1/tcp/1"]}'],
            "--params: direct: must end in /p2p/PEER: '/ip4/127.0.0.1/tcp/1'",
        ),
        (["--params", '{"D": "six"}'], '--params: D: must be a whole number, not "six"'),
        (["--params", '{"D": null}'], "--params: D: must be a whole number, not null"),
        (["--params", '{"D": true}'], "--params: D: must be a whole number, not true"),
        (["--params", '{"Dlo": 7}'], "--params: need 0 < d_low <= d <= d_high: 7, 6, 12"),
        (["--params", '{"heartbeatMs": -1}'], "--params: heartbeatMs: must not be negative"),
        (["--params", '{"heartbeatMs": 0}'], "--params: heartbeat_interval must be positive"),
        (["--params", '{"heartbeatMs": 1e999}'], "--params: heartbeatMs: must be a number"),
        (["--params", '{"gossipFactor": 2}'], "--params: gossip_factor must be in 0..1"),
        (["--params", '{"floodPublish": 1}'], "floodPublish: must be true or false, not 1"),
        (["--params", '{"protocols": []}'], "protocols: must be a list of at least one text"),
        (["--params", '{"validateQueue": 0}'], "--params: validation_queue must be a positive"),
        (["--params", '{"maxMessageSize": 1e6}'], "maxMessageSize: must be a whole number"),
    ],
)
def test_a_wrong_flag_is_refused_with_one_line_and_status_2(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["peer", *arguments]) == 2
    printed = capsys.readouterr()
    assert complaint in printed.err
    assert (printed.out, printed.err.count("\n"), printed.err[-1]) == ("", 1, "\n")


@pytest.mark.parametrize(
    "arguments",
    [["extra"], ["--seed", "-1"], ["--listen", "127.0.0.1:0"], ["--params", '{"D": "six"}']],
)
async def test_what_one_peer_refuses_the_other_refuses(target: str, arguments: list[str]) -> None:
    peer = start_peer(target, arguments=arguments)
    with pytest.raises(PeerFailed) as caught:
        async with peer:
            pytest.fail("the block ran")
    assert caught.value.exit_status == 2
    assert peer.stderr.count("\n") == 1


async def test_a_bootstrap_peer_is_dialled_and_again_when_it_is_lost() -> None:
    async with start_peer("python") as first:
        arguments = ["--bootstrap", first.addresses[0]]
        async with start_peer("python", arguments=arguments) as second:
            for _ in range(2):
                came = await first.wait_event("peer_connected")
                assert came["peer"] == second.peer_id
                await first.command("disconnect", peer=second.peer_id)


async def test_a_port_that_is_taken_ends_the_peer_with_status_1() -> None:
    async with start_peer("python") as first:
        port = first.addresses[0].split("/")[4]
        peer = start_peer("python", listen=f"/ip4/127.0.0.1/tcp/{port}")
        with pytest.raises(PeerFailed) as caught:
            async with peer:
                pytest.fail("the block ran")
    assert caught.value.exit_status == 1
    assert peer.stderr.count("\n") == 1
    assert f"cannot listen on /ip4/127.0.0.1/tcp/{port}: " in peer.stderr


# Commands


async def test_two_peers_find_each_other_and_exchange_messages(target: str) -> None:
    async with pair(target) as (a, b):
        assert (await a.wait_event("peer_connected"))["peer"] == b.peer_id
        await in_mesh(a, b)
        assert (await a.command("topic_peers", topic="t"))["peers"] == [b.peer_id]
        assert (await a.command("topic_peers", topic="other"))["peers"] == []
        (there,) = (await a.command("peers"))["peers"]
        assert (there["peer"], there["direction"]) == (b.peer_id, "out")
        assert there["addrs"] == [b.addresses[0].removesuffix(f"/p2p/{b.peer_id}")]
        assert there["protocol"].startswith("/meshsub/1.")
        (back,) = (await b.command("peers"))["peers"]
        assert (back["peer"], back["direction"]) == (a.peer_id, "in")
        assert len(back["addrs"]) == 1

        await a.publish("t", b"\x00hello")
        message = await b.wait_event("message")
        assert (message["topic"], message["data"]) == ("t", b"\x00hello")
        assert (message["from"], message["received_from"]) == (a.peer_id, a.peer_id)
        own = await a.wait_event("message")  # a node is handed its own messages too
        assert (own["from"], own["received_from"]) == (a.peer_id, a.peer_id)

        await b.command("unsubscribe", topic="t")
        left = await a.wait_event("topic_peer_leave")
        assert (left["topic"], left["peer"]) == ("t", b.peer_id)
        await a.wait_answer("mesh", lambda answer: answer["peers"] == [], topic="t")
        await a.command("disconnect", peer=b.peer_id)
        for peer, other in ((a, b), (b, a)):
            assert (await peer.wait_event("peer_disconnected"))["peer"] == other.peer_id
            assert (await peer.command("peers"))["peers"] == []
        await a.command("disconnect", peer=b.peer_id)  # a stranger by now: nothing to do


async def test_peers_lists_what_a_peer_subscribes_to_though_we_do_not(target: str) -> None:
    async with pair(target) as (a, b):
        await b.command("subscribe", topic="only-b")
        await b.command("subscribe", topic="a-third")
        answer = await a.wait_answer("peers", lambda got: len(got["peers"][0]["topics"]) == 3)
        assert answer["peers"][0]["topics"] == ["a-third", "only-b", "t"]


async def test_commands_are_done_in_the_order_given(target: str) -> None:
    async with start_peer(target) as peer:
        answers: list[str] = []

        async def ask(name: str, **fields: Any) -> None:
            try:
                await peer.command(name, **fields)
                answers.append("ok")
            except PeerError as error:
                answers.append(error.reason)

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                for name in ("subscribe", "unsubscribe"):
                    tasks.start_soon(lambda name: ask(name, topic="t"), name)
                    await anyio.wait_all_tasks_blocked()
        assert answers == ["ok"] * 10


async def test_stats_count_what_others_sent_and_start_anew_when_reset(target: str) -> None:
    async with pair(target) as (a, b):
        await in_mesh(a, b)
        await b.command("progress", every=2)
        for number in range(4):
            await a.publish("t", b"message %d" % number)
            await b.publish("t", b"its own")  # counts nowhere
        assert [(await b.wait_event("progress"))["received"] for _ in range(2)] == [2, 4]
        stats = await b.command("reset_stats")
        assert set(stats) >= STATS
        assert (stats["received"], stats["bytes"], stats["rejected"]) == (4, 36, 0)
        assert (stats["backwards"], stats["undelivered"], stats["throttled"]) == (0, 0, 0)
        assert stats["first_ns"] <= stats["last_ns"] <= time.time_ns()
        assert stats["rpc_in"] > 0
        assert stats["cpu_s"] >= stats["cpu_since_reset_s"] > 0
        assert stats["max_rss_bytes"] >= stats["rss_bytes"] > 1_000_000
        assert stats["latency_us"] == {"count": 0, "p50": 0, "p90": 0, "p99": 0, "max": 0}
        fresh = await b.command("stats")
        assert (fresh["received"], fresh["first_ns"], fresh["rpc_in"]) == (0, 0, 0)
        assert fresh["cpu_since_reset_s"] < stats["cpu_since_reset_s"]
        await b.command("progress", every=0)
        await a.publish("t", b"5")
        await a.publish("t", b"6")
        await b.wait_answer("stats", lambda got: got["received"] == 2)
        assert b.events("progress") == []


async def test_only_plausible_send_times_make_latency_and_order(target: str) -> None:
    """At most an hour old, at most a second ahead; a lower number than an author's newest counts
    as backwards."""
    async with pair(target, params=FAST | {"validateWorkers": 1}) as (a, b):
        await in_mesh(a, b)
        now = time.time_ns()
        for number, sent in [
            *((5, now), (6, now - HOUR + 10**10), (9, now - HOUR - 10**9), (8, now + 10**10)),
            *((7, time.time_ns() + 10**8), (6, now), (7, now)),
        ]:
            await a.publish("t", stamped(number, sent))
        await a.publish("t", b"too short")
        await b.publish("t", stamped(1, now))  # its own
        stats = await b.wait_answer("stats", lambda got: got["received"] == 8)
        assert stats["latency_us"]["count"] == 5
        assert stats["latency_us"]["max"] == pytest.approx((HOUR - 10**10) / 1000, rel=0.01)
        assert stats["backwards"] == 1


async def test_order_is_that_of_each_author(target: str) -> None:
    async with pair(target) as (a, b), start_peer(target, params=FAST) as c:
        await in_mesh(a, b)
        await c.command("connect", addr=b.addresses[0])
        await c.wait_answer("topic_peers", lambda got: got["peers"] == [b.peer_id], topic="t")
        await a.publish("t", stamped(100, time.time_ns()))
        await b.wait_answer("stats", lambda got: got["received"] == 1)
        await c.publish("t", stamped(1, time.time_ns()))
        stats = await b.wait_answer("stats", lambda got: got["received"] == 2)
        assert (stats["backwards"], stats["latency_us"]["count"]) == (0, 2)


async def test_publish_many_keeps_within_its_window(target: str) -> None:
    in_order = FAST | {"validateWorkers": 1}
    async with pair(target, quiet=True, params=in_order) as (a, b):
        await in_mesh(a, b)
        await b.command("progress", every=10)
        run = {"topic": "t", "count": 40, "size": 100, "window": 10, "first_seq": 5}
        answer: dict[str, Any] = {}

        async def publish() -> None:
            answer.update(await a.command("publish_many", **run))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(publish)
            for received in (10, 20, 30, 40):
                assert (await b.wait_event("progress"))["received"] == received
                with pytest.raises(PeerTimeout):  # the window is shut: nothing more comes
                    await b.wait_event("progress", timeout=0.05)
                await a.credit(received)
                await a.credit(3)  # a credit never takes back what an earlier one gave
        assert (answer["sent"], answer["failed"], answer["retries"]) == (40, 0, 0)
        assert answer["aborted"] is False
        assert answer["elapsed_ns"] > 150_000_000  # it stood still four times
        stats = await b.command("stats")
        assert (stats["received"], stats["bytes"], stats["backwards"]) == (40, 4000, 0)
        latency = stats["latency_us"]
        assert latency["count"] == 40
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"] < 10_000_000
        assert b.messages() == []  # quiet


async def test_a_credit_right_behind_its_command_counts(target: str) -> None:
    async with start_peer(target, quiet=True) as peer, anyio.create_task_group() as tasks:

        async def publish() -> None:
            answer = await peer.command("publish_many", topic="t", count=20, size=16, window=10)
            assert (answer["sent"], answer["aborted"]) == (20, False)

        tasks.start_soon(publish)
        await anyio.wait_all_tasks_blocked()
        await peer.credit(10)  # nothing but this allows the last ten


async def test_the_payloads_of_publish_many_carry_a_number_and_a_send_time(target: str) -> None:
    before = time.time_ns()
    async with pair(target) as (a, b):
        await in_mesh(a, b)
        await a.command("publish_many", topic="t", count=3, size=24, first_seq=2**40)
        payloads = [(await b.wait_event("message"))["data"] for _ in range(3)]
    numbers = [int.from_bytes(data[:8], "big") for data in payloads]
    assert sorted(numbers) == [2**40, 2**40 + 1, 2**40 + 2]
    assert all(before < int.from_bytes(data[8:16], "big") < time.time_ns() for data in payloads)
    assert {len(data) for data in payloads} == {24}
    assert len({data[16:] for data in payloads}) == 3


async def test_publish_many_can_be_paced_stopped_and_limited_in_time(target: str) -> None:
    async with start_peer(target, quiet=True) as peer:
        many = {"topic": "t", "size": 16}
        paced = await peer.command("publish_many", **many, count=11, rate=100)
        assert (paced["sent"], paced["aborted"]) == (11, False)
        assert 100_000_000 <= paced["elapsed_ns"] < 5_000_000_000
        late = await peer.command("publish_many", **many, count=9, window=1, timeout_ms=50)
        assert (late["sent"], late["aborted"]) == (1, True)

        async def stop() -> None:
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(PeerError, match="another publish_many is running"):
                await peer.command("publish_many", **many, count=1)
            await peer.command("publish_stop")

        for brake in ({"window": 1}, {"rate": 0.01}):  # neither would end by itself
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(stop)
                stopped = await peer.command("publish_many", **many, count=9, **brake)
            # A peer that serves both commands at once may stop before it has begun.
            assert (stopped["sent"] <= 1, stopped["aborted"]) == (True, True)
        again = await peer.command("publish_many", **many, count=2)
        assert (again["sent"], again["aborted"]) == (2, False)


async def test_the_newest_matching_validator_rule_decides(target: str) -> None:
    async with pair(target) as (a, b):
        await in_mesh(a, b)
        rules = [("reject", b""), ("accept", b"good"), ("ignore", b"good but"), ("accept", b"z")]
        for verdict, prefix in rules:
            await b.command("validator", topic="t", verdict=verdict, prefix_b64=encode(prefix))
        await b.command("validator", topic="t", verdict="clear", prefix_b64=encode(b"z"))
        for data in (b"bad", b"good", b"good but", b"zzz", b"good 2"):
            await a.publish("t", data)
        await b.wait_answer("stats", lambda got: got["received"] == 2)
        stats = await b.wait_answer("stats", lambda got: got["rejected"] == 3)
        assert stats["rejections"] == {"validation failed": 2, "validation ignored": 1}
        assert sorted(event["data"] for event in b.messages()) == [b"good", b"good 2"]
        with pytest.raises(PeerError):
            await b.publish("t", b"bad")  # what its own rules refuse it does not send
        await b.command("reset_stats")
        assert (await b.command("stats"))["rejections"] == {}
        await b.command("validator", topic="t", verdict="clear")
        await b.command("validator", topic="t", verdict="clear")  # nothing left to clear
        await a.publish("t", b"bad again")
        await b.wait_event("message", where=lambda event: event["data"] == b"bad again")
        await b.command("validator", topic="t", verdict="ignore")
        await a.publish("t", b"good 3")
        await b.wait_answer("stats", lambda got: got["rejections"] == {"validation ignored": 1})


async def test_a_slow_verdict_holds_up_no_other_message_and_none_of_its_own(target: str) -> None:
    async with pair(target) as (a, b):
        await in_mesh(a, b)
        slow = {"topic": "t", "verdict": "accept", "prefix_b64": encode(b"slow"), "delay_ms": 300}
        for peer in (a, b):
            await peer.command("validator", **slow)
        start = time.monotonic()
        await b.publish("t", b"slow, but its own")
        await b.wait_event("message", timeout=0.25)
        for data in (b"slow", b"fast"):
            await a.publish("t", data)
        from_a = [await b.wait_event("message") for _ in range(2)]
        assert [message["data"] for message in from_a] == [b"fast", b"slow"]
        assert time.monotonic() - start > 0.3


async def test_messages_over_the_throttle_count_as_throttled(target: str) -> None:
    params = FAST | {"validateThrottle": 1}
    async with pair(target, params=params, quiet=True) as (a, b):
        await in_mesh(a, b)
        await b.command("validator", topic="t", verdict="accept", delay_ms=500)
        for number in range(5):
            await a.publish("t", b"%d" % number)
        stats = await b.wait_answer("stats", lambda got: got["throttled"] >= 3)
        assert stats["rejections"]["validation throttled"] == stats["throttled"]


@pytest.mark.parametrize(("sign", "author"), [("strict", True), ("none", False)])
async def test_each_signing_policy_delivers_among_its_own(
    target: str, sign: str, author: bool
) -> None:
    async with pair(target, sign=sign) as (a, b):
        await in_mesh(a, b)
        await a.publish("t", b"data")
        message = await b.wait_event("message")
        assert message["from"] == (a.peer_id if author else None)
        assert message["received_from"] == a.peer_id


@pytest.mark.parametrize(("msgid", "copies"), [("default", 2), ("library", 2), ("content", 1)])
async def test_the_message_id_decides_what_is_the_same_message(
    target: str, msgid: str, copies: int
) -> None:
    async with pair(target, msgid=msgid) as (a, b):
        await in_mesh(a, b)
        for data in (b"twice", b"twice", b"last"):
            await a.publish("t", data)
        await b.wait_answer("stats", lambda stats: stats["received"] == copies + 1)


EVERY_PARAMETER = {
    **{"D": 6, "Dlo": 5, "Dhi": 12, "Dscore": 4, "Dout": 2, "Dlazy": 6, "gossipFactor": 0.25},
    **{"gossipRetransmission": 3, "historyLength": 5, "historyGossip": 3, "heartbeatMs": 1000},
    **{"heartbeatInitialDelayMs": 100, "fanoutTTLMs": 60000, "pruneBackoffMs": 60000},
    **{"unsubscribeBackoffMs": 10000, "graftFloodThresholdMs": 10000, "iwantFollowupMs": 3000},
    **{"seenTTLMs": 120000, "prunePeers": 16, "opportunisticGraftTicks": 60},
    **{"opportunisticGraftPeers": 2, "maxIHaveLength": 5000, "maxIHaveMessages": 10},
    **{"idontwantThreshold": 1024, "floodPublish": True, "doPX": False, "outboundQueue": 32},
    **{"maxMessageSize": 1048576, "validateQueue": 32, "validateThrottle": 8192},
    **{"validateWorkers": 2, "subBuffer": 32, "protocols": ["/meshsub/1.2.0"], "direct": []},
    **{"validate": True, "metrics": True},
}


async def test_every_parameter_of_the_protocol_is_known(target: str) -> None:
    async with start_peer(target, params=EVERY_PARAMETER) as peer:
        assert peer.ready["unsupported_params"] == ["metrics", "validate"]


async def test_parameters_reach_the_library(target: str) -> None:
    params = FAST | {"protocols": ["/meshsub/1.1.0"], "maxMessageSize": 2000, "outboundQueue": 64}
    async with pair(target, params=params) as (a, b):
        assert (await a.command("peers"))["peers"][0]["protocol"] == "/meshsub/1.1.0"
        await in_mesh(a, b)
        if target == "python":  # it tells the publisher; the other one counts
            with pytest.raises(PeerError, match="the limit is 2000"):
                await a.publish("t", b"x" * 3000)
        else:
            await a.publish("t", b"x" * 3000)
            await a.wait_answer("stats", lambda stats: stats["rpc_dropped"] > 0)
        await a.publish("t", b"x" * 1000)
        assert len((await b.wait_event("message"))["data"]) == 1000


@pytest.mark.parametrize(
    ("name", "fields", "complaint"),
    [
        ("fly", {}, "unknown command 'fly'"),
        ("subscribe", {}, "topic: missing"),
        ("subscribe", {"topic": 1}, "topic: must be a text: 1"),
        ("subscribe", {"topic": ""}, "a topic's name is a non-empty text"),
        ("unsubscribe", {"topic": "t"}, "not subscribed to 't'"),
        ("publish", {"topic": "t"}, "data_b64: missing"),
        ("publish", {"topic": "t", "data_b64": "?"}, "data_b64: not base64: "),
        ("publish", {"topic": "t", "data_b64": "AA"}, "data_b64: not base64: "),
        ("publish", {"topic": "t", "data_b64": "é"}, "data_b64: not base64: "),
        ("publish", {"topic": "t", "data_b64": 5}, "data_b64: must be a text: 5"),
        ("connect", {}, "addr: missing"),
        ("connect", {"addr": "localhost:1"}, "an address is a text that begins with '/'"),
        ("disconnect", {"peer": "nobody"}, "not a peer id: 'nobody'"),
        ("publish_many", {"size": 16, "count": 1}, "topic: missing"),
        ("publish_many", {"topic": "t", "size": 16}, "count: missing"),
        ("publish_many", {**MANY, "count": -1}, "count: must not be negative"),
        ("publish_many", {**MANY, "count": 1.5}, "count: must be a whole number: 1.5"),
        ("publish_many", {**MANY, "size": 15}, "size: must be at least 16"),
        ("publish_many", {**MANY, "size": 2**62}, "size: must be at most 67108864"),
        ("publish_many", {**MANY, "window": "x"}, "window: must be a number: 'x'"),
        ("publish_many", {**MANY, "rate": -1}, "rate: must not be negative"),
        ("publish_many", {**MANY, "first_seq": 10**400}, "first_seq: must be at most"),
        ("publish_many", {**MANY, "timeout_ms": []}, "timeout_ms: must be a number: []"),
        ("progress", {}, "every: missing"),
        ("progress", {"every": -1}, "every: must not be negative"),
        ("progress", {"every": True}, "every: must be a number: True"),
        ("validator", {"topic": "t"}, "verdict: missing"),
        ("validator", {"topic": "t", "verdict": "maybe"}, "must be accept, reject, ignore or"),
        ("validator", {**REJECT, "prefix_b64": "?"}, "prefix_b64: not base64: "),
        ("validator", {**REJECT, "delay_ms": -1}, "delay_ms: must not be negative"),
        ("scores", {}, "peer scoring is off"),
        ("app_score", {"peer": SOMEBODY, "score": 1}, "peer scoring is off"),
        ("app_score", {"peer": "nobody", "score": 1}, "not a peer id: 'nobody'"),
        ("app_score", {"peer": SOMEBODY}, "score: missing"),
        ("app_score", {"peer": SOMEBODY, "score": "1"}, "score: must be a number: '1'"),
    ],
)
async def test_a_command_that_cannot_be_done_says_why(
    idle_peer: PeerProcess, name: str, fields: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(PeerError) as caught:
        await idle_peer.command(name, **fields)
    assert complaint in caught.value.reason
    assert (await idle_peer.command("peers"))["peers"] == []  # and it goes on


@pytest.fixture(scope="module")
async def idle_peer(anyio_backend: str) -> AsyncIterator[PeerProcess]:
    async with start_peer("python") as peer:
        yield peer


async def test_subscribing_twice_is_an_error(target: str) -> None:
    async with start_peer(target) as peer:
        await peer.command("subscribe", topic="t")
        with pytest.raises(PeerError, match="already subscribed to"):
            await peer.command("subscribe", topic="t")
        await peer.command("unsubscribe", topic="t")
        await peer.command("subscribe", topic="t")


async def test_a_refused_connection_is_an_error_and_can_be_tried_again(target: str) -> None:
    async with start_peer(target, seed=3) as other:
        address = other.addresses[0]
        port = address.split("/")[4]
    async with start_peer(target) as peer:
        with pytest.raises(PeerError):
            await peer.command("connect", addr=address)
        async with start_peer(target, seed=3, listen=f"/ip4/127.0.0.1/tcp/{port}"):
            await peer.command("connect", addr=address)
            await peer.command("connect", addr=address)  # it stands: fine


async def test_exit_is_answered_and_ends_the_peer(target: str) -> None:
    async with start_peer(target) as peer:
        assert (await peer.command("exit"))["event"] == "ok"
        with pytest.raises(PeerFailed):
            await peer.wait_event("message")
    assert (peer.exit_status, peer.killed) == (0, False)


async def test_a_peer_that_exits_says_goodbye_to_the_others(target: str) -> None:
    async with pair(target) as (a, b):
        await a.command("exit")
        assert (await b.wait_event("peer_disconnected", timeout=3))["peer"] == a.peer_id


# Standard input and output, without the driver

PEER = [sys.executable, "-m", "gossipsub", "peer"]


def run_peer(commands: bytes, *flags: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*PEER, *flags], input=commands, capture_output=True, timeout=30, check=False
    )


def events_of(output: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_the_end_of_the_input_ends_the_peer_and_nothing_is_lost() -> None:
    commands = [{"cmd": "subscribe", "topic": "t", "id": [1]}, {"cmd": "peers", "id": "two"}]
    lines = b"\n".join(json.dumps(command).encode() for command in commands)
    done = run_peer(lines)  # the last line has no end
    ready, *answers = events_of(done.stdout)
    assert ready["event"] == "ready"
    assert answers == [
        {"event": "ok", "cmd": "subscribe", "id": [1]},
        {"event": "ok", "cmd": "peers", "id": "two", "peers": []},
    ]
    assert (done.returncode, done.stderr) == (0, b"")


def test_input_that_ends_at_once_ends_the_peer() -> None:
    done = run_peer(b"")
    assert [event["event"] for event in events_of(done.stdout)] == ["ready"]
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("library", ["auto", "cryptography", "pynacl"])
def test_ready_names_pynacl_where_it_verifies(library: str) -> None:
    (ready,) = events_of(run_peer(b"", "--crypto", library).stdout)
    assert ("pynacl" in ready["versions"]) is (library != "cryptography")


def test_lines_that_are_no_commands_are_answered_with_an_error() -> None:
    lines = [b"no json", b"[1]", b'"x"', b'{"cmd":7}', b"{}", b"\xff\xfe", b"[" * 100_000]
    done = run_peer(b"\n\n".join([*lines, b'{"cmd":"exit"}', b'{"cmd":"peers"}']))
    _, *answers, last = events_of(done.stdout)
    assert [(answer["event"], answer["cmd"]) for answer in answers] == [("error", "")] * len(lines)
    assert all("not a command" in answer["error"] for answer in answers)
    assert last == {"event": "ok", "cmd": "exit"}
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_line_that_never_ends_ends_the_peer() -> None:
    done = run_peer(b"x" * (17 << 20))
    assert done.returncode == 1
    assert done.stderr == b"gossipsub peer: a line is longer than 16777216 bytes\n"


def test_commands_may_come_from_a_file(tmp_path: Any) -> None:
    (tmp_path / "in").write_bytes(b'{"cmd":"publish","topic":"t","data_b64":""}\n')
    with open(tmp_path / "in", "rb") as source, open(tmp_path / "out", "wb") as sink:
        subprocess.run(PEER, stdin=source, stdout=sink, timeout=30, check=True)
    events = events_of((tmp_path / "out").read_bytes())
    assert [event["event"] for event in events] == ["ready", "ok"]


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads memory from /proc")
def test_a_driver_that_reads_nothing_costs_bounded_memory_and_the_peer_still_ends() -> None:
    """Deliveries beyond what fits into the output wait in the subscription, and drop there."""
    many = {"cmd": "publish_many", "topic": "t", "count": 250, "size": 1_000_000}
    commands = [{"cmd": "subscribe", "topic": "t"}, many]
    with subprocess.Popen(
        [*PEER, "--params", '{"subBuffer": 8}'], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as peer:
        assert peer.stdin is not None
        assert peer.stdout is not None
        for command in commands:
            peer.stdin.write(json.dumps(command).encode() + b"\n")
        peer.stdin.flush()
        assert json.loads(peer.stdout.readline())["event"] == "ready"
        wait_until_blocked(peer.pid)
        # 333 MB would be printed; the router's own cache holds 64 MiB
        assert highest_memory(peer.pid) < 240_000_000
        peer.stdin.close()
        assert peer.wait(timeout=10) == 0


def test_a_driver_that_only_asks_and_never_reads_ends_the_peer() -> None:
    with subprocess.Popen(
        PEER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as peer:
        assert peer.stdin is not None
        assert peer.stderr is not None
        long = {"cmd": "unsubscribe", "topic": "t" * 500_000}  # comes back in the answer
        with contextlib.suppress(BrokenPipeError):
            for _ in range(200):
                peer.stdin.write(json.dumps(long).encode() + b"\n")
            peer.stdin.flush()
        peer.wait(timeout=10)
        complaint = b"gossipsub peer: more than 67108864 bytes of answers wait unread\n"
        assert (peer.returncode, peer.stderr.read()) == (1, complaint)


def wait_until_blocked(pid: int) -> None:
    """Until a process that can do nothing more uses no more processor time."""
    used, deadline = -1, time.monotonic() + 20
    while time.monotonic() < deadline:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            now = sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))
        if now == used:
            return
        used = now
        time.sleep(0.3)


def highest_memory(pid: int) -> int:
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        (line,) = [line for line in file if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


async def test_a_slow_reader_gets_everything_in_the_end() -> None:
    async with start_peer("python") as peer:
        await peer.command("subscribe", topic="t")
        answer = await peer.command("publish_many", topic="t", count=30, size=500_000, timeout=20)
        assert answer["sent"] == 30
        sizes = [len((await peer.wait_event("message"))["data"]) for _ in range(30)]
        assert sizes == [500_000] * 30


def test_a_driver_that_is_gone_ends_the_peer() -> None:
    with subprocess.Popen(
        PEER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as peer:
        assert peer.stdin is not None
        assert peer.stdout is not None
        assert peer.stderr is not None
        peer.stdout.readline()
        peer.stdout.close()
        peer.stdin.write(b'{"cmd":"peers"}\n' * 10)
        peer.stdin.close()
        peer.wait(timeout=10)
        assert (peer.returncode, peer.stderr.read()) == (0, b"")
