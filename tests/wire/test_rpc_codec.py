from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.wire import rpc_codec
from gossipsub.wire.errors import RemoteProtocolError
from gossipsub.wire.protobuf import encode_bytes_field, encode_varint_field
from gossipsub.wire.rpc import (
    Control,
    Extensions,
    Graft,
    IDontWant,
    IHave,
    IWant,
    Message,
    PartialMessagesExtension,
    PeerInfo,
    Prune,
    Rpc,
    SubOpts,
)
from gossipsub.wire.rpc_codec import RpcLimits, decode_rpc, encode_message, encode_rpc
from gossipsub.wire.rpc_schema import RPC

LIMITS = RpcLimits()
field = encode_bytes_field


def decode(frame: bytes, **limits: int) -> Rpc:
    return decode_rpc(frame, RpcLimits(**limits))


def refusal(frame: bytes, **limits: int) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        decode(frame, **limits)
    assert caught.value.fatal_to == "stream"
    return str(caught.value)


# ---- one of everything

FULL = Rpc(
    subscriptions=(SubOpts("news"), SubOpts("old", False), SubOpts("big", True, True, True)),
    publish=(
        Message("news", b"hello", b"me", b"12345678", b"signature", b"key"),
        Message("news", unknown=encode_varint_field(100, 1)),
    ),
    control=Control(
        ihave=(IHave("news", (b"\xff1", b"2")), IHave("old")),
        iwant=(IWant((b"3",)), IWant()),
        graft=(Graft("news"),),
        prune=(
            Prune("old"),
            Prune("x", (PeerInfo(b"p", b"record"), PeerInfo(b""), PeerInfo()), 0),
            Prune("y", (), 2**64 - 1),
        ),
        idontwant=(IDontWant((b"4", b"5")),),
        extensions=Extensions(True, True),
    ),
    partial=PartialMessagesExtension("big", b"group", b"", b"\x01"),
    test_extension=True,
)
FULL_TEXT = r"""
subscriptions { subscribe: true topicid: "news" }
subscriptions { subscribe: false topicid: "old" }
subscriptions {
  subscribe: true topicid: "big" requestsPartial: true supportsSendingPartial: true
}
publish {
  from: "me" data: "hello" seqno: "12345678" topic: "news" signature: "signature" key: "key"
}
publish { topic: "news" }
control {
  ihave { topicID: "news" messageIDs: "\3771" messageIDs: "2" }
  ihave { topicID: "old" }
  iwant { messageIDs: "3" }
  iwant { }
  graft { topicID: "news" }
  prune { topicID: "old" }
  prune {
    topicID: "x" peers { peerID: "p" signedPeerRecord: "record" } peers { peerID: "" } peers { }
    backoff: 0
  }
  prune { topicID: "y" backoff: 18446744073709551615 }
  idontwant { messageIDs: "4" messageIDs: "5" }
  extensions { partialMessages: true testExtension: true }
}
partial { topicID: "big" groupID: "group" partialMessage: "" partsMetadata: "\001" }
testExtension { }
"""


def without_encodings(rpc: Rpc) -> Rpc:
    publish = tuple(dataclasses.replace(message, encoding=None) for message in rpc.publish)
    return dataclasses.replace(rpc, publish=publish, encoding=None)


