"""Ping: the echo works on the byte stream, and a wrong echo is noticed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError
from gossipsub.wire.ping import PingEchoed, Pinger, PingResponder

A = bytes(range(32))
B = bytes(range(100, 132))


def pieces(data: bytes, step: int) -> list[bytes]:
    return [data[i : i + step] for i in range(0, len(data), step)]


def outcome(pinger: Pinger) -> list[str]:
    """All events up to None or the error, as text."""
    seen: list[str] = []
    try:
        while (event := pinger.next_event()) is not None:
            seen.append(repr(event))
    except RemoteProtocolError as error:
        seen.append(f"{error.fatal_to} failed: {error}")
    return seen


@pytest.mark.rule("PNG-01")
def test_ten_rounds_on_one_stream() -> None:
    pinger, responder = Pinger(), PingResponder()
    for n in range(10):
        payload = bytes([n]) * 32
        pinger.start(payload)
        assert pinger.data_to_send() == payload
        assert pinger.data_to_send() == b""
        assert pinger.next_event() is None
        responder.receive_data(payload)
        pinger.receive_data(responder.data_to_send())
        assert pinger.next_event() == PingEchoed()
        assert pinger.next_event() is None


@pytest.mark.rule("PNG-05")
@pytest.mark.parametrize("step", [1, 16, 31, 32, 33, 96])
def test_the_responder_echoes_whole_blocks_however_they_are_cut(step: int) -> None:
    responder, answers = PingResponder(), b""
    received = 0
    for piece in pieces(A + B + A, step):
        responder.receive_data(piece)
        received += len(piece)
        answers += responder.data_to_send()
        assert len(answers) == received // 32 * 32
    assert answers == A + B + A


def test_an_unfinished_block_is_not_answered() -> None:
    responder = PingResponder()
    responder.receive_data(A + B[:31])
    assert (responder.data_to_send(), responder.data_to_send()) == (A, b"")


@pytest.mark.rule("PNG-04")
def test_the_responder_ends_after_the_pinger_and_answers_what_was_whole() -> None:
    responder = PingResponder()
    responder.receive_data(A + B[:5])
    assert not responder.ended
    responder.receive_eof()
    responder.receive_data(B[5:])  # nothing can follow an end of stream
    assert responder.ended
    assert responder.data_to_send() == A
    assert responder.data_to_send() == b""


@pytest.mark.rule("PNG-04")
def test_the_end_of_an_idle_ping_stream_is_no_error() -> None:
    pinger = Pinger()
    pinger.start(A)
    pinger.receive_data(A)
    pinger.receive_eof()
    assert outcome(pinger) == ["PingEchoed()"]


def test_an_end_of_stream_before_the_echo_is_an_error() -> None:
    pinger = Pinger()
    pinger.start(A)
    pinger.receive_data(A[:31])
    with pytest.raises(RemoteProtocolError, match=r"^ping: closed before the echo$"):
        pinger.receive_eof()
    assert outcome(pinger) == ["stream failed: ping: closed before the echo"]


@pytest.mark.rule("PNG-02")
@pytest.mark.parametrize("step", [1, 32])
@pytest.mark.parametrize("echo", [bytes(32), A[:31] + b"\x00", b"\xff" + A[1:], A[1:] + A[:1]])
def test_an_echo_that_differs_is_a_failure(echo: bytes, step: int) -> None:
    pinger = Pinger()
    pinger.start(A)
    for piece in pieces(echo, step):
        pinger.receive_data(piece)
    for _ in range(2):
        assert outcome(pinger) == ["stream failed: ping: the echo differs from what was sent"]
    with pytest.raises(LocalProtocolError, match=r"^this ping stream failed$"):
        pinger.start(B)
    pinger.receive_data(A)
    assert outcome(pinger) == ["stream failed: ping: the echo differs from what was sent"]


@pytest.mark.parametrize("step", [1, 64])
def test_bytes_nobody_asked_for_fail_after_the_good_echo_was_reported(step: int) -> None:
    pinger = Pinger()
    pinger.start(A)
    for piece in pieces(A + A, step):
        pinger.receive_data(piece)
    assert outcome(pinger) == ["PingEchoed()", "stream failed: ping: bytes nobody asked for"]


def test_an_echo_before_any_ping_is_a_failure() -> None:
    pinger = Pinger()
    pinger.receive_data(b"")
    assert outcome(pinger) == []
    pinger.receive_data(b"\x00")
    assert outcome(pinger) == ["stream failed: ping: bytes nobody asked for"]


def test_one_round_at_a_time_with_32_bytes() -> None:
    pinger = Pinger()
    with pytest.raises(LocalProtocolError, match=r"^a ping has 32 bytes, not 31$"):
        pinger.start(A[:31])
    pinger.start(A)
    with pytest.raises(LocalProtocolError, match=r"^the echo of the last ping is still awaited$"):
        pinger.start(B)
    assert pinger.data_to_send() == A
    pinger.receive_data(A)
    pinger.start(B)
    assert pinger.data_to_send() == B


@given(st.binary(max_size=200), st.integers(1, 70))
def test_the_answer_is_what_was_received_up_to_the_last_whole_block(data: bytes, step: int) -> None:
    responder, answers = PingResponder(), b""
    for piece in pieces(data, step):
        responder.receive_data(piece)
        answers += responder.data_to_send()
    assert answers == data[: len(data) // 32 * 32]


@given(st.one_of(st.binary(max_size=70), st.binary(max_size=40).map(A.__add__)), st.integers(1, 40))
def test_what_a_pinger_reports_depends_on_no_cut(received: bytes, step: int) -> None:
    reports = []
    for cut in (len(received) or 1, step, 1):
        pinger = Pinger()
        pinger.start(A)
        for piece in pieces(received, cut):
            pinger.receive_data(piece)
        reports.append(outcome(pinger))
    assert reports[0] == reports[1] == reports[2]
