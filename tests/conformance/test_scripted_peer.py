"""The scripted peer against itself: what it promises to the scripts built on it."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import pytest

from gossipsub.conformance.scripted_listener import listen
from gossipsub.conformance.scripted_peer import PUBSUB, Frame, dial
from gossipsub.conformance.scripted_wire import (
    MULTISTREAM,
    NOISE,
    YAMUX,
    WireClosed,
    WireError,
    WireTimeout,
    encode_line,
    key_of_seed,
    reach,
)
from gossipsub.wire.errors import RemoteProtocolError
from gossipsub.wire.identify import PROTOCOL as IDENTIFY
from gossipsub.wire.rpc import Rpc, SubOpts
from gossipsub.wire.yamux_frame import DATA, GO_AWAY, INITIAL_WINDOW_BYTES, SYN

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def two(*, muxers=(YAMUX,)):
    """A dialler and the peer it dialled."""
    async with listen() as listener:
        ready, done = anyio.Event(), anyio.Event()
        dialled = []

        async def serve():
            async with listener.accept(muxers=muxers) as peer:
                dialled.append(peer)
                ready.set()
                await done.wait()

        failure = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve)
            async with dial(listener.address, muxers=muxers) as w:
                await ready.wait()
                try:
                    yield w, dialled[0]
                except Exception as error:
                    failure = error
            done.set()
        if failure is not None:
            raise failure


@pytest.mark.parametrize("muxers", [(YAMUX,), ()])
async def test_two_of_them_agree_on_everything_up_to_an_rpc(muxers):
    async with two(muxers=muxers) as (a, b):
        assert (a.remote_peer, b.remote_peer) == (b.peer_id, a.peer_id)
        await b.serve_identify(["/meshsub/1.1.0"])
        said = await a.ask_identify()
        assert said.protocols[2:] == ["/meshsub/1.1.0"]
        stream = await a.open_pubsub("/nope", "/meshsub/1.1.0")
        assert (stream.protocol, stream.stream_id) == ("/meshsub/1.1.0", 3)
        await a.send_rpc(Rpc(subscriptions=[SubOpts("t")]))
        assert (await b.receive_rpc()).subscriptions == (SubOpts("t"),)
        await b.ping(5)


async def test_bytes_beyond_the_window_wait_for_credit_and_arrive():
    async with two() as (a, b):
        b.returns_credit = False
        stream = await a.start_stream()
        there = await b.accept_stream()
        with pytest.raises(WireTimeout, match=r"no credit on stream 1 within 0\.05 s"):
            await stream.write(bytes(INITIAL_WINDOW_BYTES + 1), timeout=0.05)
        assert (stream.window, there.received_bytes) == (0, INITIAL_WINDOW_BYTES)
        await there.grant(10)
        await stream.write(b"more")
        await stream.finish()
        assert (await there.read_to_end())[-4:] == b"more"


async def test_what_is_not_told_is_not_done():
    async with two() as (a, b):
        b.acknowledges = b.answers_pings = b.returns_credit = False
        stream = await a.start_stream()
        await stream.write_lines(MULTISTREAM, IDENTIFY)
        for wait in (stream.wait_acknowledged, lambda **t: a.ping(1, **t), stream.read_line):
            with pytest.raises(WireTimeout):
                await wait(timeout=0.02)
        assert b.journal.sent("yamux") == []
        await b.serve_identify()
        assert await stream.read_line() == MULTISTREAM


async def test_every_frame_is_in_the_journal_with_its_time():
    async with two() as (a, b):
        frame = Frame(DATA, SYN, 1, 3, b"abc")
        await a.send_frames(frame)
        await (await b.accept_stream()).read_exactly(3)
        assert a.journal.sent("yamux") == [frame]
        assert b.journal.received("yamux") == [frame]
        times = [entry.at for entry in a.journal.entries]
        assert times == sorted(times)
        assert times[0] >= 0
        assert b"".join(a.journal.sent("tcp")).startswith(b"\x13/multistream/1.0.0\n")


async def test_the_end_of_the_connection_is_told_to_whoever_waits():
    async with two() as (a, b):
        stream = await a.start_stream()
        await b.send_frame(GO_AWAY, 0, 0, 0x1005)
        assert await a.wait_goaway() == 0x1005
        await b.wire.close()
        await a.wait_ended()
        for wait in (a.receive_rpc, stream.wait_reset, stream.read_line):
            with pytest.raises(WireClosed):
                await wait()


async def test_a_refusal_a_reset_and_an_end_are_told_apart():
    async with two() as (a, b):
        b.serve("/known")
        with pytest.raises(WireError, match=r"none of \('/unknown',\), but 'na'"):
            await a.open_stream("/unknown")
        stream = await a.open_stream("/known")
        there = b.streams[stream.stream_id]
        await there.reset(7)
        assert await stream.wait_reset() == 7
        other = await a.open_stream("/known")
        await b.streams[other.stream_id].finish()
        with pytest.raises(WireClosed, match="ended after 0 bytes"):
            await other.read_exactly(1)


async def test_what_nobody_waited_for_and_was_wrong_fails_the_script():
    async with listen() as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(_send_garbage, listener.address)
        with pytest.raises(WireError, match="stream 1: "):  # noqa: PT012
            async with listener.accept() as w:
                await w.serve_identify()
                await w.wait_pubsub()
                await w.until(lambda: w.faults != [], "fault", 5)


async def _send_garbage(address):
    async with dial(address) as w:
        stream = await w.open_pubsub()
        await stream.write(b"\x02\xff\xff")
        await w.wait_ended()


async def test_an_error_of_the_script_comes_out_as_it_is():
    with pytest.raises(KeyError, match="mine"):
        async with two():
            raise KeyError("mine")


async def test_a_wire_can_stop_and_forge_at_any_step():
    async with listen() as listener, reach(listener.address) as wire:
        async with listener.accept_wire() as other:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(other.choose, NOISE)
                assert await wire.propose("/tls/1.0.0", NOISE) == NOISE

            async def respond():
                with pytest.raises(RemoteProtocolError, match="did not sign"):
                    await other.shake_hands(listener.key, initiator=False)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(respond)
                await wire.shake_hands(key_of_seed(1), initiator=True, signature=bytes(64))
            assert wire.remote_key is not None
            assert wire.remote_key.peer_id() == listener.key.peer_id()
        await wire.wait_closed()


async def test_reading_stops_and_goes_on_when_told():
    async with two() as (a, b):
        b.stop_reading()
        await a.send_frame(DATA, SYN, 1, 1, b"x")
        await a.send_frame(DATA, 0, 1, 1, b"y")
        await anyio.sleep(0.02)
        assert len(b.journal.received("yamux")) <= 1  # the read that was under way
        b.resume_reading()
        assert await (await b.accept_stream()).read_exactly(2) == b"xy"
        assert PUBSUB[0] == "/meshsub/1.3.0"


async def test_what_a_lazy_dialler_sent_behind_a_refused_proposal_is_no_fault():
    async with two() as (a, b):
        await b.serve_identify([])
        stream = await a.start_stream()
        await stream.write(encode_line(MULTISTREAM) + encode_line("/unknown/1.0.0") + b"\x00")
        assert await stream.read_line() == MULTISTREAM
        assert await stream.read_line() == "na"
        await a.ping(1)
        assert b.faults == []


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [
        ({"max_received_bytes": 1000}, "more than 1000 bytes came"),
        ({"max_entries": 20}, "more than 20 pieces came"),
    ],
)
async def test_what_comes_without_end_is_not_kept_but_ends_the_connection(limits, complaint):
    async with two() as (a, b):
        for name, limit in limits.items():
            setattr(b.journal, name, limit)
        stream = await a.start_stream()
        for _ in range(100):
            await stream.send(bytes(100))
        await b.wait_ended()
        assert b.faults == [f"below yamux: {complaint}"]
        b.faults.clear()
        assert len(b.journal.entries) <= 60