@pytest.mark.rule("WIRE-01")
def test_one_of_everything_is_written_byte_for_byte_as_protoc_writes_it() -> None:
    folder = Path(rpc_codec.__file__).parent
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={folder}"]
    written = subprocess.run(
        [*command, "--encode=pubsub.pb.RPC", "rpc.proto"],
        input=FULL_TEXT.encode(),
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    rpc = without_encodings(FULL)
    rpc.publish = (rpc.publish[0], Message("news"))  # protoc cannot write an unknown field
    assert encode_rpc(rpc) == written


@pytest.mark.rule("WIRE-01")
def test_one_of_everything_reads_back() -> None:
    decoded = decode_rpc(encode_rpc(without_encodings(FULL)), LIMITS)
    assert without_encodings(decoded) == without_encodings(FULL)
    assert [m.encoding for m in decoded.publish] == [encode_message(m) for m in FULL.publish]


@pytest.mark.rule("WIRE-02")
@pytest.mark.parametrize(
    ("frame", "rpc"),
    [
        ("1a020a00", Rpc(control=Control(ihave=(IHave(""),)))),
        ("1a021a00", Rpc(control=Control(graft=(Graft(""),)))),
        ("1a022200", Rpc(control=Control(prune=(Prune(""),)))),
        (
            "12082206666f6f626172",
            Rpc(publish=(Message("foobar", encoding=bytes.fromhex("2206666f6f626172")),)),
        ),
    ],
)
def test_the_small_vectors_read_as_stated_and_write_the_same_bytes(frame: str, rpc: Rpc) -> None:
    decoded = decode_rpc(bytes.fromhex(frame), LIMITS)
    assert decoded == rpc
    assert encode_rpc(decoded).hex() == frame


# ---- any RPC

topics = st.text(max_size=12)
maybe_bytes = st.none() | st.binary(max_size=40)
ids = st.lists(st.binary(max_size=40), max_size=12).map(tuple)


def several(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(strategy, max_size=4).map(tuple)


messages = st.builds(
    Message,
    topic=topics,
    data=maybe_bytes,
    from_peer=maybe_bytes,
    seqno=maybe_bytes,
    signature=maybe_bytes,
    key=maybe_bytes,
)
prunes = st.builds(
    Prune,
    topic=topics,
    peers=several(st.builds(PeerInfo, maybe_bytes, maybe_bytes)),
    backoff=st.none() | st.integers(0, 2**64 - 1),
)
controls = st.builds(
    Control,
    ihave=several(st.builds(IHave, topics, ids)),
    iwant=several(st.builds(IWant, ids)),
    graft=several(st.builds(Graft, topics)),
    prune=several(prunes),
    idontwant=several(st.builds(IDontWant, ids)),
    extensions=st.none() | st.builds(Extensions, st.booleans(), st.booleans()),
)
partials = st.builds(
    PartialMessagesExtension, st.none() | topics, maybe_bytes, maybe_bytes, maybe_bytes
)
rpcs = st.builds(
    Rpc,
    subscriptions=several(st.builds(SubOpts, topics, st.booleans(), st.booleans(), st.booleans())),
    publish=several(messages),
    control=st.none() | controls,
    partial=st.none() | partials,
    test_extension=st.booleans(),
)


@given(rpcs)
def test_any_rpc_reads_back_and_is_what_protobuf_writes(rpc: Rpc) -> None:
    encoding = encode_rpc(rpc)
    assert rpc.encoding is encoding
    decoded = decode_rpc(encoding, LIMITS)
    assert decoded == dataclasses.replace(rpc, encoding=None)
    assert encode_rpc(decoded) == encoding
    assert RPC.FromString(encoding).SerializeToString() == encoding


def read(frame: bytes) -> Rpc | str:
    try:
        return decode_rpc(frame, LIMITS)
    except RemoteProtocolError as error:
        return str(error)


@pytest.mark.parametrize(
    "rpc",
    [
        Rpc(publish=(Message("news", bytes(60), b"me", b"12345678"),)),
        Rpc(control=Control(idontwant=(IDontWant((bytes(20),)),))),
        Rpc(control=Control(idontwant=(IDontWant((b"", b"id", bytes(90))),))),
        Rpc(control=Control(idontwant=(IDontWant((b"id", bytes(127), bytes(126))),))),
    ],
    ids=["message", "idontwant", "several ids", "long lengths"],
)
def test_what_holds_one_thing_reads_as_it_does_beside_something_unknown(rpc: Rpc) -> None:
    unknown = encode_varint_field(100, 1)
    frame = bytearray(encode_rpc(rpc))
    for position in range(15):
        for value in range(256):
            damaged = bytes((*frame[:position], value, *frame[position + 1 :]))
            alone = read(damaged)
            if alone != "RPC refused: it ends inside a field":  # it would take the unknown one
                assert alone == read(damaged + unknown), damaged


@given(rpcs, rpcs)
def test_encodings_one_after_the_other_are_one_rpc_with_everything(a: Rpc, b: Rpc) -> None:
    merged = decode_rpc(encode_rpc(a) + encode_rpc(b), LIMITS)
    assert merged.publish == (*a.publish, *b.publish)
    assert merged.subscriptions == (*a.subscriptions, *b.subscriptions)
    if a.control is not None and b.control is not None:
        assert merged.control is not None
        assert merged.control.ihave == (*a.control.ihave, *b.control.ihave)
        assert merged.control.prune == (*a.control.prune, *b.control.prune)


@given(st.lists(st.lists(st.binary(max_size=200), max_size=3).map(tuple), min_size=1, max_size=3))
def test_idontwant_alone_is_written_as_protobuf_writes_it(entries: list[tuple[bytes, ...]]) -> None:
    written = RPC()
    for message_ids in entries:
        written.control.idontwant.add(messageIDs=message_ids)
    rpc = Rpc(control=Control(idontwant=tuple(map(IDontWant, entries))))
    assert encode_rpc(rpc) == written.SerializeToString()


def test_an_rpc_is_encoded_once() -> None:
    rpc = Rpc(publish=(Message("t", b"data", encoding=b"as received"),))
    assert encode_rpc(rpc) == field(2, b"as received")
    assert encode_rpc(rpc) is encode_rpc(rpc)


@pytest.mark.rule("WIRE-05")
def test_an_rpc_of_no_bytes_is_empty() -> None:
    assert decode_rpc(b"", LIMITS) == Rpc()
    assert encode_rpc(Rpc()) == b""


def test_messages_between_other_fields_are_found_and_their_bytes_kept() -> None:
    first, second = field(4, b"a") + field(2, b"1"), field(2, b"2") + field(4, b"b")
    frame = b"".join(
        (
            field(3, field(3, field(1, b"g1"))),
            field(2, first),
            field(1, encode_varint_field(1, 1) + field(2, b"s")),
            field(3, field(3, field(1, b"g2"))),
            field(2, second),
            field(2, b""),
            encode_varint_field(50, 1),
        )
    )
    assert decode_rpc(frame, LIMITS) == Rpc(
        subscriptions=(SubOpts("s"),),
        publish=(Message("a", b"1", encoding=first), Message("b", b"2", encoding=second)),
        control=Control(graft=(Graft("g1"), Graft("g2"))),
    )


# ---- what is left out, what does no harm


@pytest.mark.rule("WIRE-03")
def test_a_message_without_topic_is_left_out_and_the_others_stay() -> None:
    frame = bytes.fromhex("1200") + field(2, field(4, b"t"))
    assert decode_rpc(frame, LIMITS) == Rpc(publish=(Message("t", encoding=b"\x22\x01t"),))
    assert decode_rpc(bytes.fromhex("1200"), LIMITS) == Rpc()


def test_entries_whose_topic_is_not_utf8_are_left_out_and_the_others_stay() -> None:
    bad, good = b"\xff\xfe", b"good"
    frame = b"".join(
        field(2, field(4, topic))
        + field(1, encode_varint_field(1, 1) + field(2, topic))
        + field(3, field(1, field(1, topic) + field(2, b"id")))
        + field(3, field(3, field(1, topic)) + field(4, field(1, topic)))
        for topic in (bad, good)
    )
    assert without_encodings(decode_rpc(frame, LIMITS)) == Rpc(
        subscriptions=(SubOpts("good"),),
        publish=(Message("good"),),
        control=Control(
            ihave=(IHave("good", (b"id",)),), graft=(Graft("good"),), prune=(Prune("good"),)
        ),
    )
    assert decode_rpc(field(10, field(1, bad) + field(2, b"g")), LIMITS) == Rpc()


def test_an_announcement_without_topic_is_left_out() -> None:
    announced = encode_varint_field(1, 1)
    frame = field(1, announced) + field(1, announced + field(2, b""))
    assert decode_rpc(frame, LIMITS) == Rpc(subscriptions=(SubOpts(""),))


@pytest.mark.rule("SUB-05")
def test_an_announcement_that_does_not_say_subscribe_withdraws() -> None:
    assert decode_rpc(field(1, field(2, b"t")), LIMITS) == Rpc(subscriptions=(SubOpts("t", False),))


@pytest.mark.rule("WIRE-18")
def test_unknown_fields_at_every_level_do_no_harm() -> None:
    extra = field(99, b"?") + encode_varint_field(98, 7) + b"\xb5\x06abcd" + b"\xb1\x06abcdefgh"
    topic = field(1, b"t")
    entries = (
        field(1, topic + field(2, b"id") + extra),
        field(2, field(1, b"id") + extra),
        field(3, topic + extra),
        field(4, topic + field(2, field(1, b"p") + extra) + extra),
        field(5, field(1, b"id") + extra),
        field(6, extra),
        extra,
    )
    subscription = encode_varint_field(1, 1) + field(2, b"t") + extra
    frame = b"".join(
        (
            extra,
            field(1, subscription),
            field(2, field(4, b"t") + extra),
            field(3, b"".join(entries)),
            field(10, topic + extra),
            field(6492434, extra),
        )
    )
    assert decode_rpc(frame, LIMITS) == Rpc(
        subscriptions=(SubOpts("t"),),
        publish=(Message("t", unknown=extra, encoding=field(4, b"t") + extra),),
        control=Control(
            (IHave("t", (b"id",)),),
            (IWant((b"id",)),),
            (Graft("t"),),
            (Prune("t", (PeerInfo(b"p"),)),),
            (IDontWant((b"id",)),),
            Extensions(),
        ),
        partial=PartialMessagesExtension("t"),
        test_extension=True,
    )


# ---- what is refused


@pytest.mark.rule("WIRE-07", "T29")
@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("ffff", "it ends inside a field"),
        ("12", "it ends inside a field"),
        ("120541", "it ends inside a field"),
        ("1281", "it ends inside a field"),
        ("12022205", "it ends inside a field"),
        ("12012a", "it ends inside a field"),
        ("12ffffffffffffffffff01", "it ends inside a field"),
        ("7d000000", "it ends inside a field"),
        ("790000", "it ends inside a field"),
        ("78", "it ends inside a field"),
        ("0a0512", "it ends inside a field"),
        ("0a021205", "protobuf cannot read it"),
        ("1a021205", "protobuf cannot read it"),
        ("5201ff", "protobuf cannot read it"),
        ("0200", "protobuf cannot read it"),
        ("8000", "varint is not minimally encoded"),
        ("faffffff1f00", "field number 1073741823 does not exist"),
        ("7b7c", "wire type 3 is not supported"),
        ("1e", "wire type 6 is not supported"),
        ("80" * 11, "varint longer than 10 bytes"),
        ("12" + "80" * 11, "varint longer than 10 bytes"),
        ("128100ff", "varint is not minimally encoded"),
        ("128000", "varint is not minimally encoded"),
    ],
)
def test_bytes_that_are_no_rpc_are_refused_and_fatal_to_the_stream(frame: str, reason: str) -> None:
    assert refusal(bytes.fromhex(frame)) == f"RPC refused: {reason}"


