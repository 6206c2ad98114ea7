"""A peer that stops answering, at whatever point, costs a deadline and nothing else.

The hosts under test have deadlines of 0.4 s; each test allows somewhat more. Another
connection keeps delivering throughout (`good_pair`).
"""

from __future__ import annotations

import resource
import socket
from contextlib import suppress

import anyio
import pytest

from gossipsub import Host, PingFailed
from gossipsub.conformance.scripted_peer import PUBSUB, Frame, dial, play
from gossipsub.conformance.scripted_wire import (
    MULTISTREAM,
    NOISE,
    WireClosed,
    encode_line,
    key_of_seed,
    reach,
)
from gossipsub.crypto.message_signing import sign_message
from gossipsub.wire.identify import PROTOCOL as IDENTIFY
from gossipsub.wire.ping import PROTOCOL as PING_PROTOCOL
from gossipsub.wire.rpc import Message, Rpc, SubOpts
from gossipsub.wire.yamux_frame import INITIAL_WINDOW_BYTES, PING, RST, SYN, WINDOW_UPDATE

pytestmark = pytest.mark.anyio

SOON = 4.0
KEY = key_of_seed(1)


async def _says_nothing(wire):
    pass


async def _says_half_a_line(wire):
    await wire.write(encode_line(MULTISTREAM)[:7])


async def _stops_after_the_proposal(wire):
    await wire.propose(NOISE)


async def _says_half_of_message_1(wire):
    await wire.propose(NOISE)
    await wire.send_raw(b"\x00\x20" + bytes(16))


async def _stops_after_message_1(wire):
    await wire.propose(NOISE)
    await wire.shake_hands(KEY, initiator=True, messages=1)


async def _stops_after_message_2(wire):
    await wire.propose(NOISE)
    await wire.shake_hands(KEY, initiator=True, messages=2)


async def _stops_before_the_muxer(wire):
    await wire.propose(NOISE)
    await wire.shake_hands(KEY, initiator=True, muxers=())


async def _drips(wire):
    with suppress(WireClosed):
        for byte in encode_line(MULTISTREAM) + encode_line(NOISE) + b"\x00\x20":
            await wire.send_raw(bytes([byte]))
            await anyio.sleep(0.05)


@pytest.mark.parametrize(
    "script",
    [
        _says_nothing,
        _says_half_a_line,
        _stops_after_the_proposal,
        _says_half_of_message_1,
        _stops_after_message_1,
        _stops_after_message_2,
        _stops_before_the_muxer,
        _drips,
    ],
    ids=lambda script: script.__name__,
)
@pytest.mark.rule("CONN-03")
async def test_an_upgrade_that_stalls_is_given_up(good_pair, script):
    async with good_pair() as pair, reach(pair.address) as wire:
        await script(wire)
        async with dial(pair.address, seed=2) as other:  # meanwhile others are served
            await other.ping(1)
        await wire.wait_closed(timeout=SOON)


@pytest.mark.rule("CONN-03")
async def test_silent_connections_leave_room_for_others(good_pair, short_config):
    config = short_config(max_pending_upgrades=3, upgrade_timeout=60)
    async with (
        good_pair(config=config) as pair,
        reach(pair.address) as a,
        reach(pair.address) as b,
        reach(pair.address) as c,
    ):
        for wire in (a, b, c):
            await wire.read_line()  # it is in the upgrade
        async with dial(pair.address) as w:
            await w.ping(1)
            await a.wait_closed(timeout=SOON)  # the oldest has given way
        async with reach(pair.address) as d, dial(pair.address, seed=2) as w:
            await w.ping(1)
            await b.wait_closed(timeout=SOON)
            await d.read_line()
        assert pair.host.statistics().connections_refused == {"handshake": 2}


@pytest.mark.parametrize("said", [b"", encode_line(MULTISTREAM), encode_line(MULTISTREAM)[:5]])
async def test_a_stream_nobody_negotiates_on_is_reset(good_pair, said):
    async with good_pair() as pair, dial(pair.address) as w:
        stream = await w.start_stream()
        await stream.write(said)
        await stream.wait_reset(timeout=SOON)
        await w.open_stream(PING_PROTOCOL)


@pytest.mark.rule("IDY-11")
async def test_an_identify_nobody_negotiates_is_reset_and_pubsub_still_works(good_pair, subscribe):
    async with good_pair() as pair, dial(pair.address) as w:
        asked = await w.accept_stream()
        await asked.wait_reset(timeout=SOON)
        w.serve(*PUBSUB, handler=w.read_pubsub)
        await subscribe(pair.host, w, "other")


