"""Garbage at every layer ends that connection, or that stream, and nothing else.

Throughout every test another connection of the attacked host must keep delivering (`good_pair`),
and the host may log nothing above DEBUG (`silent_log`).
"""

from __future__ import annotations

import random

import anyio
import pytest

from gossipsub import DialError, Host
from gossipsub.conformance.scripted_listener import listen
from gossipsub.conformance.scripted_peer import PUBSUB, PUSH, Frame, dial, play
from gossipsub.conformance.scripted_wire import (
    MULTISTREAM,
    NOISE,
    YAMUX,
    encode_line,
    key_of_seed,
    reach,
)
from gossipsub.wire.identify import PROTOCOL as IDENTIFY
from gossipsub.wire.identify import Identify
from gossipsub.wire.ping import PROTOCOL as PING_PROTOCOL
from gossipsub.wire.rpc import Message, Rpc, SubOpts
from gossipsub.wire.varint import encode_uvarint
from gossipsub.wire.yamux_frame import (
    ACK,
    DATA,
    FIN,
    GO_AWAY,
    PING,
    RST,
    SYN,
    WINDOW_UPDATE,
)

pytestmark = pytest.mark.anyio

RANDOM = random.Random(7)
HEADER = encode_line(MULTISTREAM)
OPENING = HEADER + encode_line(NOISE)
"""What an honest dialler says first."""
KEY = key_of_seed(1)

NEGOTIATION_GARBAGE = {
    "random": RANDOM.randbytes(64),
    "much_random": RANDOM.randbytes(100_000),
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "tls": bytes.fromhex("1603010200010001fc0303") + bytes(100),
    "zeros": bytes(1000),
    "other_version": encode_line("/multistream/2.0.0"),
    "no_header": encode_line(NOISE),
    "line_of_2_63_bytes": encode_uvarint(2**63),
    "length_of_11_bytes": b"\xff" * 11,
    "length_not_minimal": b"\x93\x00" + HEADER[1:],
    "line_of_1025_bytes": HEADER + encode_line("/" + "x" * 1023),
    "line_without_newline": HEADER + b"\x07/noise/",
    "empty_line": HEADER + b"\x00",
    "line_not_utf8": HEADER + b"\x03\xff\xfe\n",
    "proposals_without_end": HEADER + encode_line("/nope") * 40,
}


