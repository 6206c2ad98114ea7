"""Streams of a session against a scripted peer that speaks in raw frames."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError
from gossipsub.wire.yamux import (
    StreamData,
    StreamEnded,
    StreamOpened,
    StreamReset,
    StreamWritable,
    YamuxEvent,
    YamuxLimits,
    YamuxSession,
)

DATA, WINDOW, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8
KIB = 1024
WINDOW_BYTES = 256 * KIB

Feed = Callable[[YamuxSession, bytes], list[YamuxEvent]]


def frame(kind: int, flags: int, stream_id: int, length: int, body: bytes = b"") -> bytes:
    return struct.pack(">BBHII", 0, kind, flags, stream_id, length) + body


def data_frame(stream_id: int, body: bytes, flags: int = 0) -> bytes:
    return frame(DATA, flags, stream_id, len(body), body)


def events_of(session: YamuxSession) -> list[YamuxEvent]:
    """All events; adjacent pieces of one stream's data are joined."""
    events: list[YamuxEvent] = []
    while (event := session.next_event()) is not None:
        last = events[-1] if events else None
        if (
            isinstance(event, StreamData)
            and isinstance(last, StreamData)
            and event.stream_id == last.stream_id
        ):
            last.data += event.data
        else:
            events.append(event)
    return events


def feed_whole(session: YamuxSession, data: bytes) -> list[YamuxEvent]:
    session.receive_data(data)
    return events_of(session)


def feed_byte_by_byte(session: YamuxSession, data: bytes) -> list[YamuxEvent]:
    for position in range(len(data)):
        session.receive_data(data[position : position + 1])
    return events_of(session)


@pytest.fixture(params=[feed_whole, feed_byte_by_byte])
def feed(request: pytest.FixtureRequest) -> Feed:
    chosen: Feed = request.param
    return chosen


def new_server(**limits: int) -> YamuxSession:
    return YamuxSession(client=False, limits=YamuxLimits(**limits))


def new_client(**limits: int) -> YamuxSession:
    return YamuxSession(client=True, limits=YamuxLimits(**limits))


def server_with_stream(stream_id: int = 1, **limits: int) -> YamuxSession:
    """A server on which the peer opened one stream; nothing is left to read or send."""
    session = new_server(**limits)
    assert feed_whole(session, frame(WINDOW, SYN, stream_id, 0)) == [StreamOpened(stream_id)]
    session.data_to_send()
    return session


# --- opening -----------------------------------------------------------------------------------


@pytest.mark.rule("YMX-02", "T16")
@pytest.mark.parametrize(("client", "ids"), [(True, [1, 3, 5]), (False, [2, 4, 6])])
def test_opened_streams_are_announced_at_once_with_ids_of_their_side(
    client: bool, ids: list[int]
) -> None:
    session = YamuxSession(client=client)
    for stream_id in ids:
        assert session.open_stream() == stream_id
        assert session.data_to_send() == frame(WINDOW, SYN, stream_id, 0)


@pytest.mark.rule("YMX-04", "T7", "T10")
@pytest.mark.parametrize("opening", [frame(WINDOW, SYN, 1, 0), data_frame(1, b"hello", SYN)])
def test_a_stream_the_peer_opens_is_acknowledged_once_and_at_once(
    feed: Feed, opening: bytes
) -> None:
    session = new_server()
    events = feed(session, opening + data_frame(1, b" there"))
    assert events[0] == StreamOpened(1)
    assert isinstance(events[1], StreamData)
    assert session.data_to_send() == frame(WINDOW, ACK, 1, 0)
    session.send_data(1, b"answer")
    assert session.data_to_send() == data_frame(1, b"answer")


@pytest.mark.rule("YMX-04")
def test_data_may_follow_an_open_before_its_acknowledgement() -> None:
    session = new_client()
    stream_id = session.open_stream()
    session.send_data(stream_id, b"early")
    assert session.data_to_send() == frame(WINDOW, SYN, 1, 0) + data_frame(1, b"early")


@pytest.mark.rule("YMX-13")
def test_the_257th_unacknowledged_stream_waits_for_an_acknowledgement(feed: Feed) -> None:
    session = new_client(max_outbound_streams=1000)
    ids = [session.open_stream() for _ in range(256)]
    assert not session.can_open_stream()
    with pytest.raises(
        LocalProtocolError,
        match=r"^cannot open a stream: the peer has not acknowledged 256 streams$",
    ):
        session.open_stream()
    assert feed(session, frame(WINDOW, ACK, ids[7], 0) * 2) == []  # counted once
    assert session.can_open_stream()
    assert session.open_stream() == 513
    assert not session.can_open_stream()


@pytest.mark.rule("YMX-13", "T10")
def test_data_with_ack_acknowledges_too(feed: Feed) -> None:
    session = new_client(max_unacknowledged_streams=1)
    session.open_stream()
    assert feed(session, data_frame(1, b"x", ACK | FIN)) == [StreamData(1, b"x"), StreamEnded(1)]
    assert session.can_open_stream()


