from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.wire.errors import FrameTooLarge, RemoteProtocolError
from gossipsub.wire.framing import FrameReader, encode_frame

LIMIT = 4096


def drain(reader: FrameReader) -> Iterator[bytes]:
    while (frame := reader.next_frame()) is not None:
        yield frame


def cut(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    position = 0
    for size in sizes:
        yield data[position : position + size]
        position += size
    yield data[position:]


@given(
    st.lists(st.binary(max_size=200) | st.integers(0, LIMIT).map(bytes)),
    st.lists(st.integers(0, 500)),
)
def test_frames_come_out_as_they_went_in_however_the_stream_is_cut(
    bodies: list[bytes], sizes: list[int]
) -> None:
    stream = b"".join(map(encode_frame, bodies))
    reader = FrameReader(LIMIT)
    received: list[bytes] = []
    for chunk in cut(stream, sizes):
        reader.receive_data(chunk)
        received += drain(reader)
    assert received == bodies
    reader.receive_eof()
    assert reader.next_frame() is None


@given(
    st.lists(st.binary(max_size=200) | st.integers(0, LIMIT).map(bytes)),
    st.lists(st.tuples(st.integers(0, LIMIT), st.integers(0, 3))),
)
def test_frames_that_are_not_taken_at_once_wait_in_their_order(
    bodies: list[bytes], turns: list[tuple[int, int]]
) -> None:
    """In turns a piece of so many bytes arrives and so many frames are taken."""
    reader = FrameReader(LIMIT)
    received: list[bytes] = []
    pieces = cut(b"".join(map(encode_frame, bodies)), [size for size, _ in turns])
    for piece, (_, count) in zip(pieces, [*turns, (0, 0)], strict=True):
        reader.receive_data(piece)
        received += islice(drain(reader), count)
    reader.receive_eof()
    assert [*received, *drain(reader)] == bodies


def test_frames_come_out_byte_by_byte_too() -> None:
    bodies = [b"one", b"", b"x" * 300, b"four"]
    reader = FrameReader(LIMIT)
    received: list[bytes] = []
    for byte in b"".join(map(encode_frame, bodies)):
        reader.receive_data(bytes([byte]))
        received += drain(reader)
    assert received == bodies


@pytest.mark.rule("WIRE-05")
def test_a_frame_of_no_bytes_is_a_frame() -> None:
    reader = FrameReader(LIMIT)
    reader.receive_data(b"\x00\x00")
    assert list(drain(reader)) == [b"", b""]
    reader.receive_eof()


@pytest.mark.rule("WIRE-06", "T29")
def test_a_frame_above_the_limit_is_refused_before_its_body_is_buffered() -> None:
    reader = FrameReader(LIMIT)
    reader.receive_data(encode_frame(bytes(LIMIT)) + b"\x81\x20")
    assert reader.next_frame() == bytes(LIMIT)
    with pytest.raises(FrameTooLarge) as caught:
        reader.next_frame()
    assert str(caught.value) == "frame of 4097 bytes, at most 4096 allowed"
    assert caught.value.fatal_to == "stream"


def test_after_an_error_the_reader_is_dead_and_quiet() -> None:
    reader = FrameReader(LIMIT)
    reader.receive_data(b"\xff\xff\xff\xff\x0f" + encode_frame(b"late"))
    with pytest.raises(FrameTooLarge):
        reader.next_frame()
    reader.receive_data(encode_frame(b"later"))
    assert reader.next_frame() is None
    reader.receive_eof()
    assert reader.next_frame() is None


def test_an_end_inside_a_frame_waits_for_the_frame_that_two_pieces_share() -> None:
    reader = FrameReader(LIMIT)
    reader.receive_data(b"\x03on")
    assert reader.next_frame() is None
    reader.receive_data(b"e\x05ab")
    reader.receive_eof()
    assert reader.next_frame() == b"one"
    with pytest.raises(RemoteProtocolError) as caught:
        reader.next_frame()
    assert str(caught.value) == "stream ended inside a frame"


@pytest.mark.rule("T29")
@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ("80" * 10, "frame length: varint longer than 10 bytes"),
        ("ff" * 9 + "7f", "frame length: varint above 2^64-1"),
        ("8000", "frame length: varint is not minimally encoded"),
    ],
)
def test_a_prefix_that_is_no_varint_kills_the_stream_but_not_the_frames_before(
    prefix: str, message: str
) -> None:
    reader = FrameReader(LIMIT)
    reader.receive_data(encode_frame(b"one") + encode_frame(b"two") + bytes.fromhex(prefix))
    assert [reader.next_frame(), reader.next_frame()] == [b"one", b"two"]
    with pytest.raises(RemoteProtocolError) as caught:
        reader.next_frame()
    assert (str(caught.value), caught.value.fatal_to) == (message, "stream")


@pytest.mark.parametrize("rest", [b"\x80", b"\x05", b"\x05abcd"])
def test_a_stream_that_ends_inside_a_frame_is_an_error(rest: bytes) -> None:
    reader = FrameReader(LIMIT)
    reader.receive_data(encode_frame(b"one") + rest)
    assert list(drain(reader)) == [b"one"]
    with pytest.raises(RemoteProtocolError) as caught:
        reader.receive_eof()
    assert (str(caught.value), caught.value.fatal_to) == ("stream ended inside a frame", "stream")
    assert reader.next_frame() is None


def test_an_end_inside_a_frame_waits_for_the_frames_before_it() -> None:
    reader = FrameReader(LIMIT)
    reader.receive_data(encode_frame(b"one") + encode_frame(b"two") + b"\x05ab")
    reader.receive_eof()
    assert [reader.next_frame(), reader.next_frame()] == [b"one", b"two"]
    with pytest.raises(RemoteProtocolError) as caught:
        reader.next_frame()
    assert (str(caught.value), caught.value.fatal_to) == ("stream ended inside a frame", "stream")
    assert reader.next_frame() is None
