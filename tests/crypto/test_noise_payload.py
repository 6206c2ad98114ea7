"""The protobuf inside the Noise handshake, and the choice of the muxer."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.crypto.noise_payload import (
    NoisePayload,
    bytes_to_sign,
    choose_muxer,
    decode_payload,
    encode_payload,
)
from gossipsub.wire.errors import RemoteProtocolError
from gossipsub.wire.varint import encode_uvarint

KEY = b"\x0a\x03key"
SIGNATURE = b"\x12\x03sig"


def extensions(*muxers: bytes) -> bytes:
    inner = b"".join(b"\x12" + bytes([len(muxer)]) + muxer for muxer in muxers)
    return b"\x22" + encode_uvarint(len(inner)) + inner


@pytest.mark.rule("NOI-05")
def test_a_payload_has_key_1_signature_2_and_muxers_in_extensions_4() -> None:
    payload = NoisePayload(b"key", b"sig", [b"/yamux/1.0.0", b"/mplex/6.7.0"])
    encoded = KEY + SIGNATURE + b"\x22\x1c\x12\x0c/yamux/1.0.0\x12\x0c/mplex/6.7.0"

    assert encode_payload(payload) == encoded
    assert decode_payload(encoded) == payload


@pytest.mark.rule("NOI-05")
def test_without_muxers_no_extension_is_sent() -> None:
    assert encode_payload(NoisePayload(b"key", b"sig")) == KEY + SIGNATURE


@pytest.mark.rule("NOI-05")
@pytest.mark.parametrize(
    ("encoded", "muxers"),
    [
        (SIGNATURE + KEY, []),
        (KEY + SIGNATURE + b"\x1a\x05early", []),  # py-libp2p's own field 3
        (KEY + SIGNATURE + b"\x50\xff\x01\x5d1234\x6112345678\xfa\x01\x01x", []),
        (KEY + SIGNATURE + b"\x08\x01\x10\x01\x20\x01", []),  # known numbers, other wire types
        (KEY + SIGNATURE + b"\x22\x00", []),
        (KEY + SIGNATURE + b"\x22\x05\x0a\x03abc", []),  # webtransport_certhashes
        (KEY + SIGNATURE + b"\x22\x07\x0a\x03abc\x10\x01", []),
        (KEY + SIGNATURE + extensions(b"/a", b"\xff\xfe"), [b"/a", b"\xff\xfe"]),
        (extensions(b"/a") + KEY + SIGNATURE + extensions(b"/b"), [b"/a", b"/b"]),
        (b"\x0a\x01x\x12\x01y" + KEY + SIGNATURE, []),  # the last value of a field counts
    ],
)
def test_field_order_unknown_fields_and_repetitions_are_forgiven(
    encoded: bytes, muxers: list[bytes]
) -> None:
    assert decode_payload(encoded) == NoisePayload(b"key", b"sig", muxers)


@pytest.mark.parametrize("encoded", [b"", KEY, SIGNATURE, KEY + extensions(b"/a")])
def test_a_payload_without_key_or_signature_is_refused(encoded: bytes) -> None:
    message = re.escape("a Noise payload without identity key or signature")
    with pytest.raises(RemoteProtocolError, match=f"^{message}$"):
        decode_payload(encoded)


@pytest.mark.parametrize(
    "tail",
    [
        b"\x22\x80",  # a length that does not end
        b"\x22\x05\x12\x01",  # shorter than it says
        b"\x22\x02\x12\x01",  # the same one level deeper
        b"\x00\x01",  # field number 0
        b"\x23",  # a group
        b"\xff" * 11,
        b"\x25\x01",
    ],
)
def test_what_is_no_protobuf_is_refused(tail: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_payload(KEY + SIGNATURE + tail)


@pytest.mark.rule("NOI-13")
@pytest.mark.parametrize(("count", "read"), [(100, 100), (101, 0)])
def test_a_list_of_more_than_a_hundred_muxers_counts_as_none(count: int, read: int) -> None:
    muxers = [b"/%d" % number for number in range(count)]

    payload = decode_payload(KEY + SIGNATURE + extensions(*muxers))

    assert payload.muxers == muxers[:read]


@given(data=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for encoded in (data, KEY + SIGNATURE + data):
        with suppress(RemoteProtocolError):
            decode_payload(encoded)


@given(
    key=st.binary(max_size=300),
    signature=st.binary(max_size=300),
    muxers=st.lists(st.binary(max_size=200), max_size=100),
)
def test_what_was_encoded_is_decoded(key: bytes, signature: bytes, muxers: list[bytes]) -> None:
    payload = NoisePayload(key, signature, muxers)

    assert decode_payload(encode_payload(payload)) == payload


@pytest.mark.rule("NOI-06")
def test_the_signed_bytes_are_the_prefix_and_the_static_key() -> None:
    assert bytes_to_sign(b"\x01" * 32) == b"noise-libp2p-static-key:" + b"\x01" * 32


@pytest.mark.rule("NOI-13")
@pytest.mark.parametrize(
    ("initiators", "responders", "chosen"),
    [
        ([b"/yamux/1.0.0"], [b"/yamux/1.0.0"], b"/yamux/1.0.0"),
        ([b"/a", b"/b"], [b"/b", b"/a"], b"/a"),  # the initiator's order decides
        ([b"/b", b"/a"], [b"/a", b"/b"], b"/b"),
        ([b"/x", b"/b"], [b"/a", b"/b"], b"/b"),
        ([b"/a"], [b"/b"], None),
        ([], [b"/a"], None),
        ([b"/a"], [], None),
        ([], [], None),
    ],
)
def test_both_sides_choose_the_initiators_first_muxer_that_the_responder_has(
    initiators: list[bytes], responders: list[bytes], chosen: bytes | None
) -> None:
    assert choose_muxer(initiators, responders, initiator=True) == chosen
    assert choose_muxer(responders, initiators, initiator=False) == chosen
