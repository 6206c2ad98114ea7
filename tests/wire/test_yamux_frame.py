from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.conformance.vectors import read_vectors
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError
from gossipsub.wire.yamux_frame import GO_AWAY, YamuxLimits, decode_header, encode_header

VECTORS = [
    ((vector["type"], vector["flags"], vector["stream_id"], vector["length"]), vector["frame"][:24])
    for vector in read_vectors("yamux_frames")
    if vector["valid"]
]


@pytest.mark.rule("YMX-01")
@pytest.mark.parametrize(("fields", "octets"), VECTORS)
def test_headers_are_the_twelve_bytes_of_the_specification(
    fields: tuple[int, int, int, int], octets: str
) -> None:
    assert encode_header(*fields).hex() == octets
    assert decode_header(bytes.fromhex(octets)) == fields


@given(
    st.integers(0, 3),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=5),
)
def test_every_header_survives_at_every_offset(
    kind: int, flags: int, stream_id: int, length: int, before: bytes
) -> None:
    buffer = before + encode_header(kind, flags, stream_id, length) + b"after"
    assert decode_header(buffer, len(before)) == (kind, flags, stream_id, length)


@pytest.mark.rule("YMX-16")
def test_another_version_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match=r"^yamux version 1, only 0 is known$"):
        decode_header(bytes.fromhex("010100010000000100000000"))


@pytest.mark.rule("YMX-16")
def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match=r"^unknown yamux frame type 4$"):
        decode_header(bytes.fromhex("000400010000000100000000"))


@pytest.mark.parametrize("value", [-1, 2**32])
def test_a_value_of_more_than_32_bits_is_refused(value: int) -> None:
    message = f"^a yamux header cannot hold type=3 flags=0 stream=0 length={value}$"
    with pytest.raises(LocalProtocolError, match=message):
        encode_header(GO_AWAY, 0, 0, value)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (
            {"receive_window_bytes": 262143},
            r"^need 262144 \(.*\) <= receive_window_bytes < 2\*\*32: 262143$",
        ),
        ({"max_frame_bytes": 0}, r"^need 1 <= max_frame_bytes < 2\*\*32: 0$"),
        ({"max_stream_id": 2**32}, r"^need 1 <= max_stream_id < 2\*\*32: 4294967296$"),
    ],
)
def test_limits_that_cannot_hold_are_refused(limits: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        YamuxLimits(**limits)
