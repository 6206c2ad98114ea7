"""What two nodes must be able to do with each other: ours with the Go peer, and ours with ours.

Everything runs in processes of its own, steered by the test-peer protocol; each pair is tried
with either side dialling.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from gossipsub.conformance.driver import PeerError, PeerFailed, PeerProcess
from gossipsub.conformance.exchange import connect, exchange, in_mesh, knows, start_peers

pytestmark = pytest.mark.anyio

FAST = {"heartbeatMs": 100, "heartbeatInitialDelayMs": 10, "unsubscribeBackoffMs": 1000}
# The Go library keeps 32 of each by default, and drops what is beyond.
ROOMY = FAST | {"outboundQueue": 1024, "validateQueue": 1024, "subBuffer": 1024}
PAIRS = (("python", "go"), ("go", "python"), ("python", "python"))
BUILD_TIMEOUT = 900
"""The first test that needs the Go peer may have to build it."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The driver's; peers are processes of their own."""
    return "asyncio"


def among(*combinations: tuple[str, ...]) -> pytest.MarkDecorator:
    """Once for each combination of peers; the first dials."""
    return pytest.mark.parametrize(
        "targets",
        [
            pytest.param(
                targets,
                id="-".join(targets),
                marks=[pytest.mark.timeout(BUILD_TIMEOUT)] if "go" in targets else [],
            )
            for targets in combinations
        ],
    )


@pytest.fixture(autouse=True)
def go_where_wanted(request: pytest.FixtureRequest) -> None:
    call = getattr(request.node, "callspec", None)
    if call is not None and "go" in call.params.get("targets", ()):
        request.getfixturevalue("go_peer_available")


@asynccontextmanager
async def meshed(*targets: str, **options: Any) -> AsyncIterator[list[PeerProcess]]:
    """Two peers in each other's mesh of topic t."""
    async with start_peers(*targets, topic="t", **{"params": FAST} | options) as peers:
        # Go waits 5 s for an identify answer that does not end; less means that ours ended.
        await connect(peers[0], peers[1], topic="t", timeout=4)
        await in_mesh(*peers[:2], topic="t", timeout=4)
        yield peers


async def hears(peer: PeerProcess, data: bytes, *, timeout: float = 10.0) -> dict[str, Any]:
    """The message with this data that somebody else sent; those before it stay."""
    return await peer.wait_event(
        "message",
        timeout=timeout,
        where=lambda event: event["data"] == data and event["received_from"] != peer.peer_id,
    )


async def hears_all(peer: PeerProcess, count: int, *, timeout: float = 10.0) -> list[bytes]:
    """So many messages that others sent."""
    got: list[bytes] = []
    with anyio.fail_after(timeout):
        while len(got) < count:
            event = await peer.wait_event("message", timeout=timeout)
            if event["received_from"] != peer.peer_id:
                got.append(event["data"])
    return got


def heard(peer: PeerProcess) -> list[bytes]:
    """What others sent so far and nobody has taken yet."""
    others = [event for event in peer.messages() if event["received_from"] != peer.peer_id]
    return [event["data"] for event in others]


# Exchange


@among(*PAIRS)
@pytest.mark.rule("SIGN-01", "IDY-02", "T1", "T2", "T3")
async def test_a_thousand_messages_each_way_arrive_once(targets: tuple[str, ...]) -> None:
    async with meshed(*targets, params=ROOMY) as (a, b):
        await exchange([a, b], [a, b], topic="t", count=1000, size=1024)
        for peer in (a, b):
            stats = await peer.command("stats")
            assert (stats["received"], stats["bytes"]) == (1000, 1000 * 1024)
            assert (stats["rejections"], stats["undelivered"], stats["rpc_dropped"]) == ({}, 0, 0)
            (other,) = (await peer.command("peers"))["peers"]
            assert other["protocol"].startswith("/meshsub/1.")
            # The streams held: a new one would have let its peer leave and join again.
            assert peer.events("topic_peer_leave") == peer.events("peer_disconnected") == []


