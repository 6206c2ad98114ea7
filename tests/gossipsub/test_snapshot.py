"""A host's snapshot, and what it measures."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import fields

import anyio
import anyio.lowlevel
import pytest

from gossipsub import (
    GossipParams,
    Host,
    HostMeasurements,
    HostSnapshot,
    LocalProtocolError,
    PeerScoreParams,
    PrivateKey,
    SubscriptionStatistics,
    TopicScoreParams,
)
from gossipsub.measurements import TopicSizes
from gossipsub.snapshot import PEER_TOPICS

pytestmark = pytest.mark.anyio

KEY = PrivateKey.from_seed(bytes(31) + b"\x07")
SCORED = GossipParams(
    score=PeerScoreParams(
        other_topics=TopicScoreParams(
            first_message_deliveries_weight=1.0,
            invalid_message_deliveries_weight=-1.0,
            invalid_message_deliveries_decay=0.5,
        )
    )
)


async def until(condition):
    with anyio.fail_after(20):
        while not condition():
            await anyio.sleep(0.002)


@asynccontextmanager
async def pair(topics=("news",), **options):
    """A host subscribed to "news", and another that is in `topics`."""
    async with Host(**options) as host, Host(agent_version="agent <b>\x1b") as other:
        here = await host.join("news")
        theirs = [await other.join(topic) for topic in topics]
        async with here.subscribe(buffer=1), anyio.create_task_group() as tasks:
            for topic in theirs:
                await topic.subscribe().__aenter__()
            await other.connect(host.addresses[0])
            await theirs[0].wait_for_peers(1, timeout=20)
            await until(lambda: len(host.peers()) == 1 and host.peers()[0].agent_version)
            await until(lambda: len(host.peers()[0].topics) == len(topics))
            await until(lambda: here.mesh())
            yield host, here, other, theirs[0]
            tasks.cancel_scope.cancel()


async def test_a_snapshot_tells_who_the_host_is_and_how_it_is_set_up():
    async with Host(key=KEY, params=GossipParams(flood_publish=False)) as host:
        snapshot = await host.snapshot()
        assert snapshot.peer_id == KEY.peer_id()
        assert snapshot.addresses == host.addresses
        assert snapshot.params["flood_publish"] is False
        assert snapshot.config["validation_queue"] == 256
        assert {"python", "gossipsub", "cryptography", "anyio"} <= snapshot.versions.keys()
        assert snapshot.measurements.uptime >= 0
        assert snapshot.peers == snapshot.topics == ()


async def test_a_snapshot_tells_of_topics_and_peers_with_the_reasons_of_scores():
    async with pair(params=SCORED) as (host, here, other, there):
        host.set_validator("news", lambda message: b"bad" not in message.data)
        for data in (b"good", b"good", b"bad"):
            await there.publish(data)
        async with here.relay():
            await until(lambda: host.statistics().rejections == {"validation failed": 1})
            snapshot = await host.snapshot()
        (topic,) = snapshot.topics
        assert (topic.name, topic.delivers, topic.relays, topic.peers) == ("news", True, 1, 1)
        assert topic.mesh == (other.peer_id,)
        assert topic.subscriptions == (SubscriptionStatistics(1, 1, 1, 4),)
        (peer,) = snapshot.peers
        assert peer.info.peer == other.peer_id
        assert (peer.meshes, peer.topic_count, peer.direct) == (("news",), 1, False)
        assert peer.score is not None
        assert "P4 in news: 1 x -1" in "\n".join(peer.score_explanation)
        assert peer.score_explanation[-1].endswith("P4 in news: validation failed")
        assert [each.outbound for each in peer.connections] == [False]
        assert peer.connections[0].bytes_in > 0


async def test_measurements_count_what_passed_on_both_sides():
    async with pair() as (host, _here, _other, there):
        for _ in range(20):
            await there.publish(bytes(100))
        await until(lambda: host.measurements().counts.topics["news"].accepted == 20)
        await until(lambda: sum(host.measurements().heartbeat_duration.counts) > 0)
        measured = host.measurements()
        assert measured.rpc_received["publish"] == 20
        assert measured.rpc_received["subscribe"] == 1
        assert measured.rpc_sent["subscribe"] == 1
        assert measured.statistics.delivered == measured.counts.topics["news"].delivered == 20
        assert measured.topics == {"news": TopicSizes(peers=1, mesh=1)}
        assert measured.protocols == {"/meshsub/1.3.0": 1}
        assert measured.scores is None
        assert sum(measured.validation.counts) == 1
        assert sum(measured.heartbeat_lateness.counts) > 0
        assert measured.bytes_in > 20 * 100
        assert measured.limits.keys() <= measured.tables.keys()


async def test_bytes_of_connections_that_ended_still_count():
    async with pair() as (host, _here, other, _there):
        before = host.measurements()
        await host.disconnect(other.peer_id)
        after = host.measurements()
        assert after.statistics.connections == 0
        assert after.bytes_in >= before.bytes_in > 0
        assert after.bytes_out >= before.bytes_out > 0


async def test_a_snapshot_is_json_with_the_names_of_its_fields():
    async with pair(params=SCORED) as (host, _here, other, _there):
        snapshot = await host.snapshot()
    told = json.loads(snapshot.to_json(), parse_constant=pytest.fail)
    assert list(told) == [field.name for field in fields(HostSnapshot)]
    assert list(told["measurements"]) == [field.name for field in fields(HostMeasurements)]
    assert told["peers"][0]["info"]["peer"] == str(other.peer_id)
    assert told["peers"][0]["info"]["agent_version"] == "agent <b>\x1b"
    assert told["topics"][0]["mesh"] == [str(other.peer_id)]
    assert snapshot.to_json().isascii()
    assert json.loads(snapshot.to_json(indent=2)) == told
    assert "".join(snapshot.json_pieces()) == snapshot.to_json()


async def test_no_key_and_no_payload_is_in_a_snapshot():
    async with pair(key=KEY) as (host, here, _other, there):
        await here.publish(b"a private word")
        await there.publish(b"another private word")
        await until(lambda: host.statistics().delivered == 2)
        text = (await host.snapshot()).to_json()
    for secret in (b"private word", KEY.encode(), KEY.encode()[-64:-32]):
        assert secret.hex() not in text
    assert "private word" not in text


async def test_a_snapshot_is_as_short_as_asked_for():
    topics = [f"topic {number}" for number in range(PEER_TOPICS + 5)]
    async with pair(topics=("news", *topics)) as (host, _here, _other, _there):
        (peer,) = (await host.snapshot()).peers
        assert len(peer.info.topics) == PEER_TOPICS
        assert peer.topic_count == PEER_TOPICS + 6
        short = await host.snapshot(max_peers=0, max_topics=0)
        assert (short.peers, short.peers_left_out) == ((), 1)
        assert (short.topics, short.topics_left_out) == ((), 1)


async def test_of_many_peers_those_in_meshes_are_told_first_then_the_worst():
    others = [PrivateKey.from_seed(bytes(31) + bytes([number])) for number in (1, 2, 3)]
    worth = {key.peer_id(): float(number) for number, key in enumerate(others)}
    score = PeerScoreParams(app_specific_score=worth.__getitem__, app_specific_weight=1.0)
    params = GossipParams(score=score)
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(Host(params=params))
        a, b, c = [await stack.enter_async_context(Host(key=key)) for key in others]
        for end in (host, c):
            await stack.enter_async_context((await end.join("t")).subscribe())
        for other in (c, b, a):
            await other.connect(host.addresses[0])
        await until(lambda: host.measurements().topics["t"].mesh == 1)
        await until(lambda: sum(host.measurements().protocols.values()) == 3)
        told = await host.snapshot(max_peers=2)
        assert [peer.info.peer for peer in told.peers] == [c.peer_id, a.peer_id]
        assert told.peers_left_out == 1


async def test_others_get_their_turns_while_a_snapshot_is_taken(monkeypatch):
    monkeypatch.setattr("gossipsub.snapshot.SLICE", -1.0)
    turns = 0

    async def take_turns():
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(Host())
        for _ in range(5):
            other = await stack.enter_async_context(Host())
            await host.connect(other.addresses[0])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take_turns)
            await anyio.lowlevel.checkpoint()
            before = turns
            assert len((await host.snapshot()).peers) == 5
            assert turns - before >= 5
            tasks.cancel_scope.cancel()


async def test_a_host_that_is_not_open_has_no_snapshot():
    host = Host()
    with pytest.raises(LocalProtocolError, match="open the host first"):
        await host.snapshot()
    with pytest.raises(LocalProtocolError, match="open the host first"):
        host.measurements()
