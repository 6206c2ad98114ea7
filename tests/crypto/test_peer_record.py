"""Peer records. Vectors: js-libp2p peer-record.spec, an envelope that go-libp2p signed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.conformance.vectors import read_vectors
from gossipsub.crypto.envelope import SignedEnvelope
from gossipsub.crypto.fields import bytes_field, varint_field
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.peer_id import PeerId
from gossipsub.crypto.peer_record import DOMAIN, PAYLOAD_TYPE, PeerRecord, next_seq
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError

GO_PUBLIC_KEY = "0801122011bba3ed1721948cefb4e50b0a0bb5cad8a6b52dc7b1a40f4f6652105c91e2c4"
GO_SIGNED = read_vectors("peer_records", kind="peer record")[0]
GO_ENVELOPE = bytes.fromhex(GO_SIGNED["envelope"])
GO_PEER = PeerId.parse(GO_SIGNED["peer_id"])
ADDRESSES = [bytes.fromhex(f"04010203040600{port:02x}") for port in range(10)]

KEY = PrivateKey.from_node_number(1)
ME = KEY.peer_id()
OTHER = PrivateKey.from_node_number(2)


def sealed(payload: bytes, key: PrivateKey = KEY) -> bytes:
    return SignedEnvelope.seal(
        key, domain=DOMAIN, payload_type=PAYLOAD_TYPE, payload=payload
    ).encode()


@pytest.mark.rule("ENV-06")
def test_the_vector_is_read_and_written() -> None:
    payload = bytes.fromhex(
        f"0a260024{GO_PUBLIC_KEY}109bf59d8dd99d8ddb161a0a0a0804010203040600001a0a0a080401020304060001"
    )
    record = PeerRecord(GO_PEER, 1636553709551319707, tuple(ADDRESSES[:2]))
    assert PeerRecord.decode(payload) == record
    assert record.encode() == payload


@pytest.mark.rule("ENV-05", "ENV-07", "T26")
def test_a_record_that_go_signed_is_opened_and_sealed_to_the_same_bytes() -> None:
    record = PeerRecord.open(GO_ENVELOPE, peer=bytes(GO_PEER))
    assert record == PeerRecord(GO_PEER, 1598453001624231000, tuple(ADDRESSES))
    assert record.seal(PrivateKey.decode(bytes.fromhex(GO_SIGNED["private_key"]))) == GO_ENVELOPE


@pytest.mark.rule("ENV-05")
def test_a_record_of_the_rfc_text_is_not_one_of_ours() -> None:
    payload = PeerRecord(ME, 1).encode()
    for domain, payload_type in [
        ("libp2p-routing-state", b"/libp2p/routing-state-record"),
        (DOMAIN, b"/libp2p/routing-state-record"),
        ("libp2p-routing-state", PAYLOAD_TYPE),
    ]:
        envelope = SignedEnvelope.seal(
            KEY, domain=domain, payload_type=payload_type, payload=payload
        )
        with pytest.raises(RemoteProtocolError):
            PeerRecord.open(envelope.encode())


@pytest.mark.rule("ENV-07", "PX-08", "T26")
def test_a_record_signed_by_another_peer_is_refused() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        PeerRecord.open(sealed(PeerRecord(ME, 1).encode(), OTHER))
    assert str(caught.value) == "peer record was signed by another peer"


@pytest.mark.rule("PX-08", "IDY-09")
def test_a_record_about_another_peer_than_the_one_listed_is_refused() -> None:
    envelope = PeerRecord(ME, 1).seal(KEY)
    assert PeerRecord.open(envelope, peer=bytes(ME)).peer_id == ME
    with pytest.raises(RemoteProtocolError) as caught:
        PeerRecord.open(envelope, peer=OTHER.peer_id())
    assert str(caught.value) == f"peer record is about {ME}"


@pytest.mark.rule("ENV-07", "PX-08")
def test_the_signature_is_checked_before_the_record_is_decoded() -> None:
    good = SignedEnvelope.decode(sealed(b"\xff no protobuf at all"))
    with pytest.raises(RemoteProtocolError, match="protobuf"):
        PeerRecord.open(good.encode())
    bad = SignedEnvelope(good.public_key, good.payload_type, good.payload, bytes(64))
    with pytest.raises(RemoteProtocolError) as caught:
        PeerRecord.open(bad.encode())
    assert str(caught.value) == "envelope signature is wrong"


@pytest.mark.rule("PX-08")
@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "peer record without a peer id"),
        (varint_field(2, 1), "peer record without a peer id"),
        (bytes_field(1, b"Qm"), "not a peer id: hash function 0x51 is not used for peer ids"),
        (varint_field(1, 1), "peer record without a peer id"),
        (b"\x0a\x26\x00", "protobuf field is longer than its message"),
    ],
)
def test_a_payload_that_is_no_peer_record_is_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        PeerRecord.open(sealed(payload))
    assert str(caught.value) == reason


@pytest.mark.rule("ENV-09")
def test_a_broken_address_is_left_out_and_the_rest_is_used() -> None:
    address = ADDRESSES[1]
    entries = [b"", b"\x0a", bytes_field(1, b""), bytes_field(1, address), varint_field(1, 4)]
    payload = bytes_field(1, ME) + varint_field(2, 5)
    payload += b"".join(bytes_field(3, entry) for entry in entries)
    assert PeerRecord.open(sealed(payload)) == PeerRecord(ME, 5, (address,))


@pytest.mark.rule("ENV-09")
def test_a_record_without_addresses_is_legal() -> None:
    assert PeerRecord.open(PeerRecord(ME, 0).seal(KEY)) == PeerRecord(ME, 0, ())


@pytest.mark.rule("T26")
def test_no_empty_address_is_written() -> None:
    record = PeerRecord(ME, 1, [b"", ADDRESSES[1], b""])
    assert record.encode() == PeerRecord(ME, 1, [ADDRESSES[1]]).encode()


def test_at_most_128_addresses_are_kept() -> None:
    addresses = [bytes((4, 10, 0, 0, number)) for number in range(130)]
    record = PeerRecord.open(PeerRecord(ME, 1, addresses).seal(KEY))
    assert record.addresses == tuple(addresses[:128])


def test_nobody_signs_a_record_of_another() -> None:
    with pytest.raises(LocalProtocolError) as caught:
        PeerRecord(ME, 1).seal(OTHER)
    assert str(caught.value) == f"only {ME} can sign this record"


@pytest.mark.rule("ENV-08", "IDY-09")
def test_only_a_newer_record_replaces_one() -> None:
    known = PeerRecord(ME, 5)
    assert PeerRecord(ME, 1).supersedes(None)
    assert [PeerRecord(ME, seq).supersedes(known) for seq in (4, 5, 6)] == [False, False, True]


@pytest.mark.rule("ENV-08")
def test_own_numbers_grow_even_when_the_clock_does_not() -> None:
    numbers: list[int] = []
    for clock in (100, 100, 90, 200):
        numbers.append(next_seq(numbers[-1] if numbers else None, clock))
    assert numbers == [100, 101, 102, 200]


@given(st.binary(max_size=100))
def test_any_payload_is_a_record_or_refused_with_our_error(payload: bytes) -> None:
    for candidate in (payload, bytes_field(1, ME) + payload):
        try:
            record = PeerRecord.decode(candidate)
        except RemoteProtocolError:
            continue
        assert PeerRecord.decode(record.encode()) == record