LIMIT = 1 << 20
ENVELOPE = 127
"""What author, number, topic t, signature and lengths add to a message of this size."""


@among(*PAIRS)
async def test_messages_of_every_size_up_to_the_limit_arrive(targets: tuple[str, ...]) -> None:
    sizes = (1, 65_536, LIMIT - ENVELOPE - 5)
    async with meshed(*targets) as (a, b):
        for publisher, receiver in ((a, b), (b, a)):
            for size in sizes:
                data = os.urandom(size)
                await publisher.publish("t", data)
                assert (await hears(receiver, data))["from"] == publisher.peer_id


@among(*PAIRS)
async def test_a_message_above_the_limit_is_refused_where_it_is_published(
    targets: tuple[str, ...],
) -> None:
    async with meshed(*targets) as (a, b):
        for publisher, receiver in ((a, b), (b, a)):
            above = bytes(LIMIT - ENVELOPE + 1)
            if publisher.name == "python":
                with pytest.raises(PeerError, match=r"takes \d+ bytes on the wire, the limit is"):
                    await publisher.publish("t", above)
            else:  # it does not tell, it counts
                await publisher.publish("t", above)
                await publisher.wait_answer("stats", lambda stats: stats["rpc_dropped"] > 0)
            await publisher.publish("t", b"after")
            await hears(receiver, b"after")
            assert (await receiver.command("stats"))["received"] == 1
            assert receiver.events("peer_disconnected") == []


@among(("python", "go", "python"), ("go", "python", "go"), ("python", "python", "python"))
async def test_a_peer_in_the_middle_relays(targets: tuple[str, ...]) -> None:
    async with start_peers(*targets, topic="t", params=ROOMY) as (a, middle, c):
        await connect(a, middle, topic="t")
        await connect(c, middle, topic="t")
        await in_mesh(a, middle, topic="t")
        await in_mesh(c, middle, topic="t")
        await exchange([a, c], [a, middle, c], topic="t", count=200, size=1024)
        for end, other in ((a, c), (c, a)):
            assert [p["peer"] for p in (await end.command("peers"))["peers"]] == [middle.peer_id]
            await other.publish("t", b"from " + other.peer_id.encode())
            relayed = await hears(end, b"from " + other.peer_id.encode())
            assert (relayed["from"], relayed["received_from"]) == (other.peer_id, middle.peer_id)
            assert (await end.command("stats"))["rejections"] == {}


# Other ways to be connected


@among(("python", "go"))
@pytest.mark.rule("FS-07")
async def test_floodsub_and_gossipsub_peers_make_one_network(targets: tuple[str, ...]) -> None:
    async with (
        start_peers(*targets, topic="t", params=ROOMY) as (x, y),
        start_peers(
            *targets, topic="t", protocol="floodsub", params={"subBuffer": 1024}, first_seed=3
        ) as (f, g),
    ):
        for one, other in ((f, y), (y, x), (x, g)):  # floodsub peers at both ends of a line
            await connect(one, other, topic="t")
        await in_mesh(x, y, topic="t")
        await exchange([x, y, f, g], [x, y, f, g], topic="t", count=50, size=200, window=16)


@among(*PAIRS)
async def test_a_topic_can_be_left_and_joined_again(targets: tuple[str, ...]) -> None:
    async with meshed(*targets) as (a, b):
        for peer in (a, b):
            await peer.command("subscribe", topic="fence")
        await knows(a, b, topic="fence")
        await knows(b, a, topic="fence")
        for leaver, other in ((a, b), (b, a)):
            await leaver.command("unsubscribe", topic="t")
            left = await other.wait_event("topic_peer_leave")
            assert (left["topic"], left["peer"]) == ("t", leaver.peer_id)
            await other.publish("t", b"missed")
            await other.publish("fence", b"fence")
            await hears(leaver, b"fence")
            assert b"missed" not in heard(leaver)
            await leaver.command("subscribe", topic="t")
            await knows(other, leaver, topic="t")
            for publisher, receiver in ((other, leaver), (leaver, other)):
                await publisher.publish("t", b"back")
                assert (await hears(receiver, b"back"))["from"] == publisher.peer_id
            await in_mesh(a, b, topic="t")  # the backoff is over by then


