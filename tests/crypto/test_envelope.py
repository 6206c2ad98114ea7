"""Signed envelopes. Vector: the interop envelope of rust-, js- and nim-libp2p."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.conformance.vectors import read_vectors
from gossipsub.crypto.envelope import SignedEnvelope
from gossipsub.crypto.fields import bytes_field, varint_field
from gossipsub.crypto.keys import KeyType, PrivateKey
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError

INTEROP = bytes.fromhex(read_vectors("peer_records", kind="envelope")[0]["envelope"])
DOMAIN = "libp2p-testing"
TYPE = b"/libp2p/testdata"
KEY = PrivateKey.from_node_number(1)


@pytest.mark.rule("ENV-01", "ENV-02", "T26")
def test_the_interop_envelope_verifies_and_is_encoded_the_same() -> None:
    envelope = SignedEnvelope.open(INTEROP, domain=DOMAIN, payload_type=TYPE)
    assert envelope.payload == b"hello world!"
    signer = "12D3KooWHHzSeKaY8xuZVzkLbKFfvNgPPeKhFBGrMbNzbm5akpqu"
    assert str(envelope.public_key.peer_id()) == signer
    assert envelope.encode() == INTEROP


@pytest.mark.rule("ENV-01", "T26")
def test_each_signed_part_stands_behind_its_length() -> None:
    payload = bytes(200)
    envelope = SignedEnvelope.seal(KEY, domain="dom", payload_type=b"\x03\x01", payload=payload)
    assert KEY.public_key.verify(b"\x03dom\x02\x03\x01\xc8\x01" + payload, envelope.signature)


@pytest.mark.parametrize("key_type", list(KeyType))
def test_an_envelope_of_any_key_type_is_opened_again(key_type: KeyType) -> None:
    key = PrivateKey.generate(key_type)
    for payload in (b"", b"hello"):
        sealed = SignedEnvelope.seal(key, domain=DOMAIN, payload_type=TYPE, payload=payload)
        opened = SignedEnvelope.open(sealed.encode(), domain=DOMAIN, payload_type=TYPE)
        assert opened == sealed


@pytest.mark.rule("ENV-03")
def test_another_domain_type_payload_or_key_fails() -> None:
    good = SignedEnvelope.seal(KEY, domain=DOMAIN, payload_type=TYPE, payload=b"hello")
    assert good.verify(DOMAIN)
    assert not good.verify("libp2p-testinG")
    for bad in (
        replace(good, payload_type=b"/libp2p/testdatA"),
        replace(good, payload=b"hellO"),
        replace(good, public_key=PrivateKey.from_node_number(2).public_key),
        replace(good, signature=bytes(64)),
        replace(good, signature=b""),
        # The same bytes, cut at another place.
        replace(good, payload_type=TYPE + b"h", payload=b"ello"),
    ):
        with pytest.raises(RemoteProtocolError) as caught:
            SignedEnvelope.open(bad.encode(), domain=DOMAIN, payload_type=bad.payload_type)
        assert str(caught.value) == "envelope signature is wrong"


@pytest.mark.rule("ENV-03")
def test_an_envelope_of_another_type_than_expected_is_refused() -> None:
    good = SignedEnvelope.seal(KEY, domain=DOMAIN, payload_type=b"\x01", payload=b"hello")
    with pytest.raises(RemoteProtocolError) as caught:
        SignedEnvelope.open(good.encode(), domain=DOMAIN, payload_type=b"\x03\x01")
    assert str(caught.value) == "envelope of type 01, not 0301"


@pytest.mark.rule("ENV-04")
def test_an_empty_domain_or_type_cannot_be_sealed() -> None:
    with pytest.raises(LocalProtocolError) as caught:
        SignedEnvelope.seal(KEY, domain="", payload_type=TYPE, payload=b"")
    assert str(caught.value) == "an envelope needs a domain"
    with pytest.raises(LocalProtocolError) as caught:
        SignedEnvelope.seal(KEY, domain=DOMAIN, payload_type=b"", payload=b"")
    assert str(caught.value) == "an envelope needs a payload type"


def test_unknown_fields_of_an_envelope_do_no_harm() -> None:
    encoded = varint_field(9, 1) + INTEROP + bytes_field(7, b"later")
    assert SignedEnvelope.decode(encoded).encode() == INTEROP


@pytest.mark.parametrize(
    "encoded", [b"", INTEROP[38:], INTEROP[:-1], b"\x0a\x01\x08" + INTEROP[38:]]
)
def test_a_broken_envelope_is_refused(encoded: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        SignedEnvelope.open(encoded, domain=DOMAIN, payload_type=TYPE)


@given(st.integers(0, len(INTEROP) - 1), st.integers(1, 255))
def test_no_changed_byte_goes_unnoticed(index: int, change: int) -> None:
    damaged = bytearray(INTEROP)
    damaged[index] ^= change
    with pytest.raises(RemoteProtocolError):
        SignedEnvelope.open(bytes(damaged), domain=DOMAIN, payload_type=TYPE)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_envelope_or_refused_with_our_error(encoded: bytes) -> None:
    try:
        SignedEnvelope.decode(encoded)
    except RemoteProtocolError:
        return
