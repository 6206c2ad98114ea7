"""The limit on what peers send besides messages."""

from __future__ import annotations

import anyio
import pytest

from gossipsub import Host, HostConfig
from gossipsub.conformance.scripted_peer import dial
from gossipsub.crypto.message_signing import sign_message
from gossipsub.pubsub.overhead import REMEMBERED_PEERS, OverheadLimit
from gossipsub.wire.rpc import (
    Control,
    IHave,
    Message,
    PartialMessagesExtension,
    Rpc,
    SubOpts,
)

HELLO = Rpc(subscriptions=[SubOpts("news")])


def refill(limit: OverheadLimit, size: int, now: float, peer: bytes = b"w") -> bool:
    return limit.admits(peer, HELLO, size, now)


@pytest.mark.rule("SPAM-10")
def test_a_peer_may_send_the_burst_at_once_and_then_what_time_brings():
    limit = OverheadLimit(rate=10.0, burst=100)
    assert [refill(limit, 50, 5.0) for _ in range(3)] == [True, True, False]
    assert refill(limit, 1, 5.0) is False
    assert refill(limit, 10, 5.9) is False
    assert refill(limit, 10, 6.0) is True
    assert refill(limit, 1, 6.0) is False
    assert limit.refused == 4


@pytest.mark.rule("SPAM-10")
def test_a_pause_brings_no_more_than_the_burst_and_a_larger_rpc_never_comes_in():
    limit = OverheadLimit(rate=10.0, burst=100)
    assert refill(limit, 101, 0.0) is False
    assert refill(limit, 100, 1000.0) is True
    assert refill(limit, 101, 2000.0) is False
    assert refill(limit, 100, 2000.0) is True


@pytest.mark.rule("SPAM-10")
def test_what_is_refused_takes_nothing_from_what_the_peer_may_send():
    limit = OverheadLimit(rate=10.0, burst=100)
    assert [refill(limit, 60, 0.0) for _ in range(5)] == [True, False, False, False, False]
    assert refill(limit, 40, 0.0) is True


@pytest.mark.rule("SPAM-10")
def test_each_peer_has_a_limit_of_its_own():
    limit = OverheadLimit(rate=10.0, burst=100)
    assert [refill(limit, 100, 0.0, peer) for peer in (b"w", b"v", b"w", b"v")] == [
        *(True, True),
        *(False, False),
    ]


@pytest.mark.rule("SPAM-10")
@pytest.mark.parametrize(
    ("rpc", "overhead"),
    [
        (HELLO, 1000),
        (Rpc(publish=[Message("news", bytes(600)), Message("news", bytes(300))]), 100),
        (Rpc(publish=[Message("news")], control=Control(ihave=[IHave("news", [b"id"])])), 1000),
        (Rpc(partial=PartialMessagesExtension("news", b"g", bytes(700), bytes(200))), 300),
        (Rpc(partial=PartialMessagesExtension("news", b"g", None, bytes(200))), 1000),
    ],
)
def test_all_counts_but_data_of_messages_and_of_parts(rpc: Rpc, overhead: int):
    limit = OverheadLimit(rate=1.0, burst=overhead)
    assert limit.admits(b"w", rpc, 1000, 0.0)
    assert OverheadLimit(rate=1.0, burst=overhead - 1).admits(b"w", rpc, 1000, 0.0) is False


@pytest.mark.rule("SPAM-10")
def test_only_so_many_peers_are_remembered_and_those_first_that_sent_of_late():
    limit = OverheadLimit(rate=1.0, burst=100)
    assert refill(limit, 1, 0.0, b"quiet")
    peers = [b"%d" % number for number in range(REMEMBERED_PEERS)]
    for peer in peers:
        assert refill(limit, 100, 50.0, peer)
    assert len(limit) == REMEMBERED_PEERS
    assert refill(limit, 100, 50.0, b"another")
    assert len(limit) == REMEMBERED_PEERS
    # All are remembered but the one that was noted first.
    assert [refill(limit, 100, 50.0, peer) for peer in (*peers[1:], b"another")] == [
        *(False for _ in peers)
    ]
    assert refill(limit, 100, 50.0, peers[0])


# Live


async def until(condition):
    with anyio.fail_after(20):
        while not condition():
            await anyio.sleep(0.002)


def signed(w, number: int, size: int) -> Rpc:
    message = Message("news", bytes(size), seqno=number.to_bytes(8, "big"))
    return Rpc(publish=[sign_message(message, w.key)])


FLOOD = Rpc(control=Control(ihave=[IHave("news", [bytes(32)] * 100)]))


@pytest.mark.anyio
@pytest.mark.rule("SPAM-10")
async def test_rpcs_beyond_the_limit_are_dropped_while_messages_go_on():
    config = HostConfig(overhead_bytes_per_second=0.001, overhead_burst_bytes=2000)
    async with Host(config=config) as host, dial(host.addresses[0]) as w:
        topic = await host.join("news")
        async with topic.subscribe() as messages:
            await w.serve_identify()
            await w.open_pubsub()
            await w.send_rpc(FLOOD)
            await w.send_rpc(HELLO)
            await w.send_rpc(signed(w, 1, 100_000))
            await w.send_rpc(FLOOD)
            await w.send_rpc(signed(w, 2, 100_000))
            with anyio.fail_after(20):
                received = [await anext(messages) for _ in range(2)]
        assert [int.from_bytes(message.seqno or b"") for message in received] == [1, 2]
        assert topic.peers() == (w.peer_id,)
        assert host.statistics().rpc_refused == 2


@pytest.mark.anyio
@pytest.mark.rule("SPAM-10")
async def test_a_peer_beyond_the_limit_is_disconnected_where_that_is_asked_for():
    config = HostConfig(
        overhead_bytes_per_second=0.001, overhead_burst_bytes=2000, overhead_disconnect=True
    )
    async with Host(config=config) as host, dial(host.addresses[0]) as w:
        await w.serve_identify()
        await w.open_pubsub()
        await w.send_rpc(HELLO)
        await w.send_rpc(FLOOD)
        await until(lambda: not host.peers())
        assert host.statistics().rpc_refused == 1


@pytest.mark.anyio
@pytest.mark.rule("SPAM-10")
async def test_without_a_limit_nothing_is_refused():
    async with Host() as host, dial(host.addresses[0]) as w:
        topic = await host.join("news")
        await w.serve_identify()
        await w.open_pubsub()
        for _ in range(50):
            await w.send_rpc(FLOOD)
        await w.send_rpc(HELLO)
        await until(lambda: topic.peers() == (w.peer_id,))
        assert host.statistics().rpc_refused == 0