# Peers that go away


def kill(peer: PeerProcess) -> None:
    """As a crash does: at once, and only what was started here."""
    os.kill(peer.ready["pid"], signal.SIGKILL)


async def gone(survivor: PeerProcess, other: PeerProcess) -> None:
    await survivor.wait_event(
        "peer_disconnected", where=lambda event: event["peer"] == other.peer_id
    )


@among(("python", "go"), ("go", "python"), ("python", "python"))
@pytest.mark.rule("T4")
async def test_after_a_restart_delivery_resumes_whoever_dials(targets: tuple[str, ...]) -> None:
    async with start_peers(targets[0], topic="t", params=ROOMY) as (survivor,):
        listen = "/ip4/127.0.0.1/tcp/0"
        for life in range(3):
            async with start_peers(
                targets[1], topic="t", params=ROOMY, first_seed=2, listen=listen
            ) as (mortal,):
                listen = mortal.addresses[0].partition("/p2p/")[0]
                if life == 1:
                    await connect(mortal, survivor, topic="t")
                else:
                    await connect(survivor, mortal, topic="t")
                both = [survivor, mortal]
                await exchange(both, both, topic="t", count=100, size=1024)
                kill(mortal)
                await gone(survivor, mortal)
        assert (await survivor.command("peers"))["peers"] == []
        assert (await survivor.command("stats"))["rejections"] == {}


@among(("python", "go", "go"), ("python", "python", "python"), ("go", "python", "python"))
async def test_a_peer_killed_in_the_middle_of_a_message_is_survived(
    targets: tuple[str, ...],
) -> None:
    async with start_peers(*targets, topic="t", params=ROOMY) as (survivor, doomed, friend):
        for peer in (doomed, friend):
            await connect(survivor, peer, topic="t")
            await in_mesh(survivor, peer, topic="t")

        async def send_much() -> None:
            with pytest.raises(PeerFailed):
                await doomed.command(
                    "publish_many", topic="t", count=200, size=1_000_000, timeout=30
                )

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send_much)
            await survivor.wait_event("message", timeout=20)
            kill(doomed)
        await gone(survivor, doomed)
        assert {len(data) for data in heard(survivor)} <= {1_000_000}  # no part of one
        await exchange([survivor, friend], [survivor, friend], topic="t", count=100, size=1024)
        assert friend.events("peer_disconnected") == []


@among(("python", "go", "go"), ("python", "python", "python"), ("go", "python", "python"))
async def test_a_peer_killed_while_it_is_sent_much_is_survived(targets: tuple[str, ...]) -> None:
    async with start_peers(*targets, topic="t", params=ROOMY) as (survivor, doomed, friend):
        for peer in (doomed, friend):
            await connect(survivor, peer, topic="t")
            await in_mesh(survivor, peer, topic="t")

        async def end_it() -> None:
            await doomed.wait_event("message", timeout=20)
            kill(doomed)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end_it)
            await exchange(
                [survivor], [friend], topic="t", count=30, size=900_000, window=4, timeout=40
            )
        await gone(survivor, doomed)


@among(*PAIRS)
@pytest.mark.rule("T8")
async def test_what_was_published_right_before_the_goodbye_arrives(
    targets: tuple[str, ...],
) -> None:
    """Also what is more than the stream's window: the goodbye, at which go's streams die with
    what its application has not read yet, waits. Go itself does not: only ours leave here."""
    async with meshed(*targets, params=ROOMY) as peers:
        leaver, other = peers if targets[0] == "python" else reversed(peers)
        words = [b"first", *(os.urandom(900_000) for _ in range(5)), b"last"]
        async with anyio.create_task_group() as tasks:
            for data in words:
                tasks.start_soon(leaver.publish, "t", data)
            await anyio.wait_all_tasks_blocked()
            await leaver.command("exit")
        assert sorted(await hears_all(other, len(words))) == sorted(words)
        await gone(other, leaver)


