from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError
from gossipsub.wire.protobuf import (
    BYTES,
    VARINT,
    encode_bytes_field,
    encode_varint_field,
    iter_fields,
)
from gossipsub.wire.rpc_schema import RPC


def test_fields_come_in_order_with_their_place_in_the_data() -> None:
    data = bytes.fromhex("089601120774657374696e671d010000002102000000000000000800")
    assert list(iter_fields(data)) == [
        (1, 0, 150, 0, 3),
        (2, 2, b"testing", 3, 12),
        (3, 5, 1, 12, 17),
        (4, 1, 2, 17, 26),
        (1, 0, 0, 26, 28),
    ]


numbers = st.integers(1, 2**29 - 1)
fields = st.lists(st.tuples(numbers, st.one_of(st.integers(0, 2**64 - 1), st.binary(max_size=300))))


@given(fields)
def test_what_is_written_reads_back_and_covers_the_data(
    written: list[tuple[int, int | bytes]],
) -> None:
    encodings = [
        encode_varint_field(number, value)
        if isinstance(value, int)
        else encode_bytes_field(number, value)
        for number, value in written
    ]
    data = b"".join(encodings)
    read = list(iter_fields(data))
    assert [(number, value) for number, _, value, _, _ in read] == written
    assert [data[start:end] for *_, start, end in read] == encodings
    assert all(kind == (VARINT if isinstance(v, int) else BYTES) for _, kind, v, _, _ in read)


@pytest.mark.rule("T29")
@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("08", "protobuf message ends inside a varint"),
        ("80", "protobuf message ends inside a varint"),
        ("0a", "protobuf message ends inside a varint"),
        ("0a0541", "protobuf field is longer than its message"),
        ("0affffffffffffffffff01", "protobuf field is longer than its message"),
        ("0d000000", "protobuf field is longer than its message"),
        ("0900000000000000", "protobuf field is longer than its message"),
        ("0b0c", "protobuf wire type 3 is not supported"),
        ("0c", "protobuf wire type 4 is not supported"),
        ("0e", "protobuf wire type 6 is not supported"),
        ("0f", "protobuf wire type 7 is not supported"),
        ("0200", "protobuf field number 0 does not exist"),
        ("808080801000", "protobuf field number 536870912 does not exist"),
        ("08" + "ff" * 11, "varint longer than 10 bytes"),
    ],
)
def test_malformed_bytes_are_refused(data: str, message: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        list(iter_fields(bytes.fromhex(data)))
    assert str(caught.value) == message


@pytest.mark.rule("T29")
def test_a_million_fields_are_refused_at_the_limit() -> None:
    fields = iter_fields(b"\x08\x00" * 500_000, max_fields=3)
    assert [next(fields)[0] for _ in range(3)] == [1, 1, 1]
    with pytest.raises(RemoteProtocolError) as caught:
        next(fields)
    assert str(caught.value) == "protobuf message has more than 3 fields"


@given(st.binary(max_size=60))
def test_any_bytes_read_or_are_refused_and_what_reads_is_protobuf(data: bytes) -> None:
    try:
        list(iter_fields(data))
    except RemoteProtocolError:
        return
    # TestExtension has no fields of its own, so only the syntax counts.
    RPC().testExtension.ParseFromString(data)


@pytest.mark.parametrize("number", [0, -1, 2**29])
def test_a_field_number_out_of_range_is_our_own_fault(number: int) -> None:
    for write in (lambda: encode_bytes_field(number, b""), lambda: encode_varint_field(number, 0)):
        with pytest.raises(LocalProtocolError) as caught:
            write()
        assert str(caught.value) == f"protobuf field numbers are 1 to 2^29-1, not {number}"
