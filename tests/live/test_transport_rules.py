"""Connection, multistream, Noise and yamux as a peer on the wire sees this host."""

from __future__ import annotations

from contextlib import suppress

import anyio
import pytest

from gossipsub import DialError, Host
from gossipsub.conformance.scripted_listener import listen
from gossipsub.conformance.scripted_peer import PUSH, Frame, dial, play
from gossipsub.conformance.scripted_wire import (
    MULTISTREAM,
    YAMUX,
    WireClosed,
    encode_line,
    key_of_seed,
    reach,
)
from gossipsub.wire.identify import PROTOCOL as IDENTIFY
from gossipsub.wire.identify import IdentifyReader, encode_identify
from gossipsub.wire.ping import PROTOCOL as PING_PROTOCOL
from gossipsub.wire.yamux_frame import (
    ACK,
    DATA,
    FIN,
    GO_AWAY,
    INITIAL_WINDOW_BYTES,
    PING,
    SYN,
    WINDOW_UPDATE,
)

pytestmark = pytest.mark.anyio

KEY = key_of_seed(1)


@pytest.mark.rule("CONN-01", "NOI-01", "PNG-01")
async def test_two_hosts_connect_and_ping_both_ways_whoever_dialled():
    async with Host() as a, Host() as b:
        assert await b.connect(a.addresses[0]) == a.peer_id
        assert 0 < await b.ping(a.peer_id) < 1
        assert 0 < await a.ping(b.peer_id) < 1
        assert [info.outbound for info in (*a.peers(), *b.peers())] == [False, True]


@pytest.mark.rule("CONN-01", "NOI-13", "YMX-02")
@pytest.mark.parametrize("muxers", [(YAMUX,), ()])
async def test_a_dialling_host_is_initiator_of_noise_and_client_of_yamux(muxers):
    async with Host() as host, listen() as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(host.connect, listener.address)
        async with listener.accept(muxers=muxers) as w:
            first = await w.accept_stream()
            assert first.stream_id == 1
            assert w.remote_peer == host.peer_id
            await w.serve_identify()
            await w.wait_pubsub()
            assert w.pubsub_in[0].stream_id == 3


async def test_connections_above_the_limits_are_refused(config):
    config = config(max_connections=3, max_connections_per_peer=2)
    async with (
        Host(config=config) as host,
        dial(host.addresses[0]) as first,
        dial(host.addresses[0]) as second,
        dial(host.addresses[0]) as third_of_the_same,
    ):
        await third_of_the_same.wait_ended(timeout=4)
        async with dial(host.addresses[0], seed=2) as other:
            await other.ping(1)
            async with dial(host.addresses[0], seed=3) as above:
                await above.wait_ended(timeout=4)
            with pytest.raises(DialError, match="3 connections are open, the limit"):
                await host.connect("/ip4/127.0.0.1/tcp/1")
        await first.ping(1)
        await second.ping(1)


async def test_what_the_body_raises_comes_out_of_the_host_as_it_is():
    with pytest.raises(KeyError, match="mine"):
        async with Host():
            raise KeyError("mine")


async def test_a_publisher_waits_while_its_peers_are_behind_and_no_longer(config, subscribe):
    config = config(outbound_queue_rpcs=64, stalled_stream_timeout=10)
    async with Host(config=config) as host, dial(host.addresses[0]) as w:
        w.returns_credit = False
        await w.serve_identify()
        topic = await subscribe(host, w)
        published: list[float] = []

        async def publish() -> None:
            for _ in range(60):
                await topic.publish(bytes(20_000))
                published.append(anyio.current_time())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(publish)
            stream = await w.wait_pubsub()
            await stream.wait_received(INITIAL_WINDOW_BYTES)
            await anyio.sleep(0.1)
            before = len(published)
            assert 32 < before < 60  # half the queue is full, and it waits
            granted = anyio.current_time()
            await stream.grant(1 << 30)
        assert published[before] - granted < 0.5  # and not until its patience ends
        assert host.statistics().rpc_dropped == 0


# -- multistream


@pytest.mark.rule("MSS-01", "MSS-02")
async def test_the_header_comes_unasked(config):
    async with Host(config=config()) as host, reach(host.addresses[0]) as wire:
        assert await wire.read_exactly(20) == bytes.fromhex(
            "132f6d756c746973747265616d2f312e302e300a"
        )


@pytest.mark.rule("T19")
@pytest.mark.parametrize("muxers", [(YAMUX,), ()])
async def test_layers_that_begin_in_one_segment_lose_nothing(config, muxers):
    """Proposal and Noise message 1 together; message 3, yamux, its streams' first bytes too."""
    async with Host(config=config()) as host, reach(host.addresses[0]) as wire:
        wire.gathers = True
        await wire.shake_hands(KEY, initiator=True, muxers=muxers, proposes=True)
        if not muxers:
            await wire.write_lines(MULTISTREAM, YAMUX)
        opening = encode_line(MULTISTREAM) + encode_line(PING_PROTOCOL) + bytes(32)
        await wire.write(Frame(DATA, SYN, 1, len(opening), opening).encode())
        wire.gathers = False
        await wire.send_raw()
        if not muxers:
            assert [await wire.read_line(), await wire.read_line()] == [MULTISTREAM, YAMUX]
        async with play(wire, KEY, client=True) as w:
            stream = w.new_stream()
            await stream.wait_received(len(opening))
            assert await stream.read_exactly(len(opening)) == opening