@pytest.mark.rule("IDY-11")
@pytest.mark.parametrize("said", [b"", b"\x20\x0a\x05"], ids=["nothing", "half"])
async def test_an_identify_nobody_answers_is_reset_and_pubsub_still_works(
    good_pair, short_config, said, subscribe
):
    config = short_config(stalled_stream_timeout=30)  # which would end it as well
    async with good_pair(config=config) as pair, dial(pair.address) as w:
        answered = anyio.Event()

        async def stall(stream):
            await stream.write(said)
            answered.set()

        w.serve(IDENTIFY, handler=stall)
        w.serve(*PUBSUB, handler=w.read_pubsub)
        await answered.wait()
        await w.streams[2].wait_reset(timeout=SOON)
        await subscribe(pair.host, w, "other")


@pytest.mark.rule("WIRE-19")
async def test_a_peer_that_never_reads_is_closed_and_the_others_are_served(
    good_pair, short_config, subscribe
):
    config = short_config(stalled_stream_timeout=30)  # the other may be slow
    async with (
        good_pair(config=config) as pair,
        dial(pair.address) as w,
        dial(pair.address, seed=2) as other,
    ):
        await w.serve_identify()
        topic = await subscribe(pair.host, w, "other")
        await other.serve_identify()
        await other.open_pubsub()
        await other.send_rpc(Rpc(subscriptions=[SubOpts("other")]))
        await topic.wait_for_peers(2, timeout=4)
        await (await w.wait_pubsub()).grant(1 << 30)  # so that only the socket can stop it
        w.stop_reading()
        with anyio.fail_after(20):
            for _ in range(150):
                await topic.publish(bytes(100_000))
            seen = 0
            while seen < 150:
                seen += len((await other.receive_rpc()).publish)
            while len(topic.peers()) > 1:  # W was given up
                await anyio.sleep(0.01)
            await pair.delivers(20)


@pytest.mark.rule("T12", "YMX-07", "YMX-19")
async def test_a_stream_that_gets_no_credit_is_reset_and_the_connection_lives(good_pair, subscribe):
    async with good_pair() as pair, dial(pair.address) as w:
        w.returns_credit = False
        await w.serve_identify()
        topic = await subscribe(pair.host, w, "other")
        first = await w.wait_pubsub()
        before = first.received_bytes
        with anyio.fail_after(10):
            for _ in range(10):
                await topic.publish(bytes(100_000))
        await first.wait_reset(timeout=SOON)
        assert before < first.received_bytes == INITIAL_WINDOW_BYTES
        await w.ping(1)
        await w.wait_pubsub(2)


@pytest.mark.rule("YMX-13")
async def test_the_257th_stream_nobody_acknowledged_is_not_opened(short_config):
    config = short_config(negotiation_timeout=30)
    async with Host(config=config) as host, dial(host.addresses[0]) as w:
        w.acknowledges = False
        await w.accept_stream()  # identify: the first of 256
        for _ in range(255):
            with pytest.raises(PingFailed, match="no answer"):
                await host.ping(w.peer_id, timeout=0.001)
        with pytest.raises(PingFailed, match="does not serve ping"):
            await host.ping(w.peer_id, timeout=4)
        await w.ping(1)
        assert len(w.accepted) == 256


@pytest.mark.rule("YMX-13", "MSS-11", "T7")
async def test_a_thousand_streams_at_once_are_reset_above_the_limit(good_pair, short_config):
    config = short_config(max_inbound_streams=64, negotiation_timeout=30)
    async with good_pair(config=config) as pair, dial(pair.address) as w:
        streams = [w.new_stream() for _ in range(1000)]
        await w.send_frames(*(Frame(WINDOW_UPDATE, SYN, stream.stream_id, 0) for stream in streams))
        await w.ping(1)
        assert [stream.acknowledged for stream in streams] == [True] * 64 + [False] * 936
        assert [stream.reset_code for stream in streams] == [None] * 64 + [0] * 936
        await streams[0].reset()
        await w.open_stream(PING_PROTOCOL)  # in the place that became free


@pytest.mark.rule("YMX-17")
async def test_a_peer_that_answers_no_ping_is_closed(good_pair, short_config):
    config = short_config(keepalive_interval=0.2, keepalive_timeout=0.2)
    async with (
        good_pair(config=config) as pair,
        dial(pair.address) as w,
        dial(pair.address, seed=2) as lively,
    ):
        w.answers_pings = False
        await w.wait_ended(timeout=SOON)
        assert _pings(w) == 1
        await lively.until(lambda: _pings(lively) >= 3, "pings", SOON)


def _pings(w) -> int:
    return sum(f.kind == PING and f.flags == SYN for f in w.journal.received("yamux"))


