from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.wire.errors import RemoteProtocolError
from gossipsub.wire.message_codec import bytes_to_sign, decode_message, encode_message
from gossipsub.wire.protobuf import encode_bytes_field, encode_varint_field
from gossipsub.wire.rpc import Message
from gossipsub.wire.rpc_schema import RPC

ED25519_PEER = bytes.fromhex("002408011220") + bytes(range(32))
UNKNOWN = encode_bytes_field(100, b"future") + encode_varint_field(7, 5)

field = encode_bytes_field

maybe_bytes = st.none() | st.binary(max_size=200)
unknown_fields = st.lists(
    st.tuples(st.integers(7, 2**29 - 1), st.binary(max_size=20)).map(lambda f: field(*f)),
    max_size=4,
).map(b"".join)
any_messages = st.builds(
    Message,
    topic=st.text(max_size=20),
    data=maybe_bytes | st.integers(120, 20_000).map(bytes),
    from_peer=maybe_bytes,
    seqno=maybe_bytes,
    signature=maybe_bytes,
    key=maybe_bytes,
    unknown=unknown_fields,
)
signed_messages = st.builds(
    Message,
    topic=st.text(max_size=130),
    data=st.sampled_from((0, 1, 127, 128, 16_383, 16_384)).map(bytes),
    from_peer=st.just(ED25519_PEER) | st.binary(max_size=130),
    seqno=st.binary(min_size=8, max_size=8),
    signature=st.binary(min_size=64, max_size=64),
)
"""Laid out as those that all implementations sign."""
messages = any_messages | signed_messages


def parsed(encoding: bytes) -> Any:
    """What protobuf makes of the same bytes."""
    return RPC.FromString(field(2, encoding)).publish[0]


@given(messages)
def test_a_message_reads_back_and_is_what_protobuf_writes(message: Message) -> None:
    encoding = encode_message(message)
    assert message.encoding is encoding
    assert decode_message(encoding, max_extra_fields=8) == message
    oracle = parsed(encoding)
    assert oracle.SerializeToString() == encoding
    for name in ("signature", "key"):
        oracle.ClearField(name)
    assert oracle.SerializeToString() == bytes_to_sign(message)
    assert oracle.SerializeToString() == bytes_to_sign(decode_message(encoding, 8))


@pytest.mark.rule("SIGN-02")
@given(st.permutations(range(5)))
def test_what_is_signed_has_its_fields_in_order_however_they_came(order: list[int]) -> None:
    fields = [
        field(1, ED25519_PEER),
        field(2, b"data"),
        field(3, b"12345678"),
        field(4, b"topic"),
        field(5, bytes(64)),
    ]
    message = decode_message(b"".join([fields[number] for number in order]), 8)
    assert bytes_to_sign(message) == b"".join(fields[:4])


def test_what_is_laid_out_nearly_as_usual_is_read_as_protobuf_reads_it() -> None:
    usual = encode_message(Message("topic", b"data", ED25519_PEER, b"12345678", bytes(64)))
    damaged = [
        usual[:position] + bytes((value,)) + usual[position + 1 :]
        for position in range(len(usual))
        if usual[position] in b"\x0a\x26\x12\x04\x1a\x08\x22\x05\x2a\x40"
        for value in range(256)
    ]
    endings = [usual + field(number, b"more") for number in range(1, 8)]
    for encoding in [usual, *damaged, *endings]:
        try:
            message = decode_message(encoding, 8)
        except (IndexError, RemoteProtocolError):
            continue
        oracle = parsed(encoding)
        read = [message.from_peer, message.data, message.seqno, message.signature, message.key]
        assert [message.topic, *(value or b"" for value in read)] == [
            oracle.topic,
            getattr(oracle, "from"),
            oracle.data,
            oracle.seqno,
            oracle.signature,
            oracle.key,
        ]
        assert bytes_to_sign(message) == bytes_to_sign(replace(message, encoding=None))


def test_what_is_signed_follows_a_message_that_is_made_another() -> None:
    message = Message("topic", b"data", ED25519_PEER, b"12345678", bytes(64))
    received = decode_message(encode_message(message), 8)
    other = replace(received, data=b"other data", encoding=None)
    signed = bytes_to_sign(other)
    assert b"other data" in signed
    encode_message(other)
    assert bytes_to_sign(other) == signed


@pytest.mark.rule("SIGN-02", "SIGN-09")
def test_signed_are_from_data_seqno_topic_and_unknown_fields_but_not_signature_and_key() -> None:
    message = Message("t", b"data", ED25519_PEER, b"12345678", b"sig", b"key", UNKNOWN)
    signed = field(1, ED25519_PEER) + field(2, b"data") + field(3, b"12345678") + field(4, b"t")
    assert bytes_to_sign(message) == signed + UNKNOWN
    assert encode_message(message) == signed + field(5, b"sig") + field(6, b"key") + UNKNOWN


@pytest.mark.rule("SIGN-03")
def test_the_author_is_written_as_the_bytes_of_the_peer_id() -> None:
    encoding = encode_message(Message("t", from_peer=ED25519_PEER))
    assert encoding.hex().startswith("0a26002408011220")


