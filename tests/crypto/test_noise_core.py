"""The Noise core against the public "cacophony" vector, and its refusals."""

from __future__ import annotations

import re

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipsub.crypto.noise_core import RESERVED_NONCE, CipherState, XXHandshake
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError

# Noise_XX_25519_ChaChaPoly_SHA256 of the "cacophony" vector set, as found (among others) in
# tests/vectors/cacophony.txt of github.com/plizonczyk/noiseprotocol.
PROLOGUE = bytes.fromhex("4a6f686e2047616c74")
INITIATOR_STATIC = "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1"
INITIATOR_EPHEMERAL = "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a"
RESPONDER_STATIC = "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893"
RESPONDER_EPHEMERAL = "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b"
HANDSHAKE_HASH = "c8e5f64e846193be2a834104c2a009868d6c9f3bd3c186299888b488b2f1f58e"
MESSAGES = [  # payload, ciphertext; the initiator sends the first, then they take turns
    (
        "4c756477696720766f6e204d69736573",
        "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944"
        "4c756477696720766f6e204d69736573",
    ),
    (
        "4d757272617920526f746862617264",
        "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843"
        "81cbad1f276e038c48378ffce2b65285e08d6b68aaa3629a5a8639392490e5b9"
        "bd5269c2f1e4f488ed8831161f19b7815528f8982ffe09be9b5c412f8a0db50f"
        "8814c7194e83f23dbd8d162c9326ad",
    ),
    (
        "462e20412e20486179656b",
        "c7195ffacac1307ff99046f219750fc47693e23c3cb08b89c2af808b444850a8"
        "0ae475b9df0f169ae80a89be0865b57f58c9fea0d4ec82a286427402f113e4b6"
        "ae769a1d95941d49b25030",
    ),
    ("4361726c204d656e676572", "96763ed773f8e47bb3712f0e29b3060ffc956ffc146cee53d5e1df"),
    (
        "4a65616e2d426170746973746520536179",
        "3e40f15f6f3a46ae446b253bf8b1d9ffb6ed9b174d272328ff91a7e2e5c79c07f5",
    ),
    (
        "457567656e2042f6686d20766f6e2042617765726b",
        "eb3f3515110702e047a6c9da4478b6ead94873c11c0f2d710ddb3f09fce024b3a58502ae3f",
    ),
]

# Every u-coordinate of small order on Curve25519 in its canonical form (RFC 7748, section 6.1).
LOW_ORDER_KEYS = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


def exactly(message: str) -> str:
    return f"^{re.escape(message)}$"