@given(st.binary(max_size=80))
def test_any_bytes_give_an_rpc_or_a_refusal(frame: bytes) -> None:
    check_never_anything_else(frame)


@given(rpcs, st.data())
def test_a_mangled_rpc_gives_an_rpc_or_a_refusal(rpc: Rpc, data: st.DataObject) -> None:
    mangled = bytearray(encode_rpc(rpc) or b"\x00")
    for _ in range(data.draw(st.integers(1, 3))):
        mangled[data.draw(st.integers(0, len(mangled) - 1))] = data.draw(st.integers(0, 255))
    check_never_anything_else(bytes(mangled[: data.draw(st.integers(0, len(mangled)))]))


def check_never_anything_else(frame: bytes) -> None:
    try:
        rpc = decode_rpc(frame, LIMITS)
    except RemoteProtocolError:
        refusal(frame)
        return
    # What we pass on must be readable, else our peers would end our streams.
    again = decode_rpc(encode_rpc(rpc), LIMITS)
    assert again == dataclasses.replace(rpc, encoding=None)
    RPC.FromString(encode_rpc(rpc))


# ---- limits

ENTRY = field(1, b"")  # an empty IHAVE


@pytest.mark.rule("WIRE-20", "T29")
@pytest.mark.parametrize(
    ("name", "limit", "build"),
    [
        ("subscriptions", 5000, lambda n: field(1, field(2, b"t")) * n),
        ("messages", 5000, lambda n: field(2, field(4, b"t")) * n),
        ("control_entries", 5000, lambda n: field(3, field(3, field(1, b"t")) * n)),
        ("control_entries", 5000, lambda n: field(3, ENTRY * 2500) + field(3, ENTRY * (n - 2500))),
        ("control_entries", 5000, lambda n: field(3, b"") * n),
        ("control_entries", 5000, lambda n: field(15, b"") * n),
        ("control_items", 30_000, lambda n: field(3, field(2, field(1, b"i") * (n // 10)) * 10)),
        ("peer_infos", 16, lambda n: field(3, field(4, field(2, b"") * n))),
    ],
)  # fmt: skip
def test_above_each_count_the_rpc_is_refused(
    name: str, limit: int, build: Callable[[int], bytes]
) -> None:
    decode_rpc(build(limit), LIMITS)
    step = 10 if name == "control_items" else 1
    assert refusal(build(limit + step)) == f"RPC refused: more than {limit} {name}"


@pytest.mark.rule("WIRE-20", "T29")
@pytest.mark.parametrize(
    ("limit", "build"),
    [
        (5000, lambda n: field(3, field(1, field(2, b"id") * n))),
        (5000, lambda n: field(3, field(2, field(1, b"id") * n))),
        (512, lambda n: field(3, field(5, field(1, b"id") * n))),
    ],
    ids=["ihave", "iwant", "idontwant"],
)
def test_above_so_many_ids_in_one_entry_the_rpc_is_refused(
    limit: int, build: Callable[[int], bytes]
) -> None:
    decode_rpc(build(limit), LIMITS)
    reason = f"RPC refused: more than {limit} message ids in one entry"
    assert refusal(build(limit + 1)) == reason


@pytest.mark.rule("T29")
def test_the_ids_of_an_idontwant_alone_count_as_items_too() -> None:
    frame = field(3, field(5, field(1, bytes(100)) * 200))
    decode(frame, control_entries=1, control_items=200)
    reason = "RPC refused: more than 199 control_items"
    assert refusal(frame, control_entries=1, control_items=199) == reason


@pytest.mark.rule("WIRE-20")
def test_three_topics_of_ids_as_go_sends_them_are_not_too_many() -> None:
    ihave = tuple(IHave(topic, (b"0123456789abcdef0123",) * 5000) for topic in "abc")
    decoded = decode_rpc(encode_rpc(Rpc(control=Control(ihave=ihave))), LIMITS)
    assert decoded.control == Control(ihave=ihave)


@pytest.mark.rule("WIRE-22")
@pytest.mark.parametrize(
    "frame",
    [
        field(1, field(2, b"x" * 600)) * 1000,
        field(3, field(3, field(1, b"x" * 600 * 1024))),
        field(15, bytes(600 * 1024)),
        field(2, field(4, b"t") + field(5, bytes(600 * 1024))),
        field(2, field(4, b"x" * 300) + field(2, bytes(100))) * 2000,
    ],
    ids=["subscriptions", "control", "unknown", "signature", "messages"],
)
def test_more_than_512_kib_beside_the_data_are_refused(frame: bytes) -> None:
    assert refusal(frame) == "RPC refused: more than 524288 control_bytes"


@pytest.mark.rule("WIRE-22")
def test_the_data_of_messages_and_the_partial_message_do_not_count_as_control() -> None:
    # As go counts, every byte but: data with its length; the whole partial field.
    data = bytes(200 * 1024)
    message = field(4, b"t") + field(2, data)
    frame = field(2, message) * 3 + field(10, field(3, data) + field(4, data))
    beside = 3 * (len(field(2, message)) - len(data) - 3)
    rpc = decode(frame, control_bytes=beside)
    assert [m.data for m in rpc.publish] == [data] * 3
    refused = f"RPC refused: more than {beside - 1} control_bytes"
    assert refusal(frame, control_bytes=beside - 1) == refused


def test_the_bytes_of_a_message_left_out_do_not_count_as_control() -> None:
    frame = field(2, field(2, bytes(600 * 1024)))
    assert decode_rpc(frame, LIMITS) == Rpc()


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(RpcLimits)])
def test_limits_below_one_are_refused(name: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        RpcLimits(**{name: 0})
    assert str(caught.value) == f"{name} must be at least 1, not 0"


# ---- work: counted in lines executed, since a count does not depend on the machine

MIB = 1024 * 1024


def filled(unit: bytes, size: int) -> bytes:
    return unit * (size // len(unit))


HALF = MIB // 2 - 32  # within control_bytes
HOSTILE = {
    "empty messages": filled(b"\x12\x00", MIB),
    "messages without data": filled(field(2, field(4, b"t")), MIB),
    "messages of unknown fields": filled(field(2, field(4, b"t") + b"\x3a\x00" * 8), MIB),
    "messages of too many fields": filled(field(2, field(4, b"t") + b"\x3a\x00" * 9), MIB),
    "a message of half a million fields": field(2, filled(b"\x3a\x00", MIB)),
    "a message of half a million topics": field(2, filled(b"\x22\x00", MIB)),
    "empty subscriptions": filled(b"\x0a\x00", MIB),
    "empty controls": filled(b"\x1a\x00", MIB),
    "unknown fields": filled(b"\x7a\x00", MIB),
    "unknown integers": filled(b"\x78\x00", MIB),
    "groups": filled(b"\x7b", MIB),
    "endless varint": filled(b"\xff", MIB),
    "entries": field(3, filled(ENTRY, HALF)),
    "unknown entries": field(3, filled(b"\x7a\x00", HALF)),
    "ids": field(3, field(1, filled(b"\x12\x00", HALF))),
    "ids in many entries": field(3, filled(field(2, b"\x0a\x01x" * 2500), HALF)),
    "peers": field(3, field(4, filled(b"\x12\x00", HALF))),
    "peers in many entries": field(3, filled(field(4, b"\x12\x00" * 16), HALF)),
    "unknown fields in an entry": field(3, field(1, filled(b"\x7a\x00", HALF))),
}


LEGAL = field(2, b"".join(field(number, b"t") for number in range(1, 7))) * LIMITS.messages


@pytest.mark.rule("WIRE-20", "T29")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_mebibyte_is_not_thrice_the_work_of_a_legal_one(name: str) -> None:
    assert lines_executed(HOSTILE[name]) < 3 * lines_executed(LEGAL)


def lines_executed(frame: bytes) -> int:
    count = 0

    def trace(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        decode_rpc(frame, LIMITS)
    except RemoteProtocolError:
        pass
    finally:
        sys.settrace(before)
    return count