@pytest.mark.rule("MSS-07", "MSS-12", "YMX-04")
async def test_a_stream_may_open_speak_and_close_in_one_frame(config):
    async with Host(config=config()) as host, dial(host.addresses[0]) as w:
        stream = w.new_stream()
        lines = encode_line(MULTISTREAM) + encode_line(PUSH)
        await stream.send(lines + encode_identify(w.describe(["/x/1"])), SYN | FIN)
        await stream.read_to_end()
        assert "/x/1" in host.peers()[0].protocols
        acks = [
            frame
            for frame in w.journal.received("yamux")
            if frame.stream_id == stream.stream_id and frame.flags & ACK
        ]
        assert len(acks) == 1


@pytest.mark.rule("MSS-11", "PNG-03")
async def test_of_one_peer_two_pings_are_served_and_a_third_is_reset(config):
    async with Host(config=config()) as host, dial(host.addresses[0]) as w:
        first, second = [await w.open_stream(PING_PROTOCOL) for _ in range(2)]
        third = await w.start_stream()
        with suppress(WireClosed):  # before the echo or after it
            await third.propose(PING_PROTOCOL)
        await third.wait_reset()
        for stream in (first, second):
            await stream.write(bytes(32))
            assert await stream.read_exactly(32) == bytes(32)
        await first.reset()
        fourth = await w.open_stream(PING_PROTOCOL)
        await fourth.write(bytes(32))
        assert await fourth.read_exactly(32) == bytes(32)


# -- yamux


@pytest.mark.rule("YMX-05")
async def test_a_stream_half_closed_by_the_peer_still_answers(config):
    async with Host(config=config()) as host, dial(host.addresses[0]) as w:
        stream = await w.open_stream(PING_PROTOCOL)
        await w.send_frames(
            Frame(DATA, 0, stream.stream_id, 64, bytes(64)),
            Frame(WINDOW_UPDATE, FIN, stream.stream_id, 0),
        )
        assert await stream.read_to_end() == bytes(64)


@pytest.mark.rule("YMX-12", "T27")
@pytest.mark.parametrize("code", [0, 1, 2, 0x1005])
async def test_a_goaway_of_any_code_ends_the_connection_and_is_told(config, caplog, code):
    async with Host(config=config()) as host, dial(host.addresses[0]) as w:
        await w.accept_stream()
        await w.send_frame(GO_AWAY, 0, 0, code)
        await w.wait_ended(timeout=4)
        with anyio.fail_after(4):
            while host.peers():
                await anyio.sleep(0.001)
        assert f"reason=the peer said goodbye: code {code:#x}" in caplog.text


@pytest.mark.rule("YMX-12", "T8")
async def test_a_host_that_closes_says_goodbye_after_all_that_was_queued(config, subscribe):
    async with Host(config=config()) as host, dial(host.addresses[0]) as w:
        await w.serve_identify()
        topic = await subscribe(host, w)
        await topic.publish(bytes(50_000))
        await host.disconnect(w.peer_id)
        assert (await w.receive_rpc_with(lambda rpc: rpc.publish)).publish[0].data == bytes(50_000)
        assert await w.wait_goaway() == 0
        await w.wait_ended()


@pytest.mark.rule("YMX-18")
async def test_a_thousand_streams_at_once_are_served_beside_a_blocked_one(config):
    config = config(max_inbound_streams=1100, negotiation_timeout=20, stalled_stream_timeout=20)
    async with Host(config=config) as host, dial(host.addresses[0]) as w:
        blocked = await w.open_stream(PING_PROTOCOL)
        w.returns_credit = False
        for _ in range(16):
            await blocked.send(bytes(16384))
        await blocked.wait_received(INITIAL_WINDOW_BYTES - 64)
        w.returns_credit = True
        opening = encode_line(MULTISTREAM) + encode_line(IDENTIFY)
        streams = [w.new_stream() for _ in range(1000)]
        await w.send_frames(
            *(Frame(DATA, SYN, s.stream_id, len(opening), opening) for s in streams)
        )
        for stream in streams:
            said = await stream.read_to_end()
            assert said.startswith(opening)
            reader = IdentifyReader()
            reader.receive_data(said[len(opening) :])
            reader.receive_eof()
        assert not blocked.is_over


async def test_the_keepalive_pings_what_is_quiet_and_takes_only_its_own_answers(config):
    config = config(keepalive_interval=0.1, keepalive_timeout=0.3)
    async with Host(config=config) as host, dial(host.addresses[0]) as w:
        w.answers_pings = False
        await w.until(lambda: _asked(w) == [1], "ping", 4)
        await w.send_frame(PING, ACK, 0, 99)
        await w.send_frame(PING, ACK, 0, 1)
        await w.until(lambda: _asked(w) == [1, 2], "second ping", 4)
        await w.send_frame(PING, ACK, 0, 1)
        await w.wait_ended(timeout=4)


def _asked(w) -> list[int]:
    frames = w.journal.received("yamux")
    return [frame.length for frame in frames if frame.kind == PING and frame.flags == SYN]
