from dataclasses import replace
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.crypto.fields import bytes_field
from gossipsub.crypto.keys import KeyType, PrivateKey
from gossipsub.crypto.message_signing import (
    SequenceNumbers,
    sign_message,
    verify_batch,
    verify_message,
)
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError
from gossipsub.wire.rpc import Message, Rpc
from gossipsub.wire.rpc_codec import RpcLimits, decode_rpc, encode_message, encode_rpc

SEQNO = bytes.fromhex("1718db0cd39d1a2b")
KEY = PrivateKey.from_node_number(1)
OTHER = PrivateKey.from_node_number(2)
SEED = (1).to_bytes(32, "little")

ALL_TYPES = pytest.mark.parametrize("key_type", list(KeyType))
KEYS = {key_type: PrivateKey.generate(key_type) for key_type in KeyType}


def message(key: PrivateKey = KEY, **fields: bytes) -> Message:
    return sign_message(Message("news", data=b"hello", seqno=SEQNO, **fields), key)


def over_the_wire(sent: Message) -> Message:
    (received,) = decode_rpc(encode_rpc(Rpc(publish=[sent])), RpcLimits()).publish
    return received


def signed_by_hand(key: PrivateKey, fields: bytes) -> bytes:
    return key.sign(b"libp2p-pubsub:" + fields)


@pytest.mark.rule("SIGN-01", "SIGN-02", "SIGN-03", "SIGN-14")
def test_a_signed_message_is_byte_for_byte_what_the_specification_says() -> None:
    signer = Ed25519PrivateKey.from_private_bytes(SEED)
    author = bytes.fromhex("002408011220") + signer.public_key().public_bytes_raw()
    fields = b"\x0a\x26" + author + b"\x12\x05hello" + b"\x1a\x08" + SEQNO + b"\x22\x04news"
    signature = signer.sign(b"libp2p-pubsub:" + fields)
    signed = message()
    assert signed.encoding == fields + b"\x2a\x40" + signature
    assert (signed.from_peer, signed.signature, signed.key) == (author, signature, None)


@pytest.mark.rule("KEY-06", "SIGN-01", "SIGN-14")
@ALL_TYPES
def test_a_signed_message_of_any_key_type_verifies_after_the_wire(key_type: KeyType) -> None:
    signed = message(KEYS[key_type])
    received = over_the_wire(signed)
    assert verify_message(signed)
    assert verify_message(received)
    assert received.encoding == signed.encoding


@pytest.mark.rule("SIGN-05")
@ALL_TYPES
def test_the_key_is_sent_only_where_the_peer_id_does_not_hold_it(key_type: KeyType) -> None:
    key = KEYS[key_type]
    inlined = key_type in (KeyType.ED25519, KeyType.SECP256K1)
    received = over_the_wire(message(key))
    assert received.key == (None if inlined else key.public_key.encode())


@pytest.mark.rule("SIGN-02", "SIGN-05")
@ALL_TYPES
def test_a_key_that_is_sent_though_not_needed_is_accepted_and_not_signed(
    key_type: KeyType,
) -> None:
    key = KEYS[key_type]
    with_key = replace(message(key), key=key.public_key.encode(), encoding=None)
    assert verify_message(with_key)
    assert verify_message(over_the_wire(with_key))


@pytest.mark.rule("SIGN-06")
@ALL_TYPES
def test_a_key_that_is_not_the_authors_is_invalid(key_type: KeyType) -> None:
    signed = message(KEYS[key_type])
    foreign = PrivateKey.generate(key_type).public_key.encode()
    assert not verify_message(replace(signed, key=foreign))
    # Signed properly by the key that is shown, in the name of somebody else.
    fields = bytes_field(1, OTHER.peer_id()) + bytes_field(2, b"hello") + bytes_field(3, SEQNO)
    forged = replace(
        signed,
        from_peer=bytes(OTHER.peer_id()),
        key=KEYS[key_type].public_key.encode(),
        signature=signed_by_hand(KEYS[key_type], fields + bytes_field(4, b"news")),
    )
    assert not verify_message(forged)


@pytest.mark.rule("SIGN-07")
@pytest.mark.parametrize("key_type", [KeyType.RSA, KeyType.ECDSA])
def test_a_hashed_author_without_a_key_is_invalid(key_type: KeyType) -> None:
    assert not verify_message(replace(message(KEYS[key_type]), key=None))


@pytest.mark.rule("SIGN-08")
@ALL_TYPES
def test_no_signed_field_can_be_changed(key_type: KeyType) -> None:
    signed = message(KEYS[key_type])
    assert signed.signature is not None
    changed = [
        replace(signed, data=b"hellO"),
        replace(signed, data=b""),
        replace(signed, data=None),
        replace(signed, topic="newS"),
        replace(signed, seqno=bytes(8)),
        replace(signed, from_peer=bytes(OTHER.peer_id())),
        replace(signed, unknown=b"\xa2\x06\x01x"),
        replace(signed, signature=bytes((signed.signature[0] ^ 1,)) + signed.signature[1:]),
    ]
    assert verify_batch([signed, *changed]) == [True] + [False] * len(changed)


@pytest.mark.rule("SIGN-09")
def test_unknown_fields_are_signed_and_survive() -> None:
    unknown = b"\xa2\x06\x05later"  # field 100
    signed = message(unknown=unknown)
    received = over_the_wire(signed)
    assert received.unknown == unknown
    assert verify_message(received)
    assert not verify_message(replace(received, unknown=b"", encoding=None))
    assert over_the_wire(received).encoding == signed.encoding