@pytest.mark.rule("SIGN-14")
def test_a_message_that_is_not_signed_has_no_author_seqno_signature_or_key() -> None:
    assert encode_message(Message("t", b"data")) == field(2, b"data") + field(4, b"t")


def test_absent_and_empty_fields_stay_what_they_were() -> None:
    empty = Message("", b"", b"", b"", b"", b"")
    assert encode_message(empty).hex() == "0a0012001a0022002a003200"
    assert decode_message(bytes.fromhex("2200"), 8) == Message("", encoding=b"\x22\x00")
    assert bytes_to_sign(empty).hex() == "0a0012001a002200"


@pytest.mark.rule("SIGN-09", "WIRE-18")
def test_unknown_fields_between_the_known_survive_and_are_signed_in_their_order() -> None:
    first, second = encode_varint_field(100, 1), field(7, b"x")
    received = first + field(4, b"t") + second + field(2, b"data")
    message = decode_message(received, 8)
    assert message == Message("t", b"data", unknown=first + second, encoding=received)
    assert bytes_to_sign(message) == field(2, b"data") + field(4, b"t") + first + second


@pytest.mark.rule("SIGN-09")
def test_all_wire_types_an_unknown_field_can_have_survive() -> None:
    unknown = bytes.fromhex("a006ffffffffffffffffff01a1061122334455667788a50611223344")
    received = field(4, b"t") + unknown
    assert decode_message(received, 8) == Message("t", unknown=unknown, encoding=received)


@pytest.mark.rule("WIRE-17")
def test_a_message_of_the_time_when_topic_was_repeated_reads_and_writes_the_same() -> None:
    received = field(1, b"me") + field(2, b"data") + field(3, b"1") + field(4, b"topic")
    message = decode_message(received, 8)
    assert message == Message("topic", b"data", b"me", b"1", encoding=received)
    message.encoding = None
    assert encode_message(message) == received


@pytest.mark.rule("WIRE-17")
def test_of_several_topics_the_last_counts_and_is_the_only_one_passed_on() -> None:
    received = field(4, b"old") + field(2, b"data") + field(4, b"new") + UNKNOWN
    expected = field(2, b"data") + field(4, b"new") + UNKNOWN
    assert decode_message(received, 8) == Message(
        "new", b"data", unknown=UNKNOWN, encoding=expected
    )


LEFT_OUT = [
    ("", "message without topic"),
    ("1200", "message without topic"),
    ("2201ff", "topic is not UTF-8"),
    ("2203eda080", "topic is not UTF-8"),  # a surrogate
    ("2201741001", "message field 2 has wire type 0"),
    ("2201740b0c", "message field 1 has wire type 3"),
    ("2201740200", "message field 0 has wire type 2"),
    ("2201743b3c", "wire type 3 is not supported"),
    ("2201743f", "wire type 7 is not supported"),
    ("22017492800000", "varint is not minimally encoded"),
    ("22810074", "varint is not minimally encoded"),
    ("22818000", "varint is not minimally encoded"),
    ("2201743affffffffffffffffff7f", "varint above 2^64-1"),
    ("22017480808080800100", "field number 4294967296 does not exist"),
]


@pytest.mark.rule("WIRE-03")
@pytest.mark.parametrize(("encoding", "message"), LEFT_OUT)
def test_a_message_that_some_implementation_would_refuse_is_refused(
    encoding: str, message: str
) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_message(bytes.fromhex(encoding), 8)
    assert str(caught.value) == message


@pytest.mark.rule("T29")
@pytest.mark.parametrize("extra", ["3a00", "2200", "3800", "1200"])
def test_fields_beyond_the_limit_are_not_read(extra: str) -> None:
    encoding = bytes.fromhex("2201741200" + extra * 8)
    assert decode_message(encoding, 8).topic in ("t", "")
    with pytest.raises(RemoteProtocolError) as caught:
        decode_message(encoding + bytes.fromhex(extra) + b"\xff", 8)
    assert str(caught.value) == "message has more than 8 unknown or repeated fields"


@pytest.mark.rule("T29")
@given(messages, st.data())
def test_a_message_cut_short_is_refused_or_is_a_shorter_message(
    message: Message, data: st.DataObject
) -> None:
    whole = encode_message(message)
    encoding = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        assert decode_message(encoding, 8).encoding == encoding
    except (IndexError, RemoteProtocolError):
        return


@given(messages, st.data())
def test_what_is_read_from_mangled_bytes_is_what_protobuf_reads(
    message: Message, data: st.DataObject
) -> None:
    mangled = bytearray(encode_message(message))
    for _ in range(data.draw(st.integers(1, 3))):
        mangled[data.draw(st.integers(0, len(mangled) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = decode_message(bytes(mangled), 8)
    except (IndexError, RemoteProtocolError):
        return
    oracle = parsed(bytes(mangled))
    assert decoded.topic == oracle.topic
    assert (decoded.data or b"", decoded.seqno or b"") == (oracle.data, oracle.seqno)
    assert (decoded.signature or b"", decoded.key or b"") == (oracle.signature, oracle.key)
    assert decoded.encoding is not None
    assert parsed(decoded.encoding).SerializeToString() == oracle.SerializeToString()
    assert bytes_to_sign(decoded) == bytes_to_sign(replace(decoded, encoding=None))
