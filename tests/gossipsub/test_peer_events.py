from __future__ import annotations

import pytest

from gossipsub.crypto.peer_id import PeerId
from gossipsub.peer_events import PeerEvent, PeerEventKind, PeerWatch

pytestmark = pytest.mark.anyio

A, B = PeerId(b"a"), PeerId(b"b")
CONNECTED, DISCONNECTED = PeerEventKind.PEER_CONNECTED, PeerEventKind.PEER_DISCONNECTED
JOIN, LEAVE = PeerEventKind.TOPIC_PEER_JOIN, PeerEventKind.TOPIC_PEER_LEAVE


async def unread(events) -> list[PeerEvent]:
    return [await anext(events) for _ in range(len(events))]


async def test_every_reader_hears_what_happens_while_it_is_open():
    watch = PeerWatch()
    watch.tell(CONNECTED, A)
    async with watch.reader(10) as first:
        watch.tell(CONNECTED, B)
        async with watch.reader(10) as second:
            watch.tell(JOIN, B, "t")
        watch.tell(DISCONNECTED, B)
        assert await unread(second) == [PeerEvent(JOIN, B, "t")]
        assert await unread(first) == [
            PeerEvent(CONNECTED, B),
            PeerEvent(JOIN, B, "t"),
            PeerEvent(DISCONNECTED, B),
        ]


@pytest.mark.rule("SUB-07")
async def test_an_unread_join_and_the_leave_behind_it_cancel_out():
    watch = PeerWatch()
    async with watch.reader(10) as events:
        watch.tell(JOIN, A, "t")
        watch.tell(JOIN, B, "t")
        watch.tell(JOIN, A, "u")
        watch.tell(LEAVE, A, "t")
        assert await unread(events) == [PeerEvent(JOIN, B, "t"), PeerEvent(JOIN, A, "u")]
        watch.tell(LEAVE, B, "t")
        assert await unread(events) == [PeerEvent(LEAVE, B, "t")]
        watch.tell(LEAVE, A, "u")
        watch.tell(JOIN, A, "u")
        assert await unread(events) == []


@pytest.mark.rule("SUB-07")
async def test_peers_that_come_and_go_unread_fill_no_buffer():
    watch = PeerWatch()
    async with watch.reader(2) as events:
        watch.tell(JOIN, B, "t")
        for _ in range(1000):
            watch.tell(JOIN, A, "t")
            watch.tell(LEAVE, A, "t")
        watch.tell(JOIN, A, "t")
        assert await unread(events) == [PeerEvent(JOIN, B, "t"), PeerEvent(JOIN, A, "t")]
        assert (events.delivered, events.dropped) == (2, 0)


async def test_connections_do_not_cancel_out():
    watch = PeerWatch()
    async with watch.reader(10) as events:
        watch.tell(CONNECTED, A)
        watch.tell(DISCONNECTED, A)
        assert await unread(events) == [PeerEvent(CONNECTED, A), PeerEvent(DISCONNECTED, A)]


async def test_a_full_buffer_loses_the_newest_and_what_it_lost_takes_nothing_back():
    watch = PeerWatch()
    async with watch.reader(1) as events:
        watch.tell(JOIN, A, "t")
        watch.tell(JOIN, B, "t")
        watch.tell(LEAVE, B, "t")
        assert (len(events), events.dropped) == (1, 2)
        assert await unread(events) == [PeerEvent(JOIN, A, "t")]


async def test_the_end_of_the_node_ends_every_reader():
    watch = PeerWatch()
    async with watch.reader(10) as events:
        watch.tell(CONNECTED, A)
        watch.end()
        assert [event async for event in events] == [PeerEvent(CONNECTED, A)]