async def test_a_peer_that_breaks_yamux_and_does_not_read_on_is_closed_in_silence(
    good_pair, short_config, subscribe
):
    """The keep-alive that falls due meanwhile has nobody to ping."""
    config = short_config(
        keepalive_interval=0.1, close_timeout=0.5, write_timeout=5, outbound_queue_bytes=64 << 20
    )
    async with good_pair(config=config) as pair, dial(pair.address) as w:
        await w.serve_identify()
        topic = await subscribe(pair.host, w, "other")
        await (await w.wait_pubsub()).grant(1 << 30)
        w.stop_reading()
        for _ in range(150):  # until the kernel takes no more
            await topic.publish(bytes(100_000))
        await w.send_frames(Frame(9, 0, 0, 0))
        with anyio.fail_after(SOON):
            while len(pair.host.peers()) > 1:
                await anyio.sleep(0.01)


@pytest.mark.rule("YMX-11")
async def test_pings_without_end_and_without_reading_cost_bounded_memory(good_pair):
    async with good_pair() as pair, dial(pair.address) as w:
        w.stop_reading()
        flood = b"".join(Frame(PING, SYN, 0, number).encode() for number in range(5000))
        for _ in range(40):
            await w.wire.write(flood, timeout=10)
        await pair.delivers()
        w.resume_reading()
        await w.ping(99_999, timeout=10)
        assert len(w.pongs) < 40_000


async def test_a_flood_of_streams_opened_and_reset_is_survived(good_pair):
    async with good_pair() as pair, dial(pair.address) as w:
        for _ in range(20):
            frames = []
            for _ in range(100):
                number = w.new_stream().stream_id
                frames += [
                    Frame(WINDOW_UPDATE, SYN, number, 0),
                    Frame(WINDOW_UPDATE, RST, number, 0),
                ]
            await w.send_frames(*frames)
        await w.ping(1)
        await w.open_stream(PING_PROTOCOL)


async def test_a_host_without_file_descriptors_left_goes_on_listening(good_pair, caplog):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with good_pair() as pair:
        host, port = pair.address.split("/")[2], int(pair.address.split("/")[4])
        waiting = [socket.socket() for _ in range(3)]
        try:
            for client in waiting:
                client.setblocking(False)
            free = socket.socket()
            lowest = free.fileno()
            free.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
            for client in waiting:
                client.connect_ex((host, port))
            await pair.delivers(5)
            assert "Too many open files" in caplog.text
            caplog.clear()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            async with dial(pair.address) as w:
                await w.ping(1)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for client in waiting:
                client.close()


async def test_closing_waits_for_nobody(short_config):
    async with anyio.create_task_group() as tasks:
        host = Host(config=short_config(write_timeout=30, outbound_queue_bytes=64 << 20))
        async with host:
            await _deaf_subscriber(tasks, host)
            began = anyio.current_time()
        assert anyio.current_time() - began < 4
        tasks.cancel_scope.cancel()


async def _deaf_subscriber(tasks, host):
    """A peer that subscribed and then reads no more, while much is sent to it."""
    topic = await host.join("other")

    async def serve(*, task_status):
        async with reach(host.addresses[0]) as wire:
            await wire.upgrade(KEY, initiator=True)
            async with play(wire, KEY, client=True) as w:
                await w.serve_identify()
                await w.open_pubsub()
                await w.send_rpc(Rpc(subscriptions=[SubOpts("other")]))
                await topic.wait_for_peers(1, timeout=4)
                await (await w.wait_pubsub()).grant(1 << 30)
                w.stop_reading()
                task_status.started(w)
                await anyio.sleep_forever()

    await tasks.start(serve)
    for _ in range(150):
        await topic.publish(bytes(100_000))


@pytest.mark.rule("T6", "T5")
async def test_a_slow_validator_holds_the_stream_back_and_not_the_socket(
    good_pair, short_config, subscribe
):
    """While messages wait for validation, pings are still answered at once."""
    async with good_pair(config=short_config(validation_queue=8)) as pair, dial(pair.address) as w:
        await w.serve_identify()
        topic = await subscribe(pair.host, w, "other")
        async with topic.subscribe() as messages:
            pair.host.set_validator("other", lambda message: True)
            signed = [
                sign_message(
                    Message("other", bytes(1000), w.peer_id, number.to_bytes(8, "big")), KEY
                )
                for number in range(300)
            ]
            for message in signed:
                await w.send_rpc(Rpc(publish=[message]))
            await w.ping(7)
            got = 0
            with anyio.fail_after(10):
                async for _ in messages:
                    got += 1
                    if got == 300:
                        break
            assert pair.host.statistics().rejections == {}
