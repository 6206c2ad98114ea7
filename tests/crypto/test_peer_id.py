"""Peer ids. Vectors: libp2p/specs peer-ids.md; the refused texts are nim-libp2p's and js's."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.crypto.multibase import encode_base32, encode_base58
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError

ED25519_ID = bytes.fromhex(
    "0024080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"
)
ED25519_TEXT = "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"
ED25519_CID = "bafzaajaiaejcahwr5d5ofrfbis4l5d6uwr57hu5tjodrypfm6yaq6dsc2r2pzyt6"
HASH_TEXT = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"
HASH_CID = "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe"


@pytest.mark.rule("KEY-09")
@pytest.mark.parametrize(("base58", "cid"), [(HASH_TEXT, HASH_CID), (ED25519_TEXT, ED25519_CID)])
def test_base58_is_written_and_a_cid_is_read_as_well(base58: str, cid: str) -> None:
    peer = PeerId.parse(base58)
    assert str(peer) == base58
    assert PeerId.parse(cid) == peer
    assert peer.to_cid() == cid
    hexadecimal = "f0172" + peer.hex()
    assert PeerId.parse(hexadecimal) == peer
    assert PeerId.parse(hexadecimal.upper()) == peer
    assert PeerId.parse("z" + encode_base58(b"\x01\x72" + peer)) == peer
    assert PeerId.parse("0" + f"{int(hexadecimal[1:], 16):0{(len(peer) + 2) * 8}b}") == peer


@pytest.mark.rule("KEY-09")
def test_an_inlined_key_is_read_from_text() -> None:
    text = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
    assert PeerId.parse(text)[:6].hex() == "002408011220"
    assert str(PeerId.parse(text)) == text


@pytest.mark.rule("KEY-10")
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("1", "1 bytes are no multihash"),
        ("f00", "not a CIDv1 of codec libp2p-key"),
        ("x", "unknown multibase prefix 'x'"),
        (
            "zb2rhhFAEMepUBbGyP1k8tGfz7BSciKXP6GHuUeUsJBaK6cqG",
            "not a CIDv1 of codec libp2p-key",
        ),
        ("z" + HASH_TEXT, "not a CIDv1 of codec libp2p-key"),
        (HASH_CID[:-1], "multibase text does not end on a byte"),
        (HASH_CID[:-2], "multihash of 32 bytes in 31"),
        (HASH_CID[:-1] + "1", "'1' does not belong to this base"),
        (HASH_TEXT + "\n", "'\\n' does not belong to this base"),
        (HASH_TEXT[:-1] + "0", "'0' does not belong to this base"),
        (HASH_TEXT[:-1], "hash function 0x50 is not used for peer ids"),
        ("1" * 401, "more than 400 characters"),
    ],
)
def test_a_text_that_is_no_peer_id_is_refused(text: str, reason: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        PeerId.parse(text)
    assert str(caught.value) == f"not a peer id: {text[:80]!r}: {reason}"


DEFECTS = [
    (b"", "0 bytes are no multihash"),
    (b"\x00", "1 bytes are no multihash"),
    (b"\x00\x00", "an identity multihash holds 1 to 42 bytes"),
    (b"\x00\x2b" + bytes(43), "an identity multihash holds 1 to 42 bytes"),
    (ED25519_ID[:-1], "multihash of 36 bytes in 35"),
    (ED25519_ID + b"\0", "multihash of 36 bytes in 37"),
    (b"\x12\x20" + bytes(31), "multihash of 32 bytes in 31"),
    (b"\x12\x20" + bytes(33), "multihash of 32 bytes in 33"),
    (b"\x12\x14" + bytes(20), "a SHA2-256 multihash holds 32 bytes"),
    (b"\x13\x40" + bytes(64), "hash function 0x13 is not used for peer ids"),
    (b"\x80\x00\x01a", "hash function 0x80 is not used for peer ids"),
]


@pytest.mark.rule("KEY-10")
@pytest.mark.parametrize(("data", "reason"), DEFECTS)
def test_bytes_that_are_no_peer_id_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(RemoteProtocolError) as remote:
        PeerId.from_bytes(data)
    assert str(remote.value) == f"not a peer id: {reason}"
    cid = "b" + encode_base32(b"\x01\x72" + data)
    with pytest.raises(LocalProtocolError) as local:
        PeerId.parse(cid)
    assert str(local.value) == f"not a peer id: {cid[:80]!r}: {reason}"


def test_identity_ids_of_1_and_of_42_bytes_are_the_limits() -> None:
    for length in (1, 42):
        data = bytes((0, length)) + bytes(length)
        assert PeerId.parse(str(PeerId.from_bytes(data))) == data


@pytest.mark.rule("KEY-08")
@pytest.mark.parametrize(
    ("length", "prefix"), [(36, "0024"), (37, "0025"), (42, "002a"), (43, "1220"), (555, "1220")]
)
def test_a_key_of_up_to_42_bytes_is_its_own_id(length: int, prefix: str) -> None:
    peer = PeerId.of_key(bytes(length))
    assert peer[:2].hex() == prefix
    assert PeerId.from_bytes(peer) == peer
    assert len(peer) == (length + 2 if length <= 42 else 34)


@pytest.mark.rule("KEY-11")
def test_a_thousand_random_ids_survive_text() -> None:
    random = Random(1)
    for number in range(1000):
        prefix = b"\x12\x20" if number % 2 else b"\x00\x20"
        peer = PeerId.from_bytes(prefix + random.randbytes(32))
        assert PeerId.parse(str(peer)) == peer
        assert PeerId.parse(peer.to_cid()) == peer


@given(st.binary(max_size=50))
def test_any_bytes_are_a_peer_id_or_refused_with_our_error(data: bytes) -> None:
    try:
        peer = PeerId.from_bytes(data)
    except RemoteProtocolError:
        return
    assert peer == data


def test_a_peer_id_is_bytes_wherever_bytes_are_wanted() -> None:
    peer = PeerId.from_bytes(ED25519_ID)
    assert peer == ED25519_ID
    assert {ED25519_ID: 1}[peer] == 1
    assert {peer: 1}[ED25519_ID] == 1
    assert f"{peer}" == ED25519_TEXT
    assert repr(peer) == f"PeerId({ED25519_TEXT!r})"
    assert peer.short() == "12*o7R3pq"
