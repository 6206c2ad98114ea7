from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.conformance.vectors import read_vectors
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError
from gossipsub.wire.varint import decode_uvarint, encode_uvarint, uvarint_size

VECTORS = [
    (int(vector["number"]), vector["encoding"])
    for vector in read_vectors("varint")
    if vector["valid"]
]


@pytest.mark.parametrize(("number", "encoding"), VECTORS)
def test_the_vectors_read_and_write_as_stated(number: int, encoding: str) -> None:
    assert encode_uvarint(number) == bytes.fromhex(encoding)
    assert decode_uvarint(bytes.fromhex(encoding)) == (number, len(encoding) // 2)


@given(st.integers(0, 2**64 - 1), st.binary(max_size=12), st.binary(max_size=3))
def test_a_number_reads_back_from_the_middle_of_a_buffer(
    number: int, before: bytes, after: bytes
) -> None:
    encoding = encode_uvarint(number)
    end = len(before) + len(encoding)
    assert len(encoding) == uvarint_size(number)
    for buffer in (before + encoding + after, bytearray(before + encoding + after)):
        assert decode_uvarint(buffer, len(before)) == (number, end)


@given(st.integers(0, 2**64 - 1))
def test_a_varint_cut_short_is_incomplete_not_wrong(number: int) -> None:
    encoding = encode_uvarint(number)
    for length in range(len(encoding)):
        assert decode_uvarint(encoding[:length]) is None
    assert decode_uvarint(encoding, len(encoding)) is None


@pytest.mark.rule("T29")
@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("80" * 10, "varint longer than 10 bytes"),
        ("ff" * 1000, "varint longer than 10 bytes"),
        ("ff" * 9 + "02", "varint above 2^64-1"),
        ("8000", "varint is not minimally encoded"),
        ("ff8000", "varint is not minimally encoded"),
    ],
)
def test_what_is_no_varint_is_refused(encoding: str, message: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_uvarint(bytes.fromhex(encoding))
    assert str(caught.value) == message


@given(st.binary(max_size=12))
def test_any_bytes_give_a_number_that_writes_the_same_bytes_or_an_error(data: bytes) -> None:
    try:
        read = decode_uvarint(data)
    except RemoteProtocolError:
        return
    if read is not None:
        number, end = read
        assert encode_uvarint(number) == data[:end]


@pytest.mark.parametrize("number", [-1, 2**64])
def test_a_number_out_of_range_is_our_own_fault(number: int) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        encode_uvarint(number)
    assert str(caught.value) == f"a varint holds 0 to 2^64-1, not {number}"
