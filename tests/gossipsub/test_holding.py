"""Streams that wait for places in the validation queue, and go on."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

import gossipsub.pubsub.holding
from gossipsub.pubsub.holding import HeldStreams
from gossipsub.pubsub.validation.fair_queue import FairQueue
from gossipsub.pubsub.validation.overload import Overload
from gossipsub.router.effects import Validate
from gossipsub.timers import Timers
from gossipsub.wire.rpc import Message

pytestmark = pytest.mark.anyio


class Stream:
    """As far as those who hold it need it; it notes when it may go on."""

    def __init__(self, peer: bytes, resumed: list[bytes]) -> None:
        self.peer = peer
        self._resumed = resumed

    def resume(self) -> None:
        self._resumed.append(self.peer)


class Setting:
    def __init__(self) -> None:
        self.queue = FairQueue(16)
        self.held = HeldStreams(self.queue, Overload(Timers()))
        self.resumed: list[bytes] = []
        self._ticket = 0

    def stream(self, peer: bytes) -> Stream:
        return Stream(peer, self.resumed)

    def put(self, peer: bytes, times: int) -> None:
        for _ in range(times):
            self._ticket += 1
            self.queue.put(Validate(self._ticket, peer, Message("t", b""), b"%d" % self._ticket))

    @asynccontextmanager
    async def running(self):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.held.run)
            await anyio.lowlevel.checkpoint()
            yield
            tasks.cancel_scope.cancel()

    async def turn(self) -> list[bytes]:
        """Which go on now."""
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        resumed = self.resumed[:]
        self.resumed.clear()
        return resumed


async def test_a_stream_goes_on_when_its_peer_has_few_messages_waiting_again():
    setting = Setting()
    held, a, b = setting.held, setting.stream(b"a"), setting.stream(b"b")
    setting.put(b"a", 6)
    assert held.must_wait(b"a", a)
    assert not held.must_wait(b"b", b)
    assert not held.must_wait(b"a", None)
    async with setting.running():
        held.places_came()
        assert await setting.turn() == []
        setting.queue.take(1, 1)
        held.places_came()
        assert await setting.turn() == []
        setting.queue.take(1, 1)
        held.places_came()
        assert await setting.turn() == [b"a"]
        held.places_came()
        assert await setting.turn() == []


async def test_streams_go_on_in_the_order_in_which_they_began_to_wait():
    setting = Setting()
    streams = {name: setting.stream(name) for name in (b"c", b"a", b"b")}
    for name, stream in streams.items():
        setting.put(name, 5)
        assert setting.held.must_wait(name, stream) is (name != b"c")
    assert setting.held.must_wait(b"c", streams[b"c"])
    async with setting.running():
        setting.queue.take(16, 1 << 20)
        setting.held.places_came()
        assert await setting.turn() == [b"a", b"b", b"c"]


async def test_a_stream_that_is_gone_does_not_go_on():
    setting = Setting()
    gone, stays = setting.stream(b"gone"), setting.stream(b"stays")
    for stream in (gone, stays):
        setting.held.postpone(stream)
    setting.held.forget(gone)
    setting.held.forget(gone)
    async with setting.running():
        assert await setting.turn() == [b"stays"]


async def test_postponed_streams_leave_everybody_else_their_turns(monkeypatch):
    monkeypatch.setattr(gossipsub.pubsub.holding, "SLICE", 0.0)
    setting = Setting()
    order: list[bytes] = []

    class Busy(Stream):
        def resume(self) -> None:
            order.append(self.peer)
            if len(order) < 40:
                setting.held.postpone(self)

    async def somebody_else():
        for _ in range(10):
            order.append(b"else")
            await anyio.lowlevel.checkpoint()

    for name in (b"a", b"b"):
        setting.held.postpone(Busy(name, []))
    async with setting.running(), anyio.create_task_group() as tasks:
        tasks.start_soon(somebody_else)
        await setting.turn()
    assert order.count(b"else") == 10
    assert b"else" in order[len(order) // 3 :]
    assert {b"a", b"b"} <= set(order)


async def test_large_rpcs_use_up_a_turn_of_the_event_loop_and_the_next_is_fresh(monkeypatch):
    monkeypatch.setattr(gossipsub.pubsub.holding, "TURN", 1.0)
    setting = Setting()
    held = setting.held
    held.worked(0.9)
    assert not held.is_turn_used
    held.worked(0.2)
    assert held.is_turn_used
    held.postpone(setting.stream(b"a"))
    async with setting.running():
        assert await setting.turn() == [b"a"]
        assert not held.is_turn_used
        held.worked(0.9)
        assert await setting.turn() == []
        held.worked(0.9)
        assert not held.is_turn_used