@pytest.mark.rule("YMX-13")
def test_a_stream_that_is_over_no_longer_waits_for_its_acknowledgement() -> None:
    session = new_client(max_unacknowledged_streams=2)
    session.open_stream()
    session.open_stream()
    session.reset(1)
    assert session.open_stream() == 5
    assert feed_whole(session, frame(WINDOW, RST, 3, 0)) == [StreamReset(3, 0)]
    assert session.open_stream() == 7
    assert not session.can_open_stream()
    feed_whole(session, frame(WINDOW, ACK, 5, 0))
    session.reset(5)
    assert session.open_stream() == 9
    assert not session.can_open_stream()


@pytest.mark.rule("T30")
def test_both_sides_together_keep_within_512_streams() -> None:
    session = new_client()
    for number in range(256):
        stream_id = session.open_stream()
        feed_whole(session, frame(WINDOW, ACK, stream_id, 0))
        feed_whole(session, frame(WINDOW, SYN, 2 + 2 * number, 0))
    assert session.stream_count() == 512
    with pytest.raises(
        LocalProtocolError, match=r"^cannot open a stream: 256 of our streams are open$"
    ):
        session.open_stream()
    session.reset(1)
    assert session.open_stream() == 513


def test_used_up_ids_are_refused() -> None:
    session = new_client(max_stream_id=5)
    assert [session.open_stream() for _ in range(3)] == [1, 3, 5]
    with pytest.raises(
        LocalProtocolError, match=r"^cannot open a stream: the ids of this session are used up$"
    ):
        session.open_stream()


@pytest.mark.rule("YMX-13")
def test_inbound_streams_above_the_limit_are_reset_and_the_session_lives(feed: Feed) -> None:
    session = new_server()
    opened = b"".join(data_frame(2 * n + 1, b"ab", SYN) for n in range(1000))
    events = feed(session, opened)
    assert [e for e in events if isinstance(e, StreamOpened)] == [
        StreamOpened(2 * n + 1) for n in range(256)
    ]
    assert {e.stream_id for e in events if isinstance(e, StreamData)} == set(range(1, 512, 2))
    assert session.stream_count() == 256
    answers = [frame(WINDOW, ACK if n < 256 else RST, 2 * n + 1, 0) for n in range(1000)]
    assert session.data_to_send() == b"".join(answers)
    session.reset(1)
    session.data_to_send()
    assert feed(session, frame(WINDOW, SYN, 2001, 0)) == [StreamOpened(2001)]


# --- data and windows --------------------------------------------------------------------------


def test_a_body_is_handed_out_as_it_arrives() -> None:
    session = server_with_stream()
    session.receive_data(frame(DATA, FIN, 1, 6, b"abc"))
    assert session.next_event() == StreamData(1, b"abc")
    assert session.next_event() is None
    session.receive_data(b"de")
    assert session.next_event() == StreamData(1, b"de")
    session.receive_data(b"f" + frame(PING, SYN, 0, 1))
    assert session.next_event() == StreamData(1, b"f")
    assert session.next_event() == StreamEnded(1)
    assert session.data_to_send() == frame(PING, ACK, 0, 1)


@pytest.mark.rule("YMX-07")
def test_a_sender_without_updates_sends_256_kib_and_then_waits(feed: Feed) -> None:
    session = server_with_stream()
    assert session.send_window(1) == WINDOW_BYTES
    session.send_data(1, bytes(WINDOW_BYTES))
    assert session.send_window(1) == 0
    with pytest.raises(LocalProtocolError, match=r"^1 bytes exceed the window of stream 1: 0$"):
        session.send_data(1, b"x")
    sent = session.data_to_send()
    assert len(sent) == WINDOW_BYTES + 5 * 12  # the headers do not count
    assert feed(session, frame(WINDOW, 0, 1, 10)) == [StreamWritable(1)]
    assert feed(session, frame(WINDOW, 0, 1, 10)) == []
    assert session.send_window(1) == 20
    session.send_data(1, b"")
    assert session.data_to_send() == b""


def test_data_is_cut_into_frames_of_the_limit() -> None:
    session = server_with_stream(max_frame_bytes=4)
    session.send_data(1, b"abcdefghij")
    assert session.data_to_send() == (
        data_frame(1, b"abcd") + data_frame(1, b"efgh") + data_frame(1, b"ij")
    )
    session = server_with_stream()
    session.send_data(1, bytes(65525))
    assert session.data_to_send() == data_frame(1, bytes(65524)) + data_frame(1, b"\0")


