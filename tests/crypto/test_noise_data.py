"""The byte stream of a Noise channel after the handshake: frames, failures, any fragmentation."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.noise import (
    MAX_PLAINTEXT_BYTES,
    DataReceived,
    Event,
    HandshakeCompleted,
    NoiseConnection,
)
from gossipsub.crypto.noise_core import CipherState, XXHandshake
from gossipsub.crypto.noise_payload import NoisePayload, bytes_to_sign, encode_payload
from gossipsub.wire.errors import RemoteProtocolError

ALICE = PrivateKey.from_seed(b"a" * 32)
BOB = PrivateKey.from_seed(b"b" * 32)


def exactly(message: str) -> str:
    return f"^{re.escape(message)}$"


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


def frames(data: bytes) -> list[bytes]:
    found = []
    while data:
        size = int.from_bytes(data[:2], "big")
        assert len(data) >= 2 + size
        found.append(data[2 : 2 + size])
        data = data[2 + size :]
    return found


def feed(connection: NoiseConnection, data: bytes, piece_bytes: int | None = None) -> list[Event]:
    """The events of `data`, received in pieces of this size."""
    events = []
    step = piece_bytes or max(len(data), 1)
    for start in range(0, len(data), step):
        connection.receive_data(data[start : start + step])
        while (event := connection.next_event()) is not None:
            events.append(event)
    return events


def events_before_failure(connection: NoiseConnection) -> list[Event]:
    """What `next_event` still gives until it raises; it must raise."""
    events: list[Event] = []
    try:
        while (event := connection.next_event()) is not None:
            events.append(event)
    except RemoteProtocolError:
        return events
    pytest.fail("no error was raised")


def plaintext(events: Sequence[Event]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, DataReceived))


def connected_pair() -> tuple[NoiseConnection, NoiseConnection]:
    initiator = NoiseConnection(ALICE, initiator=True)
    responder = NoiseConnection(BOB, initiator=False)
    assert feed(responder, initiator.data_to_send()) == []
    assert len(feed(initiator, responder.data_to_send())) == 1
    assert len(feed(responder, initiator.data_to_send())) == 1
    return initiator, responder


def scripted_initiator() -> tuple[NoiseConnection, CipherState]:
    """Our responder, and what the scripted initiator it accepted seals frames with."""
    connection = NoiseConnection(BOB, initiator=False)
    core = XXHandshake(initiator=True)
    feed(connection, framed(core.write_message(b"")))
    core.read_message(frames(connection.data_to_send())[0])
    signature = ALICE.sign(bytes_to_sign(core.static_public_key))
    payload = encode_payload(NoisePayload(ALICE.public_key.encode(), signature))
    assert len(feed(connection, framed(core.write_message(payload)))) == 1
    return connection, core.split()[0]


# -- the byte stream ---------------------------------------------------------------------


@pytest.mark.rule("NOI-03", "NOI-10")
@pytest.mark.parametrize("piece_bytes", [None, 1, 1460, 65536])
def test_a_long_write_is_cut_into_full_frames_and_put_together_again(
    piece_bytes: int | None,
) -> None:
    initiator, responder = connected_pair()
    written = bytes(range(250)) * 400

    initiator.send_data(written)

    sent = initiator.data_to_send()
    assert sent[:2] == b"\xff\xff"
    assert [len(frame) for frame in frames(sent)] == [65535, 100_000 - 65519 + 16]
    assert plaintext(feed(responder, sent, piece_bytes)) == written


@pytest.mark.rule("NOI-10")
@pytest.mark.parametrize(
    ("size", "frame_sizes"),
    [
        (0, []),
        (1, [17]),
        (MAX_PLAINTEXT_BYTES, [65535]),
        (MAX_PLAINTEXT_BYTES + 1, [65535, 17]),
        (2 * MAX_PLAINTEXT_BYTES, [65535, 65535]),
    ],
)
def test_as_few_frames_as_possible_are_sent(size: int, frame_sizes: list[int]) -> None:
    initiator, responder = connected_pair()

    responder.send_data(bytes(size))

    sent = responder.data_to_send()
    assert [len(frame) for frame in frames(sent)] == frame_sizes
    assert plaintext(feed(initiator, sent)) == bytes(size)


@pytest.mark.rule("NOI-10")
def test_all_frames_of_one_chunk_arrive_as_one_event() -> None:
    initiator, responder = connected_pair()
    for number in range(1000):
        initiator.send_data(b"%04d" % number)

    events = feed(responder, initiator.data_to_send())

    assert events == [DataReceived(b"".join(b"%04d" % number for number in range(1000)))]


@pytest.mark.parametrize("piece_bytes", [None, 1])
def test_empty_frames_are_skipped(piece_bytes: int | None) -> None:
    connection, cipher = scripted_initiator()
    sent = b"".join(framed(cipher.encrypt(text)) for text in (b"", b"a", b"", b"", b"b", b""))

    events = feed(connection, sent, piece_bytes)

    assert DataReceived(b"") not in events
    assert plaintext(events) == b"ab"


@pytest.mark.rule("T19")
def test_data_glued_to_the_last_handshake_message_is_not_lost() -> None:
    initiator = NoiseConnection(ALICE, initiator=True)
    responder = NoiseConnection(BOB, initiator=False)
    feed(responder, initiator.data_to_send())
    feed(initiator, responder.data_to_send())
    initiator.send_data(b"one")
    initiator.send_data(b"two")
    sent = initiator.data_to_send()

    responder.receive_data(sent[:-5])
    responder.receive_data(sent[-5:])

    completed = HandshakeCompleted(ALICE.public_key, ALICE.public_key.peer_id(), None)
    assert responder.next_event() == completed
    assert responder.next_event() == DataReceived(b"one")
    assert responder.next_event() == DataReceived(b"two")
    assert responder.next_event() is None


# -- failures ------------------------------------------------------------------------------


@pytest.mark.rule("NOI-11")
@pytest.mark.parametrize("piece_bytes", [None, 1, 40])
def test_a_forged_frame_loses_nothing_before_it_and_lets_nothing_after_it_through(
    piece_bytes: int | None,
) -> None:
    connection, cipher = scripted_initiator()
    good = framed(cipher.encrypt(b"one")) + framed(cipher.encrypt(b"two"))
    genuine = framed(cipher.encrypt(b"three"))
    forged = bytearray(genuine)
    forged[-1] ^= 1
    sent = good + bytes(forged) + framed(cipher.encrypt(b"four"))
    for start in range(0, len(sent), piece_bytes or len(sent)):
        connection.receive_data(sent[start : start + (piece_bytes or len(sent))])

    received = b""
    while len(received) < 6:
        event = connection.next_event()
        assert isinstance(event, DataReceived)
        received += event.data
    assert received == b"onetwo"
    for _ in range(2):
        with pytest.raises(
            RemoteProtocolError, match=exactly("a Noise message does not authenticate")
        ):
            connection.next_event()
        connection.receive_data(genuine)  # too late, though its nonce is still the next


@pytest.mark.rule("NOI-11")
def test_repeated_swapped_or_dropped_frames_do_not_authenticate() -> None:
    for order in ([0, 0], [1, 0], [1]):
        connection, cipher = scripted_initiator()
        sealed = [framed(cipher.encrypt(b"%d" % number)) for number in range(2)]
        connection.receive_data(b"".join(sealed[number] for number in order))

        delivered = events_before_failure(connection)
        assert delivered == ([DataReceived(b"0")] if order[0] == 0 else [])


@pytest.mark.rule("NOI-11")
@pytest.mark.parametrize("size", [0, 1, 15])
def test_a_frame_too_short_for_a_tag_is_refused_from_its_length_alone(size: int) -> None:
    connection, cipher = scripted_initiator()
    connection.receive_data(framed(cipher.encrypt(b"fine")) + size.to_bytes(2, "big"))

    assert connection.next_event() == DataReceived(b"fine")
    with pytest.raises(
        RemoteProtocolError, match=exactly(f"Noise frame of {size} bytes, shorter than a tag")
    ):
        connection.next_event()


def test_after_a_forged_frame_a_goodbye_can_still_be_sent() -> None:
    initiator, responder = connected_pair()
    responder.receive_data(framed(bytes(16)))
    with pytest.raises(RemoteProtocolError):
        responder.next_event()

    responder.send_data(b"goodbye")

    assert feed(initiator, responder.data_to_send()) == [DataReceived(b"goodbye")]


def test_the_end_between_two_frames_is_a_clean_end() -> None:
    initiator, responder = connected_pair()
    initiator.send_data(b"last")
    responder.receive_data(initiator.data_to_send())

    responder.receive_eof()

    assert responder.next_event() == DataReceived(b"last")
    assert responder.next_event() is None


@pytest.mark.parametrize("missing", [1, 16, 21])
def test_the_end_within_a_frame_is_an_error_and_loses_nothing_before_it(missing: int) -> None:
    initiator, responder = connected_pair()
    initiator.send_data(b"whole")
    initiator.send_data(b"half")
    responder.receive_data(initiator.data_to_send()[:-missing])
    cut_short = exactly("connection ended within a Noise frame")

    with pytest.raises(RemoteProtocolError, match=cut_short):
        responder.receive_eof()

    assert responder.next_event() == DataReceived(b"whole")
    with pytest.raises(RemoteProtocolError, match=cut_short):
        responder.next_event()


# -- whatever arrives ----------------------------------------------------------------------


def chunks(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    """`data` in pieces of these sizes, taken in turn."""
    pieces, start, turn = [], 0, 0
    while start < len(data):
        pieces.append(data[start : start + sizes[turn % len(sizes)]])
        start += sizes[turn % len(sizes)]
        turn += 1
    return pieces


piece_sizes = st.lists(st.integers(1, 300) | st.integers(1, 70_000), min_size=1, max_size=20)
long_writes = st.integers(0, 150_000).map(lambda size: (bytes(range(251)) * 600)[:size])
any_writes = st.lists(st.binary(max_size=300) | long_writes, max_size=8)


@pytest.mark.rule("NOI-10")
@settings(max_examples=60, deadline=None)
@given(writes=any_writes, sizes=piece_sizes, forth=st.booleans())
def test_any_writes_in_any_pieces_arrive_as_the_same_bytes(
    writes: list[bytes], sizes: list[int], forth: bool
) -> None:
    sender, receiver = connected_pair() if forth else connected_pair()[::-1]
    for data in writes:
        sender.send_data(data)

    received = []
    for piece in chunks(sender.data_to_send(), sizes):
        received += feed(receiver, piece)
    receiver.receive_eof()

    assert plaintext(received) == b"".join(writes)


@pytest.mark.rule("NOI-11")
@settings(max_examples=200, deadline=None)
@given(
    writes=st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=6),
    sizes=st.lists(st.integers(1, 80), min_size=1, max_size=10),
    data=st.data(),
)
def test_one_flipped_bit_ends_the_connection_and_nothing_after_it_is_delivered(
    writes: list[bytes], sizes: list[int], data: st.DataObject
) -> None:
    sender, receiver = connected_pair()
    sent = bytearray()
    ends = []
    for text in writes:
        sender.send_data(text)
        sent += sender.data_to_send()
        ends.append(len(sent))
    bit = data.draw(st.integers(0, len(sent) * 8 - 1), label="bit")
    sent[bit // 8] ^= 1 << bit % 8
    before = sum(end <= bit // 8 for end in ends)
    for piece in chunks(bytes(sent), sizes):
        receiver.receive_data(piece)

    # A longer length may leave the receiver waiting: then the end of the connection shows it.
    with pytest.raises(RemoteProtocolError):
        receiver.receive_eof()
    received = events_before_failure(receiver)
    assert plaintext(received) == b"".join(writes[:before])