def garbage(table: dict[str, bytes]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("sent", list(table.values()), ids=list(table))


@garbage(NEGOTIATION_GARBAGE)
async def test_garbage_before_noise_ends_the_connection(good_pair, sent):
    async with good_pair() as pair, reach(pair.address) as wire:
        await wire.write(sent)
        await wire.wait_closed(timeout=4)


NOISE_GARBAGE = {
    "empty_message": b"\x00\x00",
    "message_too_short": b"\x00\x1f" + bytes(31),
    "message_too_long": b"\xff\xff",
    "payload_in_message_1": b"\x00\x21" + RANDOM.randbytes(33),
    "low_order_key": b"\x00\x20" + bytes(32),
}


@garbage(NOISE_GARBAGE)
@pytest.mark.rule("T29")
async def test_garbage_instead_of_the_first_noise_message_ends_the_connection(good_pair, sent):
    async with good_pair() as pair, reach(pair.address) as wire:
        await wire.write(OPENING + sent)
        await wire.wait_closed(timeout=4)


@pytest.mark.parametrize("size", [0, 63, 64, 200, 65535])
async def test_garbage_instead_of_the_last_noise_message_ends_the_connection(good_pair, size):
    async with good_pair() as pair, reach(pair.address) as wire:
        await wire.propose(NOISE)
        await wire.shake_hands(KEY, initiator=True, messages=2)
        await wire.send_raw(size.to_bytes(2, "big") + RANDOM.randbytes(min(size, 1000)))
        assert await wire.wait_closed(timeout=4) == b""


FORGERIES = {
    "wrong_signature": {"signature": bytes(64)},
    "empty_signature": {"signature": b""},
    "signature_of_other_key": {"identity": key_of_seed(2).public_key.encode()},
    "no_key": {"identity": b""},
    "unknown_key_type": {"identity": b"\x08\x09\x12\x01\x00"},
    "short_key": {"identity": b"\x08\x01\x12\x01\x00"},
    "other_prologue": {"prologue": b"x"},
}


@pytest.mark.parametrize("forged", list(FORGERIES.values()), ids=list(FORGERIES))
@pytest.mark.rule("NOI-07", "NOI-09")
async def test_an_identity_not_proved_ends_the_connection_without_a_byte_of_yamux(
    good_pair, forged
):
    async with good_pair() as pair, reach(pair.address) as wire:
        await wire.propose(NOISE)
        if "prologue" in forged:
            with pytest.raises(Exception, match="does not authenticate"):
                await wire.shake_hands(KEY, initiator=True, **forged)
            await wire.send_raw(b"\x00\x80" + bytes(128))
        else:
            await wire.shake_hands(KEY, initiator=True, **forged)
        assert await wire.wait_closed(timeout=4) == b""
        assert [peer.peer for peer in pair.host.peers()] == [pair.friend.peer_id]


SEALED_GARBAGE = {
    "flipped_bit": lambda frame: frame[:-1] + bytes([frame[-1] ^ 1]),
    "shorter_than_a_tag": lambda frame: b"\x00\x0f" + frame[2:17],
    "sent_twice": lambda frame: frame + frame,
    "random": lambda frame: b"\x01\x00" + RANDOM.randbytes(256),
}


@pytest.mark.parametrize("damage", list(SEALED_GARBAGE.values()), ids=list(SEALED_GARBAGE))
@pytest.mark.rule("NOI-11")
async def test_a_noise_frame_that_does_not_authenticate_ends_the_connection(good_pair, damage):
    async with good_pair() as pair, dial(pair.address) as w:
        frame = w.wire.seal(Frame(PING, SYN, 0, 1).encode())
        await w.wire.send_raw(damage(frame))
        after = w.wire.seal(Frame(PING, SYN, 0, 2).encode())
        await w.wire.send_raw(after)
        await w.wait_ended(timeout=4)
        assert Frame(PING, ACK, 0, 2) not in w.journal.received("yamux")


YAMUX_VIOLATIONS = {
    "version": [Frame(PING, SYN, 0, 1, version=1)],
    "type": [Frame(4, 0, 0, 0)],
    "syn_of_wrong_parity": [Frame(WINDOW_UPDATE, SYN, 2, 0)],
    "syn_on_the_session": [Frame(DATA, SYN, 0, 0)],
    "syn_twice": [Frame(WINDOW_UPDATE, SYN, 1, 0), Frame(WINDOW_UPDATE, SYN, 1, 0)],
    "overrun": [Frame(WINDOW_UPDATE, SYN, 1, 0), Frame(DATA, 0, 1, 262145)],
    "overrun_with_syn": [Frame(DATA, SYN, 1, 2**32 - 1)],
    "overrun_of_no_stream": [Frame(DATA, 0, 99, 262145)],
    "credit_above_32_bits": [
        Frame(WINDOW_UPDATE, SYN, 1, 2**32 - 1),
        Frame(WINDOW_UPDATE, 0, 1, 2**32 - 1),
    ],
    "random": [Frame(*RANDOM.randbytes(2), 7, 9) for _ in range(20)],
}


@pytest.mark.parametrize("frames", list(YAMUX_VIOLATIONS.values()), ids=list(YAMUX_VIOLATIONS))
@pytest.mark.rule("YMX-03", "YMX-09", "YMX-10", "YMX-15", "YMX-16")
async def test_a_yamux_violation_ends_the_session_with_a_protocol_error(good_pair, frames):
    async with good_pair() as pair, dial(pair.address) as w:
        await w.send_frames(*frames)
        assert await w.wait_goaway(timeout=4) == 1
        await w.wait_ended(timeout=4)


@pytest.mark.parametrize("sent", list(NEGOTIATION_GARBAGE.values()), ids=list(NEGOTIATION_GARBAGE))
@pytest.mark.rule("MSS-09")
async def test_garbage_in_a_streams_negotiation_ends_only_the_stream(good_pair, sent):
    async with good_pair() as pair, dial(pair.address) as w:
        stream = await w.start_stream()
        await stream.write(sent)
        await stream.wait_reset(timeout=4)
        await w.open_stream(PING_PROTOCOL)


MIB = 1 << 20
RPC_GARBAGE = {
    "length_2_63": encode_uvarint(2**63),
    "length_of_11_bytes": b"\xff" * 11,
    "length_not_minimal": b"\x82\x00\x0a\x00",
    "above_the_limit": encode_uvarint(MIB + 1),
    "not_protobuf": b"\x02\xff\xff",
    "group": b"\x01\x0b",
    "field_0": b"\x02\x02\x00",
    "length_beyond_the_end": b"\x03\x12\x7f\x00",
    "random": b"\x40" + RANDOM.randbytes(64),
    "random_inside": b"\x42\x1a\x40" + b"\xff" + RANDOM.randbytes(63),
}


@garbage(RPC_GARBAGE)
@pytest.mark.rule("WIRE-06", "WIRE-07", "T29")
async def test_garbage_for_an_rpc_ends_only_the_stream(good_pair, sent):
    async with good_pair() as pair, dial(pair.address) as w:
        await w.serve_identify()
        stream = await w.open_pubsub()
        await stream.write(sent)
        await stream.wait_reset(timeout=4)
        await _still_heard(pair, w)


async def _still_heard(pair, w) -> None:
    """A new pubsub stream of W works: what it subscribes to is known."""
    topic = await pair.host.join("other")
    await w.open_pubsub()
    await w.send_rpc(Rpc(subscriptions=[SubOpts("other")]))
    await topic.wait_for_peers(1, timeout=4)


async def _wait_over(w, stream) -> None:
    """The host reset the stream, or both sides closed it."""
    await w.until(lambda: stream.reset_code is not None or stream.ended, "end of stream", 4)


def _info(pair, w):
    """The host's view of W."""
    return next(info for info in pair.host.peers() if info.peer == w.peer_id)


@pytest.mark.rule("WIRE-05")
async def test_ten_thousand_empty_rpcs_are_nothing(good_pair):
    async with good_pair() as pair, dial(pair.address) as w:
        await w.serve_identify()
        stream = await w.open_pubsub()
        await stream.write(bytes(10_000))
        topic = await pair.host.join("other")
        await w.send_rpc(Rpc(subscriptions=[SubOpts("other")]))
        await topic.wait_for_peers(1, timeout=4)
        assert stream.reset_code is None


async def test_ten_thousand_rpcs_that_say_nothing_are_nothing(good_pair):
    async with good_pair() as pair, dial(pair.address) as w:
        await w.serve_identify()
        stream = await w.open_pubsub()
        await stream.write(b"\x02\x1a\x00" * 10_000)  # an empty control message each
        topic = await pair.host.join("other")
        await w.send_rpc(Rpc(subscriptions=[SubOpts("other")]))
        await topic.wait_for_peers(1, timeout=5)
        assert stream.reset_code is None


async def test_messages_nobody_signed_are_dropped_and_the_stream_goes_on(good_pair):
    forged = [
        Message("good", b"x"),
        Message("good", b"x", from_peer=b"\x00", seqno=bytes(8), signature=bytes(64)),
        Message("good", b"x", from_peer=KEY.peer_id(), seqno=bytes(8), signature=bytes(64)),
        Message("good", b"x", KEY.peer_id(), b"1", b"", b"\x08"),
    ]
    async with good_pair() as pair, dial(pair.address) as w:
        await w.serve_identify()
        await w.open_pubsub()
        await w.send_rpc(Rpc(publish=forged))
        await w.send_rpc(Rpc(publish=forged * 100, subscriptions=[SubOpts("other")]))
        topic = await pair.host.join("other")
        await topic.wait_for_peers(1, timeout=4)


IDENTIFY_GARBAGE = {
    "nothing": b"",
    "not_protobuf": b"\x02\xff\xff",
    "length_2_63": encode_uvarint(2**63),
    "above_8_kib": encode_uvarint(8193),
    "eleven_parts": b"\x00" * 11,
    "cut_short": b"\x20\x0a",
    "not_utf8": b"\x04\x32\x02\xff\xfe",
    "long_protocol": encode_uvarint(304) + b"\x1a" + encode_uvarint(301) + b"x" * 301,
}


@garbage(IDENTIFY_GARBAGE)
@pytest.mark.rule("IDY-04", "IDY-11")
async def test_garbage_for_an_identify_answer_ends_only_the_stream(good_pair, sent):
    async with good_pair() as pair, dial(pair.address) as w:

        async def tell(stream):
            await stream.write(sent)
            await stream.finish()

        w.serve(IDENTIFY, handler=tell)
        await _wait_over(w, await w.accept_stream())
        assert _info(pair, w).protocols == ()
        w.serve(*PUBSUB, handler=w.read_pubsub)
        await _still_heard(pair, w)


@garbage(IDENTIFY_GARBAGE)
async def test_garbage_pushed_ends_only_the_stream(good_pair, sent):
    async with good_pair() as pair, dial(pair.address) as w:
        stream = await w.open_stream(PUSH)
        await stream.write(sent)
        await stream.finish()
        await stream.wait_reset(timeout=4)
        await w.open_stream(PING_PROTOCOL)


ODD_ADDRESSES = [
    b"",
    b"\x04",
    b"\x04\x7f",
    b"\x04\x7f\x00\x00\x01\x06\x0f",
    b"\xff" * 20,
    b"\x36\x05a/b/c\x06\x00\x01",  # dns4 with slashes
    b"\x36\x03\xff\xfe\xfd\x06\x00\x01",  # dns4 that is not UTF-8
    b"\x36\x00\x06\x00\x01",
    b"\x04\x7f\x00\x00\x01\x06\x0f\xa1\xa5\x03\x02\x00\x00",  # p2p: empty identity
    b"\x04\x7f\x00\x00\x01\x06\x0f\xa1\xa5\x03\x03\x13\x01\x61",  # p2p: SHA2-512
    b"\x04\x7f\x00\x00\x01\x06\x0f\xa1\xa5\x03\x26\x00\x24" + bytes(36),
    b"\x04\x7f\x00\x00\x01\x06\x0f\xa1\xa5\x03\x22\x12\x20" + bytes(32),
    b"\x04\x7f\x00\x00\x01\x06\x0f\xa1\xa5\x03\x00",
    b"\x90\x03\x01/",  # unix
    b"\x04\x7f\x00\x00\x01\x91\x02\x0f\xa1\xcc\x03",  # quic
    b"\x29" + bytes(15) + b"\x01\x06\x0f\xa1",
    b"\x2a\x01a\x29" + b"\xfe\x80" + bytes(13) + b"\x01\x06\x0f\xa1",  # ip6zone
    *(RANDOM.randbytes(RANDOM.randrange(1, 40)) for _ in range(60)),
    *(b"\x04\x7f\x00\x00\x01\x06\x0f\xa1\xa5\x03" + RANDOM.randbytes(20) for _ in range(20)),
]


@pytest.mark.rule("IDY-07")
async def test_odd_addresses_in_identify_do_no_harm(good_pair):
    async with good_pair() as pair, dial(pair.address) as w:
        said = w.describe(PUBSUB)
        said.listen_addresses = ODD_ADDRESSES
        said.observed_address = ODD_ADDRESSES[2]
        said.signed_peer_record = RANDOM.randbytes(100)
        await w.serve_identify(said=said)
        await w.wait_pubsub()  # opened because the rest of the answer counted
        for address in ODD_ADDRESSES:
            await w.push_identify(Identify(listen_addresses=[address], observed_address=address))
        await w.ping(1)
        await w.open_stream(PING_PROTOCOL)


@pytest.mark.rule("IDY-05")
async def test_a_public_key_of_somebody_else_is_not_adopted(good_pair):
    async with good_pair() as pair, dial(pair.address) as w:
        said = w.describe(PUBSUB)
        said.public_key = key_of_seed(2).public_key.encode()
        await w.serve_identify(said=said)
        await _wait_over(w, await w.accept_stream())
        await w.ping(1)  # what W said has been looked at
        assert _info(pair, w).protocols == ()


async def test_half_a_ping_is_never_answered(good_pair):
    async with good_pair() as pair, dial(pair.address) as w:
        stream = await w.open_stream(PING_PROTOCOL)
        await stream.write(bytes(31))
        await stream.finish()
        assert await stream.read_to_end(timeout=4) == b""


async def test_random_frames_of_well_formed_yamux_do_no_harm(good_pair):
    rng = random.Random(11)
    async with good_pair() as pair:
        for seed in range(20):
            async with dial(pair.address, seed=seed + 1) as w:
                frames = []
                for _ in range(300):
                    kind, flags = rng.choice((DATA, WINDOW_UPDATE)), rng.randrange(16)
                    body = rng.randbytes(rng.randrange(30)) if kind == DATA else b""
                    length = len(body) if kind == DATA else rng.randrange(1000)
                    frames.append(Frame(kind, flags, rng.choice((1, 2, 3, 5)), length, body))
                await w.send_frames(*frames)
                await w.send_frame(GO_AWAY, 0, 0, 0)
                await w.wait_ended(timeout=4)


@pytest.mark.parametrize("ending", [RST, FIN])
async def test_a_stream_id_used_again_does_no_harm(good_pair, ending):
    opening = HEADER + encode_line(IDENTIFY)
    async with good_pair() as pair, dial(pair.address) as w:
        stream = w.new_stream()
        again = [
            Frame(WINDOW_UPDATE, SYN, 1, 0),
            Frame(DATA, 0, 1, len(opening), opening),
            Frame(WINDOW_UPDATE, ending, 1, 0),
        ]
        if ending == FIN:
            await w.send_frames(*again)
            await stream.read_to_end()  # the answer: then both sides have closed
            stream.ended = False
            await w.send_frames(*again)
            await stream.read_to_end()
        else:
            await w.send_frames(*again, *again)
            await stream.wait_reset(timeout=4)
        await w.open_stream(PING_PROTOCOL)


# -- what a listener can do to a host that dials it


async def _refuses(wire):
    await wire.write_lines(MULTISTREAM, "na")
    await wire.wait_closed(timeout=4)


async def _answers_something_else(wire):
    await wire.write_lines(MULTISTREAM, "/noise/2")
    await wire.wait_closed(timeout=4)


async def _talks_at_random(wire):
    await wire.write(RANDOM.randbytes(1000))
    await wire.wait_closed(timeout=4)


async def _hangs_up(wire):
    await wire.choose(NOISE)
    await wire.close()


async def _sends_noise_garbage(wire):
    await wire.choose(NOISE)
    await wire.send_raw(b"\x00\x80" + RANDOM.randbytes(128))
    await wire.wait_closed(timeout=4)


async def _forges_the_signature(wire):
    await wire.choose(NOISE)
    await wire.shake_hands(key_of_seed(1000), initiator=False, signature=bytes(64), messages=2)
    assert (await wire.wait_closed(timeout=4))[34:] == b""


async def _has_no_muxer(wire):
    await wire.choose(NOISE)
    await wire.shake_hands(key_of_seed(1000), initiator=False, muxers=())
    await wire.write_lines(MULTISTREAM, "na")
    await wire.wait_closed(timeout=4)


async def _is_silent(wire):
    await wire.wait_closed(timeout=4)


async def _stops_before_noise(wire):
    await wire.choose(NOISE)
    await wire.wait_closed(timeout=4)


async def _stops_before_the_muxer(wire):
    await wire.choose(NOISE)
    await wire.shake_hands(key_of_seed(1000), initiator=False, muxers=())
    await wire.wait_closed(timeout=4)


LISTENERS = {
    _refuses: "speaks none of /noise",
    _answers_something_else: "in answer to '/noise'",
    _talks_at_random: "multistream",
    _hangs_up: "the connection ended during the handshake",
    _sends_noise_garbage: "does not authenticate|too short",
    _forges_the_signature: "did not sign the Noise static key",
    _has_no_muxer: "speaks none of /yamux/1.0.0",
    _is_silent: "the handshake took too long",
    _stops_before_noise: "the handshake took too long",
    _stops_before_the_muxer: "the handshake took too long",
}


@pytest.mark.parametrize(
    ("script", "reason"), list(LISTENERS.items()), ids=[script.__name__ for script in LISTENERS]
)
@pytest.mark.rule("NOI-07")
async def test_dialling_a_hostile_listener_fails_and_says_why(good_pair, script, reason):
    async with good_pair() as pair, listen() as listener, anyio.create_task_group() as tasks:

        async def serve():
            async with listener.accept_wire() as wire:
                await script(wire)

        tasks.start_soon(serve)
        with pytest.raises(DialError, match=reason):
            await pair.host.connect(listener.address)
        assert [peer.peer for peer in pair.host.peers()] == [pair.friend.peer_id]


@pytest.mark.rule("NOI-08")
async def test_a_peer_other_than_the_one_dialled_is_refused_before_it_learns_who_we_are(good_pair):
    async with good_pair() as pair, listen() as listener, anyio.create_task_group() as tasks:
        learnt = []

        async def serve():
            async with listener.accept_wire() as wire:
                await wire.choose(NOISE)
                await wire.shake_hands(listener.key, initiator=False, messages=2)
                learnt.append(await wire.wait_closed(timeout=4))

        tasks.start_soon(serve)
        address = listener.address.replace(str(listener.key.peer_id()), str(KEY.peer_id()))
        with pytest.raises(DialError, match=f"expected peer {KEY.peer_id()}"):
            await pair.host.connect(address)
    assert learnt == [b""]


async def test_a_host_refuses_to_be_its_own_peer(short_config):
    async with Host(config=short_config()) as host:
        with pytest.raises(DialError, match="is this host itself"):
            await host.connect(host.addresses[0])
        with pytest.raises(DialError, match="it leads to this host itself"):
            await host.connect(host.addresses[0].partition("/p2p/")[0])
        assert host.peers() == ()


async def test_a_yamux_client_that_answers_as_server_is_refused(good_pair):
    async with good_pair() as pair, reach(pair.address) as wire:
        await wire.upgrade(KEY, initiator=True, muxers=(YAMUX,))
        async with play(wire, KEY, client=False) as w:
            await w.start_stream()
            assert await w.wait_goaway(timeout=4) == 1