@pytest.mark.rule("YMX-08", "T15")
def test_credit_returns_when_half_the_window_is_consumed_and_not_on_receipt() -> None:
    session = server_with_stream()
    assert feed_whole(session, data_frame(1, bytes(WINDOW_BYTES)))
    assert session.data_to_send() == b""
    session.consumed(1, WINDOW_BYTES // 2 - 1)
    assert session.data_to_send() == b""
    session.consumed(1, 1)
    assert session.data_to_send() == frame(WINDOW, 0, 1, WINDOW_BYTES // 2)
    assert feed_whole(session, data_frame(1, bytes(WINDOW_BYTES // 2)))
    session.receive_data(frame(DATA, 0, 1, 1))
    with pytest.raises(RemoteProtocolError, match=r"^1 bytes on stream 1 overrun its credit of 0$"):
        session.next_event()


def test_more_cannot_be_consumed_than_was_delivered() -> None:
    session = server_with_stream()
    feed_whole(session, data_frame(1, b"abc"))
    session.consumed(1, 2)
    for count in (2, -1):
        message = f"^stream 1 never delivered the {count} bytes reported as consumed$"
        with pytest.raises(LocalProtocolError, match=message):
            session.consumed(1, count)
    session.consumed(1, 1)


@pytest.mark.rule("T6")
def test_an_unread_stream_holds_back_neither_pings_nor_other_streams(feed: Feed) -> None:
    session = server_with_stream()
    feed_whole(session, data_frame(1, bytes(WINDOW_BYTES)) + frame(WINDOW, SYN, 3, 0))
    session.data_to_send()
    assert feed(session, data_frame(3, b"x") + frame(PING, SYN, 0, 9)) == [StreamData(3, b"x")]
    assert session.data_to_send() == frame(PING, ACK, 0, 9)


@pytest.mark.rule("YMX-09")
def test_one_byte_above_the_credit_ends_the_session_before_its_body_arrives() -> None:
    session = server_with_stream()
    chunk = 64 * KIB
    assert feed_whole(session, data_frame(1, bytes(chunk)) * 3)
    session.receive_data(data_frame(1, bytes(chunk)) + frame(DATA, 0, 1, 1))
    assert session.next_event() == StreamData(1, bytes(chunk))
    with pytest.raises(
        RemoteProtocolError, match=r"^1 bytes on stream 1 overrun its credit of 0$"
    ) as caught:
        session.next_event()
    assert caught.value.fatal_to == "connection"
    assert session.data_to_send() == frame(GO_AWAY, 0, 0, 1)


@pytest.mark.rule("YMX-09")
def test_a_frame_longer_than_the_credit_is_refused_at_its_header() -> None:
    session = server_with_stream()
    session.receive_data(frame(DATA, 0, 1, WINDOW_BYTES + 1))
    with pytest.raises(
        RemoteProtocolError, match=r"^262145 bytes on stream 1 overrun its credit of 262144$"
    ):
        session.next_event()


@pytest.mark.rule("T9")
def test_a_larger_receive_window_is_announced_and_our_own_stays_at_256_kib() -> None:
    size = 1024 * KIB
    session = new_client(receive_window_bytes=size)
    session.open_stream()
    assert session.data_to_send() == frame(WINDOW, SYN, 1, size - WINDOW_BYTES)
    assert feed_whole(session, frame(WINDOW, SYN, 2, 0)) == [StreamOpened(2)]
    assert session.data_to_send() == frame(WINDOW, ACK, 2, size - WINDOW_BYTES)
    assert (session.send_window(1), session.send_window(2)) == (WINDOW_BYTES, WINDOW_BYTES)
    assert feed_whole(session, data_frame(2, bytes(size))) == [StreamData(2, bytes(size))]


@pytest.mark.rule("T9", "T10")
@pytest.mark.parametrize("flags", [SYN, SYN | FIN])
def test_credit_that_comes_with_syn_counts(feed: Feed, flags: int) -> None:
    session = new_server()
    assert feed(session, frame(WINDOW, flags, 1, 100))[0] == StreamOpened(1)
    assert session.send_window(1) == WINDOW_BYTES + 100


@pytest.mark.rule("YMX-10")
def test_window_updates_cannot_overflow_32_bits(feed: Feed) -> None:
    session = server_with_stream()
    assert feed(session, frame(WINDOW, 0, 1, 2**32 - 1 - WINDOW_BYTES)) == []
    assert session.send_window(1) == 2**32 - 1
    session.receive_data(frame(WINDOW, 0, 1, 2**32 - 1))
    with pytest.raises(
        RemoteProtocolError,
        match=r"^window updates of stream 1 exceed 32 bits: 4294967295 [+] 4294967295$",
    ):
        session.next_event()
    assert session.data_to_send() == frame(GO_AWAY, 0, 0, 1)


def test_credit_and_new_streams_may_overtake_data_but_the_end_may_not() -> None:
    session = server_with_stream()
    feed_whole(session, data_frame(1, bytes(WINDOW_BYTES)))
    session.send_data(1, b"data")
    session.close_write(1)
    session.consumed(1, WINDOW_BYTES)
    assert session.open_stream() == 2
    session.send_data(2, b"more")
    session.reset(2, 5)
    assert session.data_to_send() == (
        frame(WINDOW, 0, 1, WINDOW_BYTES)
        + frame(WINDOW, SYN, 2, 0)
        + data_frame(1, b"data")
        + frame(WINDOW, FIN, 1, 0)
        + data_frame(2, b"more")
        + frame(WINDOW, RST, 2, 5)
    )