@pytest.mark.rule("SIGN-10")
def test_garbage_in_any_field_is_invalid_and_never_an_exception() -> None:
    signed = message()
    identity = bytes(KEY.peer_id())
    garbage = [
        b"",
        b"\0",
        b"\0\x24",
        identity[:-1],
        identity + b"\0",
        b"\0\x28" + identity[2:] + b"\x1a\x02hi",  # the key in an encoding of its own
        b"\0\x24\x08\x01\x12\x20" + b"\xff" * 32,  # no point of the curve
        b"\0\x25\x08\x02\x12\x21\x02" + b"\xff" * 32,
        b"\0\x25\x08\x02\x12\x21\x09" + b"\xff" * 32,
        b"\0\x02\x08\x00",
        b"\x12\x20" + bytes(32),
        b"\x12\x20",
        b"\x16\x20" + bytes(32),
        b"\xff" * 200,
    ]
    broken = [replace(signed, from_peer=each) for each in garbage]
    broken += [replace(signed, key=each) for each in garbage]
    broken += [replace(signed, key=each[2:]) for each in garbage[6:]]
    broken += [replace(signed, signature=each) for each in garbage]
    broken += [replace(signed, signature=b"\x30\x06\x02\x01\x00\x02\x01\x00")]
    assert verify_batch(broken) == [False] * len(broken)


@pytest.mark.rule("SIGN-10", "SIGN-14")
@pytest.mark.parametrize("field", ["from_peer", "seqno", "signature"])
@ALL_TYPES
def test_a_message_without_author_seqno_or_signature_is_invalid(
    field: str, key_type: KeyType
) -> None:
    signed = message(KEYS[key_type])
    assert verify_message(replace(signed, encoding=None))
    assert not verify_message(replace(signed, encoding=None, **{field: None}))
    assert not verify_message(replace(signed, encoding=None, **{field: b""}))


@given(st.integers(0, 2**32))
def test_no_damage_on_the_wire_makes_verification_raise(seed: int) -> None:
    random = Random(seed)
    signed = message(KEYS[random.choice(list(KeyType))])
    encoding = bytearray(signed.encoding or b"")
    for _ in range(random.randint(1, 3)):
        encoding[random.randrange(len(encoding))] ^= 1 << random.randrange(8)
    frame = encode_rpc(Rpc(publish=[replace(signed, encoding=bytes(encoding))]))
    try:
        damaged = decode_rpc(frame, RpcLimits())
    except RemoteProtocolError:
        return
    for received in damaged.publish:
        assert isinstance(verify_message(received), bool)


@pytest.mark.rule("SIGN-11")
@pytest.mark.parametrize("seqno", [b"", bytes(7), bytes(9)])
def test_a_seqno_that_is_not_8_bytes_is_invalid_though_well_signed(seqno: bytes) -> None:
    def signed_with(number: bytes) -> Message:
        author = bytes(KEY.peer_id())
        fields = bytes_field(1, author) + bytes_field(2, b"hello") + bytes_field(3, number)
        signature = signed_by_hand(KEY, fields + bytes_field(4, b"news"))
        return Message("news", b"hello", author, number, signature)

    assert verify_message(signed_with(bytes(8)))
    assert not verify_message(signed_with(seqno))
    with pytest.raises(LocalProtocolError) as caught:
        sign_message(Message("news", seqno=seqno), KEY)
    assert str(caught.value) == "a message to sign needs a sequence number of 8 bytes"


@pytest.mark.rule("SIGN-13")
@ALL_TYPES
def test_author_key_and_signature_are_those_of_the_key_signed_with(key_type: KeyType) -> None:
    key = KEYS[key_type]
    unsigned = Message("news", data=b"hello", seqno=SEQNO)
    signed = sign_message(replace(unsigned, from_peer=bytes(key.peer_id())), key)
    assert signed.from_peer == key.peer_id()
    assert verify_message(signed)
    assert unsigned == Message("news", data=b"hello", seqno=SEQNO)
    with pytest.raises(LocalProtocolError) as caught:
        sign_message(replace(unsigned, from_peer=bytes(OTHER.peer_id())), key)
    assert str(caught.value) == f"this key is {key.peer_id()}'s, not the author's"


@pytest.mark.rule("SIGN-14")
def test_an_unsigned_message_carries_nothing_of_a_signature() -> None:
    assert encode_message(Message("news", data=b"hello")) == b"\x12\x05hello\x22\x04news"


@pytest.mark.rule("SIGN-04", "T22")
def test_sequence_numbers_grow_also_across_restarts() -> None:
    numbers = SequenceNumbers(1_700_000_000_000_000_000)
    first = [numbers.next() for _ in range(1000)]
    restarted = SequenceNumbers(numbers.last)
    drawn = first + [restarted.next() for _ in range(1000)]
    assert drawn[0] == (1_700_000_000_000_000_001).to_bytes(8, "big")
    assert drawn == sorted(set(drawn))
    assert {len(number) for number in drawn} == {8}


@pytest.mark.rule("SIGN-04")
def test_sequence_numbers_never_start_again_at_zero() -> None:
    numbers = SequenceNumbers(2**64 - 2)
    assert numbers.next() == b"\xff" * 8
    for _ in range(2):
        with pytest.raises(LocalProtocolError) as caught:
            numbers.next()
        assert str(caught.value) == "sequence numbers are used up"
    for start in (-1, 2**64):
        with pytest.raises(LocalProtocolError) as caught:
            SequenceNumbers(start)
        assert str(caught.value) == f"sequence numbers are 0 to 2^64-1, not {start}"