@among(("python", "go"), ("python", "python"))
@pytest.mark.rule("CONN-02", "T4")
async def test_fifty_times_both_dial_at_the_same_moment(targets: tuple[str, ...]) -> None:
    async with start_peers(*targets, topic="t", params=FAST) as (a, b):
        for number in range(50):
            async with anyio.create_task_group() as tasks:
                for dialler, listener in ((a, b), (b, a)):
                    tasks.start_soon(connect_only, dialler, listener)
            await knows(a, b, topic="t")
            await knows(b, a, topic="t")
            for publisher, receiver in ((a, b), (b, a)):
                data = b"%d by %s" % (number, publisher.peer_id.encode())
                await publisher.publish("t", data)
                await hears(receiver, data)
                listed = (await publisher.command("peers"))["peers"]
                assert [peer["peer"] for peer in listed] == [receiver.peer_id]
            await a.command("disconnect", peer=b.peer_id)
            for peer, other in ((a, b), (b, a)):
                await gone(peer, other)
                assert len(peer.events("peer_connected")) == 1  # it counts once
        for peer in (a, b):
            stats = await peer.command("stats")
            assert (stats["received"], stats["rejections"]) == (50, {})


async def connect_only(dialler: PeerProcess, listener: PeerProcess) -> None:
    await dialler.command("connect", addr=listener.addresses[0])


# Networks


async def mesh_of(peer: PeerProcess) -> set[str]:
    return set((await peer.command("mesh", topic="t"))["peers"])


NO_MESH = {"D": 0, "Dlo": 0, "Dhi": 0, "Dscore": 0, "Dout": 0, "floodPublish": False}


@among(("python", "go"), ("go", "python"), ("python", "python"))
@pytest.mark.rule("SPL-07")
async def test_a_thousand_messages_asked_for_in_gossip_all_arrive(
    targets: tuple[str, ...],
) -> None:
    """The publisher has nobody in its mesh: what it says can only be asked for."""
    roomy = ROOMY | {"validateQueue": 4096, "outboundQueue": 4096, "subBuffer": 4096}
    slow = {"heartbeatMs": 1000, "heartbeatInitialDelayMs": 10}
    async with (
        start_peers(targets[0], topic="t", params=roomy | slow | NO_MESH) as (teller,),
        start_peers(targets[1], topic="t", params=roomy, first_seed=2) as (asker,),
    ):
        await connect(asker, teller, topic="t")
        answer = await teller.command("publish_many", topic="t", count=1000, size=4096)
        assert answer["sent"] == 1000
        got = await hears_all(asker, 1000, timeout=15)
        assert sorted(int.from_bytes(data[:8], "big") for data in got) == list(range(1000))
        assert await mesh_of(teller) == set()
        assert (await teller.command("stats"))["rpc_out"] < 100  # not each by itself


@among(("python", "go", "go", "python"))
@pytest.mark.timeout(300)
@pytest.mark.rule("T5")
async def test_after_two_idle_minutes_everything_still_works(targets: tuple[str, ...]) -> None:
    """Go ends a connection whose keep-alive ping, every 30 s, is not answered within 10 s; so do
    we."""
    ours = ("python", "python")
    async with (
        start_peers(*targets, topic="t", params=FAST) as (a, b, c, d),
        start_peers(*ours, topic="t", params=FAST, first_seed=5) as (e, f),
    ):
        pairs = ((a, b), (c, d), (e, f))
        for one, other in pairs:
            await connect(one, other, topic="t")
            await in_mesh(one, other, topic="t")
        await anyio.sleep(120)
        for one, other in pairs:
            for publisher, receiver in ((one, other), (other, one)):
                await publisher.publish("t", b"awake")
                await hears(receiver, b"awake")
                assert receiver.events("peer_disconnected") == []
                assert receiver.events("topic_peer_leave") == []
