"""The Noise core against the public "cacophony" vector, and its refusals."""

from __future__ import annotations

import re

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipsub.conformance.vectors import read_vectors
from gossipsub.crypto.noise_core import RESERVED_NONCE, CipherState, XXHandshake
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError

(CACOPHONY,) = read_vectors("noise", kind="handshake")
MESSAGES = [(message["payload"], message["message"]) for message in CACOPHONY["messages"]]
LOW_ORDER_KEYS = [vector["ephemeral_key"] for vector in read_vectors("noise", kind="low order key")]


def exactly(message: str) -> str:
    return f"^{re.escape(message)}$"


def key(hexadecimal: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(bytes.fromhex(hexadecimal))


def vector_pair() -> tuple[XXHandshake, XXHandshake]:
    initiator = XXHandshake(
        initiator=True,
        static_key=key(CACOPHONY["initiator_static"]),
        ephemeral_key=key(CACOPHONY["initiator_ephemeral"]),
        prologue=bytes.fromhex(CACOPHONY["prologue"]),
    )
    responder = XXHandshake(
        initiator=False,
        static_key=key(CACOPHONY["responder_static"]),
        ephemeral_key=key(CACOPHONY["responder_ephemeral"]),
        prologue=bytes.fromhex(CACOPHONY["prologue"]),
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
    assert initiator.handshake_hash.hex() == CACOPHONY["handshake_hash"]
    assert responder.handshake_hash.hex() == CACOPHONY["handshake_hash"]
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
