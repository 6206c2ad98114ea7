"""Identify: what we answer, what we accept, and what a push changes."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.wire.errors import FrameTooLarge, LocalProtocolError, RemoteProtocolError
from gossipsub.wire.framing import encode_frame
from gossipsub.wire.identify import Identify, IdentifyReader, apply_push, encode_identify

ADDRESS = bytes.fromhex("047f00000106 0fa1")
OTHER_ADDRESS = bytes.fromhex("040a00000106 0fa2")
FULL = Identify(
    public_key=b"\x08\x01\x12\x20" + bytes(32),
    listen_addresses=[ADDRESS, OTHER_ADDRESS],
    protocols=["/ipfs/id/1.0.0", "/meshsub/1.1.0"],
    observed_address=OTHER_ADDRESS,
    protocol_version="ipfs/0.1.0",
    agent_version="gossipsub/0.1.0",
    signed_peer_record=b"envelope",
)
NOTHING_BUT_LISTS = Identify(listen_addresses=[], protocols=[])


def read(*pieces: bytes) -> Identify:
    reader = IdentifyReader()
    for piece in pieces:
        reader.receive_data(piece)
    reader.receive_eof()
    return reader.result()


def byte_by_byte(data: bytes) -> Iterable[bytes]:
    return (data[i : i + 1] for i in range(len(data)))


def field(number: int, value: bytes) -> bytes:
    """A length-delimited field shorter than 128 bytes, by hand."""
    return bytes([number << 3 | 2, len(value)]) + value


def refusal(stream: bytes) -> str:
    """The error for this stream, the same whole and byte by byte."""
    messages = []
    for pieces in ([stream], byte_by_byte(stream)):
        with pytest.raises(RemoteProtocolError) as raised:
            read(*pieces)
        assert raised.value.fatal_to == "stream"
        messages.append(str(raised.value))
    assert messages[0] == messages[1]
    return messages[0]


def identify_schema() -> type[Message]:
    """The message of the specification, compiled by protobuf itself."""
    file = descriptor_pb2.FileDescriptorProto(name="identify_test.proto", syntax="proto2")
    message = file.message_type.add(name="Identify")
    kinds = descriptor_pb2.FieldDescriptorProto
    for number, name, kind, repeated in (
        (1, "publicKey", kinds.TYPE_BYTES, False),
        (2, "listenAddrs", kinds.TYPE_BYTES, True),
        (3, "protocols", kinds.TYPE_STRING, True),
        (4, "observedAddr", kinds.TYPE_BYTES, False),
        (5, "protocolVersion", kinds.TYPE_STRING, False),
        (6, "agentVersion", kinds.TYPE_STRING, False),
        (8, "signedPeerRecord", kinds.TYPE_BYTES, False),
    ):
        label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
        message.field.add(name=name, number=number, type=kind, label=label)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Identify"))


# --- writing -----------------------------------------------------------------------------------


@pytest.mark.rule("IDY-01")
def test_an_answer_is_one_length_delimited_message_with_the_fields_of_the_specification() -> None:
    parsed = identify_schema()(
        publicKey=FULL.public_key,
        listenAddrs=FULL.listen_addresses,
        protocols=FULL.protocols,
        observedAddr=FULL.observed_address,
        protocolVersion=FULL.protocol_version,
        agentVersion=FULL.agent_version,
        signedPeerRecord=FULL.signed_peer_record,
    )
    expected = parsed.SerializeToString(deterministic=True)
    assert encode_identify(FULL) == bytes([len(expected) & 0x7F | 0x80, len(expected) >> 7]) + (
        expected
    )


@pytest.mark.rule("IDY-12")
def test_versions_are_what_the_caller_sets() -> None:
    message = encode_identify(Identify(protocol_version="mine/1", agent_version=""))
    assert message == b"\x0a" + field(5, b"mine/1") + field(6, b"")
    assert read(message) == Identify(
        listen_addresses=[], protocols=[], protocol_version="mine/1", agent_version=""
    )


def test_what_is_not_said_takes_no_bytes() -> None:
    assert encode_identify(Identify()) == b"\x00"


@pytest.mark.rule("IDY-04")
def test_our_answer_stays_within_4_kib_and_drops_nothing_to_get_there() -> None:
    longest = Identify(signed_peer_record=bytes(4091))
    assert len(encode_identify(longest)) == 4096
    with pytest.raises(LocalProtocolError) as raised:
        encode_identify(Identify(signed_peer_record=bytes(4092)))
    assert str(raised.value) == "identify: 4097 bytes, some peers read at most 4096"


@pytest.mark.parametrize(
    ("identify", "reason"),
    [
        (Identify(protocols=[""] * 1001), "identify: at most 1000 protocols and 200 addresses"),
        (
            Identify(listen_addresses=[b""] * 201),
            "identify: at most 1000 protocols and 200 addresses",
        ),
        (Identify(protocols=["é" * 129]), "identify: a protocol name has at most 256 bytes"),
    ],
)
def test_an_answer_our_own_reader_would_refuse_is_not_written(
    identify: Identify, reason: str
) -> None:
    with pytest.raises(LocalProtocolError) as raised:
        encode_identify(identify)
    assert str(raised.value) == reason


# --- reading -----------------------------------------------------------------------------------


@pytest.mark.rule("IDY-01")
def test_an_answer_is_read_as_it_was_written() -> None:
    message = encode_identify(FULL)
    assert read(message) == read(*byte_by_byte(message)) == FULL


@pytest.mark.rule("IDY-03")
def test_several_messages_are_merged_until_the_end_of_the_stream() -> None:
    # As go does it: the signed record alone in a second message.
    first = encode_identify(
        Identify(public_key=b"key", listen_addresses=[ADDRESS], protocols=["/a"])
    )
    second = encode_identify(
        Identify(signed_peer_record=b"record", listen_addresses=[OTHER_ADDRESS], protocols=["/b"])
    )
    expected = Identify(
        public_key=b"key",
        listen_addresses=[ADDRESS, OTHER_ADDRESS],
        protocols=["/a", "/b"],
        signed_peer_record=b"record",
    )
    assert read(first + second) == read(*byte_by_byte(first + second)) == expected


@pytest.mark.rule("IDY-03")
def test_the_last_of_a_single_field_counts() -> None:
    message = encode_frame(field(6, b"old") + field(1, b"key") + field(6, b"new"))
    assert read(message, encode_frame(field(1, b""))) == Identify(
        public_key=b"", agent_version="new", listen_addresses=[], protocols=[]
    )


@pytest.mark.rule("IDY-03", "IDY-04")
def test_ten_messages_of_8_kib_are_accepted_and_the_eleventh_is_refused() -> None:
    part = encode_frame(b"\x42\xfd\x3f" + bytes(8189))  # field 8, 8189 bytes: 8192 in all
    assert read(part * 10).signed_peer_record == bytes(8189)
    assert refusal(part * 10 + b"\x00") == "identify: more than 10 messages"


@pytest.mark.rule("IDY-04", "T29")
def test_a_message_above_8_kib_is_refused_by_its_length_alone() -> None:
    for prefix in (b"\x81\x40", b"\x80\x80\x40"):  # 8193 bytes, 1 MiB
        reader = IdentifyReader()
        with pytest.raises(FrameTooLarge) as raised:
            reader.receive_data(prefix)
        assert raised.value.fatal_to == "stream"


@pytest.mark.rule("IDY-06")
def test_an_answer_without_public_key_is_accepted() -> None:
    assert read(encode_frame(field(3, b"/a"))) == Identify(listen_addresses=[], protocols=["/a"])


def test_addresses_are_kept_as_they_came_malformed_ones_too() -> None:
    message = encode_frame(field(2, b"\xff\xff") + field(2, b"") + field(2, ADDRESS))
    assert read(message).listen_addresses == [b"\xff\xff", b"", ADDRESS]


def test_unknown_fields_and_known_numbers_of_another_type_are_skipped() -> None:
    unknown = b"\x08\x01" + b"\x38\x05" + b"\x25abcd" + b"\x51" + bytes(8) + field(7, b"x")
    assert read(encode_frame(unknown + field(6, b"agent"))) == Identify(
        listen_addresses=[], protocols=[], agent_version="agent"
    )


def test_an_empty_message_says_nothing() -> None:
    assert read(b"\x00") == NOTHING_BUT_LISTS


def test_a_result_is_there_after_the_first_whole_message() -> None:
    reader = IdentifyReader()
    with pytest.raises(LocalProtocolError, match=r"^identify: no message was received yet$"):
        reader.result()
    reader.receive_data(encode_frame(field(6, b"agent"))[:-1])
    with pytest.raises(LocalProtocolError, match=r"^identify: no message was received yet$"):
        reader.result()
    reader.receive_data(b"t")
    early = reader.result()
    reader.receive_data(encode_frame(field(3, b"/a")))
    assert early == Identify(listen_addresses=[], protocols=[], agent_version="agent")
    assert reader.result().protocols == ["/a"]


@pytest.mark.rule("IDY-04")
@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        pytest.param(b"", "identify: closed without a message", id="nothing"),
        pytest.param(b"\x05\x0a", "stream ended inside a frame", id="cut short"),
        pytest.param(b"\x00\x80", "stream ended inside a frame", id="cut in a length"),
        pytest.param(b"\x02\x0a\x05", "protobuf field is longer than its message", id="field"),
        pytest.param(b"\x80\x00", "frame length: varint is not minimally encoded", id="length"),
        pytest.param(b"\x01\x0b", "protobuf wire type 3 is not supported", id="group"),
        pytest.param(encode_frame(field(3, b"\xff")), "identify: text that is not UTF-8", id="3"),
        pytest.param(encode_frame(field(5, b"\xff")), "identify: text that is not UTF-8", id="5"),
        pytest.param(encode_frame(field(6, b"\xff")), "identify: text that is not UTF-8", id="6"),
        pytest.param(
            encode_frame(b"\x1a\x81\x02" + b"x" * 257),
            "identify: protocol name above 256 bytes",
            id="long name",
        ),
        pytest.param(
            encode_frame(field(3, b"/a") * 600) * 2,
            "identify: more than 1000 protocols",
            id="protocols",
        ),
        pytest.param(
            encode_frame(field(2, ADDRESS) * 201),
            "identify: more than 200 addresses",
            id="addresses",
        ),
    ],
)
def test_a_bad_answer_is_refused(stream: bytes, reason: str) -> None:
    assert refusal(stream) == reason


def test_a_thousand_protocols_and_two_hundred_addresses_are_accepted() -> None:
    lists = encode_frame(field(3, b"/a") * 500 + field(2, ADDRESS) * 100)
    identify = read(lists * 2)
    assert (len(identify.protocols), len(identify.listen_addresses)) == (1000, 200)
    longest = b"x" * 256
    assert read(encode_frame(b"\x1a\x80\x02" + longest)).protocols == [longest.decode()]


def test_a_refused_answer_gives_no_result_and_takes_nothing_more() -> None:
    reader = IdentifyReader()
    reader.receive_data(encode_frame(field(6, b"agent")))
    reason = "identify: text that is not UTF-8"
    with pytest.raises(RemoteProtocolError, match=rf"^{reason}$"):
        reader.receive_data(encode_frame(field(3, b"\xff")))
    with pytest.raises(RemoteProtocolError, match=rf"^{reason}$"):
        reader.receive_data(encode_frame(field(3, b"/a")))
    with pytest.raises(RemoteProtocolError, match=rf"^{reason}$"):
        reader.receive_eof()
    with pytest.raises(RemoteProtocolError, match=rf"^{reason}$"):
        reader.result()


# --- push --------------------------------------------------------------------------------------


@pytest.mark.rule("IDY-08")
def test_a_push_with_protocols_only_leaves_the_rest() -> None:
    push = read(encode_frame(field(3, b"/meshsub/1.2.0")))
    known = read(encode_identify(FULL))
    expected = Identify(
        public_key=FULL.public_key,
        listen_addresses=FULL.listen_addresses,
        protocols=["/meshsub/1.2.0"],
        observed_address=FULL.observed_address,
        protocol_version=FULL.protocol_version,
        agent_version=FULL.agent_version,
        signed_peer_record=FULL.signed_peer_record,
    )
    assert apply_push(known, push) == expected
    assert known == FULL


@pytest.mark.rule("IDY-08")
def test_a_full_push_replaces_everything_and_an_empty_one_nothing() -> None:
    other = Identify(
        public_key=b"k",
        listen_addresses=[b"a"],
        protocols=["/p"],
        observed_address=b"",
        protocol_version="",
        agent_version="v",
        signed_peer_record=b"r",
    )
    assert apply_push(FULL, other) == other
    assert apply_push(FULL, Identify()) == apply_push(FULL, read(b"\x00")) == FULL


# --- whatever comes ----------------------------------------------------------------------------

some_bytes = st.none() | st.binary(max_size=60)
some_text = st.none() | st.text(max_size=20)
some_identify = st.builds(
    Identify,
    public_key=some_bytes,
    listen_addresses=st.lists(st.binary(max_size=20), max_size=5),
    protocols=st.lists(st.text(max_size=20), max_size=5),
    observed_address=some_bytes,
    protocol_version=some_text,
    agent_version=some_text,
    signed_peer_record=some_bytes,
)


@given(some_identify, st.integers(1, 100))
def test_every_identify_comes_back_however_it_is_cut(identify: Identify, step: int) -> None:
    message = encode_identify(identify)
    assert read(*(message[i : i + step] for i in range(0, len(message), step))) == identify


@given(some_identify, some_identify)
def test_a_message_in_two_parts_says_what_the_joined_message_says(
    first: Identify, second: Identify
) -> None:
    schema = identify_schema()
    bodies = [encode_identify(part) for part in (first, second)]
    merged = schema()
    for body in bodies:
        merged.MergeFromString(body[1:] if body[0] < 128 else body[2:])
    assert read(*bodies) == read(encode_frame(merged.SerializeToString(deterministic=True)))


fields = st.builds(field, st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8]), st.binary(max_size=12))
noise = st.one_of(st.binary(max_size=40), fields)
streams = st.lists(st.one_of(noise.map(encode_frame), noise), max_size=13).map(b"".join)


@given(streams, st.integers(1, 50))
def test_any_stream_is_read_or_refused_the_same_however_it_is_cut(stream: bytes, step: int) -> None:
    def attempt(size: int) -> Identify | str:
        try:
            return read(*(stream[i : i + size] for i in range(0, len(stream), size)))
        except RemoteProtocolError as error:
            return f"{error.fatal_to}: {error}"

    reports = [attempt(size) for size in (len(stream) or 1, step, 1)]
    assert reports[0] == reports[1] == reports[2]
