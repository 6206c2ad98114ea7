"""How yamux streams and sessions end, pings, and what hostile peers get."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError
from gossipsub.wire.yamux import (
    GO_AWAY_INTERNAL_ERROR,
    GoneAway,
    PingAnswered,
    StreamData,
    StreamEnded,
    StreamOpened,
    StreamReset,
    YamuxEvent,
    YamuxLimits,
    YamuxSession,
)

DATA, WINDOW, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8
WINDOW_BYTES = 262144

Feed = Callable[[YamuxSession, bytes], list[YamuxEvent]]


def frame(kind: int, flags: int, stream_id: int, length: int, body: bytes = b"") -> bytes:
    return struct.pack(">BBHII", 0, kind, flags, stream_id, length) + body


def data_frame(stream_id: int, body: bytes, flags: int = 0) -> bytes:
    return frame(DATA, flags, stream_id, len(body), body)


def events_of(session: YamuxSession) -> list[YamuxEvent]:
    return list(iter(session.next_event, None))


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


def server_with_stream(**limits: int) -> YamuxSession:
    """A server on which the peer opened stream 1; nothing is left to read or send."""
    session = YamuxSession(client=False, limits=YamuxLimits(**limits))
    assert feed_whole(session, frame(WINDOW, SYN, 1, 0)) == [StreamOpened(1)]
    session.data_to_send()
    return session


def error_of(session: YamuxSession) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        session.next_event()
    assert caught.value.fatal_to == "connection"
    return str(caught.value)


# --- streams -----------------------------------------------------------------------------------


@pytest.mark.rule("YMX-05", "T10")
@pytest.mark.parametrize("ending", [frame(WINDOW, FIN, 1, 0), frame(DATA, FIN, 1, 0)])
def test_a_stream_the_peer_closed_can_still_be_written(feed: Feed, ending: bytes) -> None:
    session = server_with_stream()
    assert feed(session, data_frame(1, b"q") + ending) == [StreamData(1, b"q"), StreamEnded(1)]
    session.send_data(1, b"answer")
    session.close_write(1)
    session.close_write(1)
    assert session.data_to_send() == data_frame(1, b"answer") + frame(WINDOW, FIN, 1, 0)
    assert session.stream_count() == 0


@pytest.mark.rule("YMX-05")
def test_a_stream_we_closed_can_still_be_read(feed: Feed) -> None:
    session = server_with_stream()
    session.close_write(1)
    session.close_write(1)
    assert session.data_to_send() == frame(WINDOW, FIN, 1, 0)
    with pytest.raises(LocalProtocolError, match=r"^stream 1 is closed for writing$"):
        session.send_data(1, b"x")
    assert session.send_window(1) == 0
    assert feed(session, frame(WINDOW, 0, 1, 5) + data_frame(1, b"x", FIN)) == [
        StreamData(1, b"x"),
        StreamEnded(1),
    ]
    assert session.stream_count() == 0


@pytest.mark.rule("T10")
@pytest.mark.parametrize("kind", [DATA, WINDOW])
@pytest.mark.parametrize(
    ("flags", "end"),
    [
        (SYN | FIN, StreamEnded(1)),
        (SYN | ACK | FIN, StreamEnded(1)),
        (SYN | RST, StreamReset(1)),
        (SYN | FIN | RST, StreamReset(1)),
    ],
)
def test_the_frame_that_opens_a_stream_may_end_it(
    feed: Feed, kind: int, flags: int, end: YamuxEvent
) -> None:
    session = YamuxSession(client=False)
    assert feed(session, frame(kind, flags, 1, 0)) == [StreamOpened(1), end]


@pytest.mark.rule("T10")
@pytest.mark.parametrize("kind", [DATA, WINDOW])
@pytest.mark.parametrize(
    ("flags", "end"), [(ACK | FIN, StreamEnded(1)), (ACK | RST, StreamReset(1))]
)
def test_the_frame_that_acknowledges_a_stream_may_end_it(
    feed: Feed, kind: int, flags: int, end: YamuxEvent
) -> None:
    session = YamuxSession(client=True)
    session.open_stream()
    assert feed(session, frame(kind, flags, 1, 0)) == [end]


@pytest.mark.rule("YMX-06", "YMX-20", "T11")
def test_the_length_of_a_reset_is_an_error_code_and_no_credit(feed: Feed) -> None:
    session = server_with_stream()
    assert feed(session, frame(WINDOW, RST, 1, 0x1001)) == [StreamReset(1, 0x1001)]
    assert session.send_window(1) == 0
    with pytest.raises(LocalProtocolError, match=r"^stream 1 is closed for writing$"):
        session.send_data(1, b"x")
    assert session.stream_count() == 0
    assert session.data_to_send() == b""


@pytest.mark.rule("YMX-20", "T11")
def test_a_reset_never_overflows_a_window(feed: Feed) -> None:
    session = server_with_stream()
    assert feed(session, frame(WINDOW, RST, 1, 2**32 - 1)) == [StreamReset(1, 2**32 - 1)]


@pytest.mark.rule("YMX-20", "T10")
def test_a_reset_in_a_data_frame_counts_and_its_body_is_drained(feed: Feed) -> None:
    session = server_with_stream()
    ending = data_frame(1, b"lost", RST) + frame(WINDOW, SYN, 3, 0)
    assert feed(session, ending) == [StreamReset(1, 0), StreamOpened(3)]


@pytest.mark.rule("YMX-14", "YMX-20")
def test_our_reset_ends_that_stream_only_and_drains_what_was_under_way(feed: Feed) -> None:
    session = server_with_stream()
    feed_whole(session, frame(WINDOW, SYN, 3, 0))
    session.data_to_send()
    session.reset(1, 0x1003)
    session.reset(1)
    session.close_write(1)
    session.consumed(1, 5)
    assert session.data_to_send() == frame(WINDOW, RST, 1, 0x1003)
    late = data_frame(1, b"late") + frame(WINDOW, 0, 1, 9) + frame(WINDOW, RST, 1, 0)
    assert feed(session, late + data_frame(3, b"!")) == [StreamData(3, b"!")]
    assert session.stream_count() == 1
    assert session.data_to_send() == b""


@pytest.mark.rule("YMX-14")
def test_a_reset_within_a_body_drains_the_rest_of_it() -> None:
    session = server_with_stream()
    assert feed_whole(session, frame(DATA, FIN, 1, 6, b"abc")) == [StreamData(1, b"abc")]
    session.reset(1)
    assert feed_whole(session, b"def" + frame(WINDOW, SYN, 3, 0)) == [StreamOpened(3)]


@pytest.mark.rule("YMX-14")
@pytest.mark.parametrize("stream_id", [0, 1, 2, 77, 2**32 - 1])
def test_frames_for_unknown_streams_are_read_away(feed: Feed, stream_id: int) -> None:
    session = YamuxSession(client=False)
    noise = b"".join(
        data_frame(stream_id, b"xyz", flags) + frame(WINDOW, flags, stream_id, 7)
        for flags in (0, ACK, FIN, RST, ACK | FIN | RST)
    )
    assert feed(session, noise + frame(WINDOW, SYN, 5, 0)) == [StreamOpened(5)]
    assert session.stream_count() == 1


@pytest.mark.rule("YMX-14")
def test_a_frame_for_an_unknown_stream_cannot_be_longer_than_any_window() -> None:
    session = YamuxSession(client=False)
    session.receive_data(frame(DATA, 0, 1, WINDOW_BYTES + 1))
    assert error_of(session) == "262145 bytes on stream 1 overrun its credit of 262144"


def test_credit_for_a_stream_we_closed_announces_nothing(feed: Feed) -> None:
    session = server_with_stream()
    session.send_data(1, bytes(WINDOW_BYTES))
    session.close_write(1)
    assert feed(session, frame(WINDOW, 0, 1, 5)) == []


def test_no_credit_is_given_to_a_peer_that_sends_no_more() -> None:
    session = server_with_stream()
    feed_whole(session, data_frame(1, bytes(WINDOW_BYTES), FIN))
    session.consumed(1, WINDOW_BYTES)
    assert session.data_to_send() == b""


def test_data_after_the_end_is_read_away(feed: Feed) -> None:
    session = server_with_stream()
    ends = frame(WINDOW, FIN, 1, 0) * 2 + frame(DATA, FIN, 1, 0)
    after = data_frame(1, b"after", FIN) + frame(WINDOW, 0, 1, 3)
    assert feed(session, ends + after) == [StreamEnded(1)]
    session.consumed(1, 5)
    assert session.send_window(1) == WINDOW_BYTES + 3


# --- pings -------------------------------------------------------------------------------------


@pytest.mark.rule("YMX-11", "T13")
def test_a_ping_is_answered_ahead_of_queued_data(feed: Feed) -> None:
    session = server_with_stream()
    session.send_data(1, b"queued")
    assert feed(session, frame(PING, SYN, 0, 0xDEADBEEF)) == []
    assert session.data_to_send() == frame(PING, ACK, 0, 0xDEADBEEF) + data_frame(1, b"queued")


@pytest.mark.rule("YMX-11", "T13")
def test_a_pong_has_exactly_the_flag_ack_and_stream_0(feed: Feed) -> None:
    session = server_with_stream()
    feed(session, frame(PING, SYN | ACK | FIN, 1, 3))
    assert session.data_to_send() == frame(PING, ACK, 0, 3)


@pytest.mark.rule("YMX-11")
def test_a_flood_of_pings_queues_32_pongs() -> None:
    session = server_with_stream()
    for _ in range(3):
        feed_whole(session, b"".join(frame(PING, SYN, 0, value) for value in range(1000)))
    assert session.data_to_send() == b"".join(frame(PING, ACK, 0, n) for n in range(32))
    feed_whole(session, frame(PING, SYN, 0, 77))
    assert session.data_to_send() == frame(PING, ACK, 0, 77)


@pytest.mark.rule("YMX-11")
def test_our_ping_is_answered_once_and_unasked_pongs_are_ignored(feed: Feed) -> None:
    session = YamuxSession(client=True)
    session.ping(5)
    assert session.data_to_send() == frame(PING, SYN, 0, 5)
    with pytest.raises(LocalProtocolError, match=r"^cannot ping: 5 is in flight$"):
        session.ping(5)
    assert feed(session, frame(PING, ACK, 0, 6) + frame(PING, 0, 0, 5)) == []
    answers = frame(PING, ACK, 0, 5) * 2
    assert feed(session, answers) == [PingAnswered(5)]
    session.ping(5)
    assert session.data_to_send() == frame(PING, SYN, 0, 5)


def test_a_silent_peer_leaves_a_bounded_number_of_pings() -> None:
    session = YamuxSession(client=True)
    for value in range(16):
        session.ping(value)
    with pytest.raises(LocalProtocolError, match=r"^cannot ping: 16 are in flight$"):
        session.ping(16)


# --- the end of a session ----------------------------------------------------------------------


@pytest.mark.rule("YMX-12", "T27")
@pytest.mark.parametrize("code", [0, 1, 2, 0x1005])
def test_after_a_go_away_no_stream_is_opened_by_either_side(feed: Feed, code: int) -> None:
    session = server_with_stream()
    assert feed(session, frame(GO_AWAY, 0, 0, code) * 2) == [GoneAway(code)]
    assert not session.can_open_stream()
    with pytest.raises(
        LocalProtocolError, match=r"^cannot open a stream: the peer ended the session$"
    ):
        session.open_stream()
    session.send_data(1, b"last words")
    assert session.data_to_send() == data_frame(1, b"last words")
    assert feed(session, frame(WINDOW, SYN, 3, 0) + data_frame(1, b"x")) == [StreamData(1, b"x")]
    assert session.data_to_send() == frame(WINDOW, RST, 3, 0)


@pytest.mark.rule("YMX-12")
def test_our_go_away_follows_everything_queued(feed: Feed) -> None:
    session = server_with_stream()
    session.send_data(1, b"last words")
    session.go_away(GO_AWAY_INTERNAL_ERROR)
    assert session.data_to_send() == data_frame(1, b"last words") + frame(GO_AWAY, 0, 0, 2)
    with pytest.raises(LocalProtocolError, match=r"^cannot open a stream: we ended the session$"):
        session.open_stream()
    assert feed(session, frame(WINDOW, SYN, 3, 0)) == []
    assert session.data_to_send() == frame(WINDOW, RST, 3, 0)


@pytest.mark.rule("YMX-12")
def test_our_go_away_is_normal_by_default() -> None:
    session = YamuxSession(client=True)
    session.go_away()
    assert session.data_to_send() == frame(GO_AWAY, 0, 0, 0)


OFFENCES = [
    pytest.param(frame(WINDOW, SYN, 2, 0), "the peer opened stream 2, an id not of its own",
                 marks=pytest.mark.rule("YMX-03")),
    pytest.param(frame(DATA, SYN, 0, 0), "the peer opened stream 0, an id not of its own",
                 marks=pytest.mark.rule("YMX-03")),
    pytest.param(frame(WINDOW, SYN, 1, 0), "the peer opened stream 1 twice",
                 marks=pytest.mark.rule("YMX-15")),
    pytest.param(b"\x01" + frame(WINDOW, SYN, 3, 0)[1:], "yamux version 1, only 0 is known",
                 marks=pytest.mark.rule("YMX-16")),
    pytest.param(frame(4, 0, 0, 0), "unknown yamux frame type 4",
                 marks=pytest.mark.rule("YMX-16")),
]  # fmt: skip


@pytest.mark.parametrize(("offence", "message"), OFFENCES)
def test_a_broken_protocol_ends_the_session_after_what_came_before(
    feed: Feed, offence: bytes, message: str
) -> None:
    session = server_with_stream()
    session.send_data(1, b"never sent to a peer like this")
    session.receive_data(data_frame(1, b"fine") + offence + data_frame(1, b"unread"))
    assert session.next_event() == StreamData(1, b"fine")
    assert [error_of(session), error_of(session)] == [message, message]
    assert session.stream_count() == 0
    session.go_away()
    assert session.data_to_send() == frame(GO_AWAY, 0, 0, 1)


@pytest.mark.rule("YMX-03")
@pytest.mark.parametrize("stream_id", [0, 1])
def test_a_server_cannot_open_the_ids_of_the_client(stream_id: int) -> None:
    session = YamuxSession(client=True)
    session.receive_data(frame(WINDOW, SYN, stream_id, 0))
    assert error_of(session) == f"the peer opened stream {stream_id}, an id not of its own"


def test_a_dead_session_takes_no_input_and_opens_nothing() -> None:
    session = server_with_stream()
    session.receive_data(frame(9, 0, 0, 0))
    session.data_to_send()
    session.receive_data(frame(PING, SYN, 0, 1) + frame(WINDOW, SYN, 3, 0))
    assert session.data_to_send() == b""
    for call in (session.close_write, session.reset):
        call(1)
    session.consumed(1, 1)
    session.receive_eof()
    assert session.data_to_send() == b""
    with pytest.raises(LocalProtocolError, match=r"^stream 1 is closed for writing$"):
        session.send_data(1, b"x")
    with pytest.raises(LocalProtocolError, match=r"^cannot ping: the peer broke the protocol$"):
        session.ping(1)
    assert not session.can_open_stream()


def test_a_peer_that_makes_us_answer_and_never_reads_is_given_up() -> None:
    session = YamuxSession(client=False)
    churn = frame(WINDOW, SYN, 1, 0) + frame(WINDOW, RST, 1, 0)
    events = [event for _ in range(8192) for event in feed_whole(session, churn)]
    assert len(events) == 2 * 8192
    session.receive_data(churn)
    assert error_of(session) == "the peer left 98304 bytes of yamux control frames unread"
    assert session.data_to_send() == frame(GO_AWAY, 0, 0, 1)


@pytest.mark.parametrize(
    "end",
    [frame(WINDOW, RST, 1, 0), data_frame(1, b"last", FIN), frame(WINDOW, FIN, 1, 0)],
    ids=["reset", "data", "end"],
)
def test_an_id_is_not_taken_again_before_its_end_was_handed_out(end: bytes) -> None:
    """Whoever takes the events could not tell which of both streams they are about."""
    session = server_with_stream()
    session.close_write(1)
    opening = frame(WINDOW, SYN, 1, 0)
    session.data_to_send()
    session.receive_data(end + opening)
    assert session.data_to_send() == frame(WINDOW, RST, 1, 0)
    assert StreamOpened(1) not in events_of(session)
    assert feed_whole(session, opening) == [StreamOpened(1)]


def test_a_chunk_full_of_opens_is_answered_in_full() -> None:
    session = YamuxSession(client=False)
    count = 65536 // 12
    feed_whole(session, b"".join(frame(WINDOW, SYN, 2 * n + 1, 0) for n in range(count)))
    assert len(session.data_to_send()) == 12 * count


def test_an_end_between_frames_ends_all_streams() -> None:
    session = server_with_stream()
    session.receive_data(data_frame(1, b"last"))
    session.receive_eof()
    assert events_of(session) == [StreamData(1, b"last")]
    assert session.stream_count() == 0
    with pytest.raises(
        LocalProtocolError, match=r"^cannot open a stream: the connection has ended$"
    ):
        session.open_stream()


@pytest.mark.parametrize("cut", [1, 11, 12, 15])
def test_an_end_inside_a_frame_is_an_error(cut: int) -> None:
    session = server_with_stream()
    session.receive_data(data_frame(1, b"full") + data_frame(1, b"cut!")[:cut])
    with pytest.raises(RemoteProtocolError, match=r"^the connection ended inside a yamux frame$"):
        session.receive_eof()
    assert session.next_event() == StreamData(1, b"full")