def key(hexadecimal: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(bytes.fromhex(hexadecimal))


def vector_pair() -> tuple[XXHandshake, XXHandshake]:
    initiator = XXHandshake(
        initiator=True,
        static_key=key(INITIATOR_STATIC),
        ephemeral_key=key(INITIATOR_EPHEMERAL),
        prologue=PROLOGUE,
    )
    responder = XXHandshake(
        initiator=False,
        static_key=key(RESPONDER_STATIC),
        ephemeral_key=key(RESPONDER_EPHEMERAL),
        prologue=PROLOGUE,
    )
    return initiator, responder


def shake_hands(writer: XXHandshake, reader: XXHandshake, payloads: list[bytes]) -> list[bytes]:
    read = []
    for payload in payloads:
        read.append(reader.read_message(writer.write_message(payload)))
        writer, reader = reader, writer
    return read


@pytest.mark.rule("NOI-01", "NOI-02")
def test_the_cacophony_vector_is_reproduced_byte_for_byte() -> None:
    initiator, responder = writer, reader = vector_pair()
    for payload, ciphertext in MESSAGES[:3]:
        message = writer.write_message(bytes.fromhex(payload))
        assert message.hex() == ciphertext
        assert reader.read_message(message).hex() == payload
        writer, reader = reader, writer

    assert initiator.complete
    assert responder.complete
    assert initiator.handshake_hash.hex() == HANDSHAKE_HASH
    assert responder.handshake_hash.hex() == HANDSHAKE_HASH
    assert initiator.remote_static_public_key == responder.static_public_key
    assert responder.remote_static_public_key == initiator.static_public_key

    (responder_send, responder_receive), (initiator_send, initiator_receive) = (
        responder.split(),
        initiator.split(),
    )
    ways = [
        (responder_send, initiator_receive),
        (initiator_send, responder_receive),
        (responder_send, initiator_receive),
    ]
    for (payload, ciphertext), (send, receive) in zip(MESSAGES[3:], ways, strict=True):
        sealed = send.encrypt(bytes.fromhex(payload))
        assert sealed.hex() == ciphertext
        assert receive.decrypt(sealed).hex() == payload


@pytest.mark.rule("NOI-14")
def test_two_handshakes_have_different_keys() -> None:
    first, second = XXHandshake(initiator=True), XXHandshake(initiator=True)

    assert first.static_public_key != second.static_public_key
    assert first.write_message(b"") != second.write_message(b"")


@pytest.mark.rule("NOI-09")
@pytest.mark.parametrize("prologue", [b"x", b"\x00"])
def test_a_different_prologue_fails_at_the_second_message(prologue: bytes) -> None:
    initiator = XXHandshake(initiator=True)
    responder = XXHandshake(initiator=False, prologue=prologue)
    responder.read_message(initiator.write_message(b""))

    with pytest.raises(RemoteProtocolError, match=exactly("a Noise message does not authenticate")):
        initiator.read_message(responder.write_message(b""))


@pytest.mark.parametrize("low_order_key", LOW_ORDER_KEYS)
def test_an_ephemeral_key_of_low_order_is_refused_by_both_sides(low_order_key: str) -> None:
    forged = bytes.fromhex(low_order_key)
    responder = XXHandshake(initiator=False)
    responder.read_message(forged)
    with pytest.raises(RemoteProtocolError, match=exactly("a Noise key of low order")):
        responder.write_message(b"")

    initiator = XXHandshake(initiator=True)
    initiator.write_message(b"")
    with pytest.raises(RemoteProtocolError, match=exactly("a Noise key of low order")):
        initiator.read_message(forged + bytes(64))


@pytest.mark.parametrize("bytes_missing", [1, 15, 16, 17, 63, 64, 65, 95])
def test_a_shortened_second_message_is_refused(bytes_missing: int) -> None:
    initiator, responder = XXHandshake(initiator=True), XXHandshake(initiator=False)
    responder.read_message(initiator.write_message(b""))

    with pytest.raises(RemoteProtocolError):
        initiator.read_message(responder.write_message(b"")[:-bytes_missing])


def test_a_first_message_without_a_whole_key_is_refused() -> None:
    responder = XXHandshake(initiator=False)

    with pytest.raises(
        RemoteProtocolError, match=exactly("a Noise handshake message is too short")
    ):
        responder.read_message(bytes(31))


def test_messages_are_written_and_read_only_in_turn() -> None:
    initiator, responder = XXHandshake(initiator=True), XXHandshake(initiator=False)

    with pytest.raises(
        LocalProtocolError, match=exactly("the next Noise handshake message is ours")
    ):
        initiator.read_message(bytes(96))
    with pytest.raises(
        LocalProtocolError, match=exactly("the next Noise handshake message is the peer's")
    ):
        responder.write_message(b"")
    with pytest.raises(LocalProtocolError, match=exactly("the Noise handshake is not complete")):
        initiator.split()
    with pytest.raises(
        LocalProtocolError, match=exactly("the peer's static key has not arrived yet")
    ):
        _ = initiator.remote_static_public_key

    assert shake_hands(initiator, responder, [b"", b"two", b"three"]) == [b"", b"two", b"three"]
    with pytest.raises(LocalProtocolError, match=exactly("the Noise handshake is complete")):
        initiator.write_message(b"")


@pytest.mark.rule("NOI-12")
def test_nonces_count_up_and_a_message_opens_only_in_its_turn() -> None:
    send, receive = CipherState(bytes(32)), CipherState(bytes(32))
    first, second = send.encrypt(b"same"), send.encrypt(b"same")
    assert first != second

    with pytest.raises(RemoteProtocolError, match=exactly("a Noise message does not authenticate")):
        receive.decrypt(second)
    assert receive.decrypt(first) == b"same"
    with pytest.raises(RemoteProtocolError, match=exactly("a Noise message does not authenticate")):
        receive.decrypt(first)
    assert receive.decrypt(second) == b"same"


@pytest.mark.rule("NOI-12")
def test_the_nonce_is_four_zero_bytes_and_a_little_endian_counter() -> None:
    # RFC 8439, appendix A.5: nonce 00000000 0102030405060708 as a counter, tag of section A.5.
    cipher = CipherState(
        bytes.fromhex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0"),
        nonce=int.from_bytes(bytes.fromhex("0102030405060708"), "little"),
    )
    plaintext = (
        b"Internet-Drafts are draft documents valid for a maximum of six months and may be "
        b"updated, replaced, or obsoleted by other documents at any time. It is inappropriate "
        b"to use Internet-Drafts as reference material or to cite them other than as /\xe2\x80"
        b"\x9cwork in progress./\xe2\x80\x9d"
    )

    sealed = cipher.encrypt(plaintext, bytes.fromhex("f33388860000000000004e91"))

    assert sealed[:16].hex() == "64a0861575861af460f062c79be643bd"
    assert sealed[-16:].hex() == "eead9d67890cbb22392336fea1851f38"


@pytest.mark.rule("NOI-12")
def test_the_last_nonce_is_never_used() -> None:
    send = CipherState(bytes(32), nonce=RESERVED_NONCE - 1)
    receive = CipherState(bytes(32), nonce=RESERVED_NONCE - 1)

    assert receive.decrypt(send.encrypt(b"last")) == b"last"
    for _ in range(2):
        with pytest.raises(
            LocalProtocolError, match=exactly("the nonces of this Noise connection are used up")
        ):
            send.encrypt(b"one more")
        with pytest.raises(
            RemoteProtocolError,
            match=exactly("the peer used up the nonces of this Noise connection"),
        ):
            receive.decrypt(bytes(24))


@settings(max_examples=50, deadline=None)
@given(payloads=st.lists(st.binary(max_size=200), min_size=3, max_size=3))
def test_any_payloads_pass_and_both_sides_agree(payloads: list[bytes]) -> None:
    initiator, responder = XXHandshake(initiator=True), XXHandshake(initiator=False)

    assert shake_hands(initiator, responder, payloads) == payloads
    assert initiator.handshake_hash == responder.handshake_hash


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_one_flipped_bit_in_a_handshake_message_is_noticed(data: st.DataObject) -> None:
    writer, reader = vector_pair()
    flipped = data.draw(st.integers(0, 2), label="message")
    for payload in [b"", b"two", b"three"][:flipped]:
        reader.read_message(writer.write_message(payload))
        writer, reader = reader, writer
    message = bytearray(writer.write_message(b"payload"))
    bit = data.draw(st.integers(0, len(message) * 8 - 1), label="bit")
    message[bit // 8] ^= 1 << bit % 8

    with pytest.raises(RemoteProtocolError):
        # Message 1 is in clear: there it is the answer that does not authenticate.
        writer.read_message(answer_to(reader, bytes(message)))


def answer_to(reader: XXHandshake, message: bytes) -> bytes:
    reader.read_message(message)
    return reader.write_message(b"")
