"""The libp2p Noise channel: two of ours in memory, and ours against scripted peers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.noise import (
    MAX_PAYLOAD_BYTES,
    DataReceived,
    Event,
    HandshakeCompleted,
    NoiseConnection,
)
from gossipsub.crypto.noise_core import CipherState, XXHandshake
from gossipsub.crypto.noise_payload import (
    NoisePayload,
    bytes_to_sign,
    encode_payload,
)
from gossipsub.wire.errors import FrameTooLarge, LocalProtocolError, RemoteProtocolError
from gossipsub.wire.multistream import MultistreamListener
from gossipsub.wire.varint import encode_uvarint

ALICE = PrivateKey.from_seed(b"a" * 32)
BOB = PrivateKey.from_seed(b"b" * 32)
EVE = PrivateKey.from_seed(b"e" * 32)
STATIC = X25519PrivateKey.from_private_bytes(b"s" * 32)
YAMUX = ["/yamux/1.0.0"]

Sign = Callable[[XXHandshake], NoisePayload]


def exactly(message: str) -> str:
    return f"^{re.escape(message)}$"


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


def frames(data: bytes) -> list[bytes]:
    found = []
    while data:
        size = int.from_bytes(data[:2], "big")
        assert len(data) >= 2 + size
        found.append(data[2 : 2 + size])
        data = data[2 + size :]
    return found


def feed(connection: NoiseConnection, data: bytes, piece_bytes: int | None = None) -> list[Event]:
    """The events of `data`, received in pieces of this size."""
    events = []
    step = piece_bytes or max(len(data), 1)
    for start in range(0, len(data), step):
        connection.receive_data(data[start : start + step])
        while (event := connection.next_event()) is not None:
            events.append(event)
    return events


def plaintext(events: Sequence[Event]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, DataReceived))


def shake_hands(
    initiator: NoiseConnection, responder: NoiseConnection, piece_bytes: int | None = None
) -> tuple[list[Event], list[Event]]:
    assert feed(responder, initiator.data_to_send(), piece_bytes) == []
    initiators = feed(initiator, responder.data_to_send(), piece_bytes)
    responders = feed(responder, initiator.data_to_send(), piece_bytes)
    return initiators, responders


def honest(identity: PrivateKey, muxers: Sequence[bytes] = ()) -> Sign:
    def payload(core: XXHandshake) -> NoisePayload:
        signature = identity.sign(bytes_to_sign(core.static_public_key))
        return NoisePayload(identity.public_key.encode(), signature, muxers)

    return payload


def answer_as_responder(connection: NoiseConnection, payload: bytes, core: XXHandshake) -> bytes:
    """A scripted responder's message 2 to `connection`, framed."""
    [message] = frames(connection.data_to_send())
    assert core.read_message(message) == b""
    return framed(core.write_message(payload))


def speak_as_initiator(connection: NoiseConnection, payload: bytes, core: XXHandshake) -> bytes:
    """A scripted initiator's message 3 to `connection`, framed."""
    assert feed(connection, framed(core.write_message(b""))) == []
    [message] = frames(connection.data_to_send())
    core.read_message(message)
    return framed(core.write_message(payload))


# -- the handshake -------------------------------------------------------------------------


@pytest.mark.rule("NOI-01", "NOI-03", "NOI-08")
@pytest.mark.parametrize("piece_bytes", [None, 1, 7])
@pytest.mark.parametrize("key_type", ["ed25519", "secp256k1", "ecdsa", "rsa"])
def test_each_side_learns_who_the_other_is(key_type: str, piece_bytes: int | None) -> None:
    identity = PrivateKey.generate(key_type)
    initiator = NoiseConnection(identity, initiator=True, expected_peer=BOB.public_key.peer_id())
    responder = NoiseConnection(BOB, initiator=False)

    assert shake_hands(initiator, responder, piece_bytes) == (
        [HandshakeCompleted(BOB.public_key, BOB.public_key.peer_id(), None)],
        [HandshakeCompleted(identity.public_key, identity.public_key.peer_id(), None)],
    )


@pytest.mark.rule("NOI-03", "NOI-04")
def test_the_first_message_is_a_bare_ephemeral_key_and_waits_from_the_start() -> None:
    ephemeral = X25519PrivateKey.from_private_bytes(b"x" * 32)
    initiator = NoiseConnection(ALICE, initiator=True, ephemeral_key=ephemeral)

    assert initiator.data_to_send() == b"\x00\x20" + ephemeral.public_key().public_bytes_raw()
    assert initiator.data_to_send() == b""
    assert NoiseConnection(BOB, initiator=False).data_to_send() == b""


@pytest.mark.rule("NOI-14")
def test_every_connection_has_a_fresh_ephemeral_and_a_fresh_static_key() -> None:
    ephemerals, statics = set(), set()
    for _ in range(2):
        initiator = NoiseConnection(ALICE, initiator=True)
        core = XXHandshake(initiator=False)
        first = initiator.data_to_send()
        core.read_message(first[2:])
        feed(initiator, framed(core.write_message(encode_payload(honest(BOB)(core)))))
        core.read_message(frames(initiator.data_to_send())[0])
        ephemerals.add(first)
        statics.add(core.remote_static_public_key)

    assert len(ephemerals) == 2
    assert len(statics) == 2


@pytest.mark.rule("NOI-01", "NOI-04", "NOI-05", "NOI-06", "T24")
def test_messages_two_and_three_carry_the_identity_key_and_its_signature_of_the_static_key() -> (
    None
):
    initiator = NoiseConnection(ALICE, initiator=True, static_key=STATIC, muxers=YAMUX)
    responder_core = XXHandshake(initiator=False)  # an empty prologue
    second = answer_as_responder(
        initiator, encode_payload(honest(BOB)(responder_core)), responder_core
    )
    feed(initiator, second)
    [third] = frames(initiator.data_to_send())
    payload_of_initiator = responder_core.read_message(third)

    responder = NoiseConnection(ALICE, initiator=False, static_key=STATIC, muxers=YAMUX)
    initiator_core = XXHandshake(initiator=True)
    feed(responder, framed(initiator_core.write_message(b"")))
    [message] = frames(responder.data_to_send())
    payload_of_responder = initiator_core.read_message(message)

    static = STATIC.public_key().public_bytes_raw()
    identity = ALICE.public_key.data
    signature = ALICE.sign(b"noise-libp2p-static-key:" + static)
    expected = b"".join(
        [
            b"\x0a\x24\x08\x01\x12\x20" + identity,
            b"\x12\x40" + signature,
            b"\x22\x0e\x12\x0c/yamux/1.0.0",
        ]
    )
    assert identity != static
    assert payload_of_initiator == expected
    assert payload_of_responder == expected
    Ed25519PublicKey.from_public_bytes(identity).verify(
        signature, b"noise-libp2p-static-key:" + static
    )
    assert responder_core.remote_static_public_key == static
    assert initiator_core.remote_static_public_key == static


def signed_by_another(core: XXHandshake) -> NoisePayload:
    payload = honest(EVE)(core)
    return NoisePayload(BOB.public_key.encode(), payload.identity_signature)


def static_key_as_identity(core: XXHandshake) -> NoisePayload:
    encoded = b"\x08\x01\x12\x20" + core.static_public_key
    return NoisePayload(encoded, BOB.sign(bytes_to_sign(core.static_public_key)))


def identity_key_signed(core: XXHandshake) -> NoisePayload:
    return NoisePayload(BOB.public_key.encode(), BOB.sign(bytes_to_sign(BOB.public_key.data)))


def without_prefix(core: XXHandshake) -> NoisePayload:
    return NoisePayload(BOB.public_key.encode(), BOB.sign(core.static_public_key))


def signature_of_another_handshake(core: XXHandshake) -> NoisePayload:
    return honest(BOB)(XXHandshake(initiator=False))


def bit_of_signature_flipped(core: XXHandshake) -> NoisePayload:
    payload = honest(BOB)(core)
    signature = bytearray(payload.identity_signature)
    signature[9] ^= 4
    return NoisePayload(payload.identity_key, bytes(signature))


def empty_signature(core: XXHandshake) -> NoisePayload:
    return NoisePayload(BOB.public_key.encode(), b"")


def undecodable_key(core: XXHandshake) -> NoisePayload:
    return NoisePayload(b"\x08\x01\x12\x1f" + bytes(31), honest(BOB)(core).identity_signature)


def empty_key(core: XXHandshake) -> NoisePayload:
    return NoisePayload(b"", honest(BOB)(core).identity_signature)


FORGERIES = [
    signed_by_another,
    static_key_as_identity,
    identity_key_signed,
    without_prefix,
    signature_of_another_handshake,
    bit_of_signature_flipped,
    empty_signature,
    undecodable_key,
    empty_key,
]


@pytest.mark.rule("NOI-06", "NOI-07", "T24")
@pytest.mark.parametrize("forge", FORGERIES)
def test_a_responder_that_cannot_prove_its_identity_never_gets_message_three(forge: Sign) -> None:
    initiator = NoiseConnection(ALICE, initiator=True)
    core = XXHandshake(initiator=False)
    initiator.receive_data(answer_as_responder(initiator, encode_payload(forge(core)), core))

    with pytest.raises(RemoteProtocolError) as refusal:
        initiator.next_event()
    assert refusal.value.fatal_to == "connection"
    assert initiator.data_to_send() == b""
    with pytest.raises(LocalProtocolError):
        initiator.send_data(b"/yamux/1.0.0")


@pytest.mark.rule("NOI-06", "NOI-07", "T24")
@pytest.mark.parametrize("forge", FORGERIES)
def test_an_initiator_that_cannot_prove_its_identity_gets_no_byte_more(forge: Sign) -> None:
    responder = NoiseConnection(ALICE, initiator=False)
    core = XXHandshake(initiator=True)
    third = speak_as_initiator(responder, encode_payload(forge(core)), core)
    responder.receive_data(third + framed(core.split()[0].encrypt(b"trust me")))

    with pytest.raises(RemoteProtocolError) as refusal:
        responder.next_event()
    assert refusal.value.fatal_to == "connection"
    assert responder.data_to_send() == b""
    with pytest.raises(LocalProtocolError):
        responder.send_data(b"/yamux/1.0.0")


@pytest.mark.rule("NOI-07")
def test_a_wrong_signature_is_named() -> None:
    responder = NoiseConnection(ALICE, initiator=False)
    core = XXHandshake(initiator=True)
    payload = encode_payload(signed_by_another(core))
    responder.receive_data(speak_as_initiator(responder, payload, core))

    with pytest.raises(
        RemoteProtocolError, match=exactly("the identity key did not sign the Noise static key")
    ):
        responder.next_event()


@pytest.mark.rule("NOI-08")
def test_the_initiator_refuses_another_identity_before_it_reveals_its_own() -> None:
    bob, eve = BOB.public_key.peer_id(), EVE.public_key.peer_id()
    initiator = NoiseConnection(ALICE, initiator=True, expected_peer=bob)
    responder = NoiseConnection(EVE, initiator=False)
    responder.receive_data(initiator.data_to_send())
    initiator.receive_data(responder.data_to_send())

    with pytest.raises(RemoteProtocolError, match=exactly(f"expected peer {bob}, this is {eve}")):
        initiator.next_event()
    assert initiator.data_to_send() == b""


@pytest.mark.rule("NOI-08")
def test_a_responder_with_an_expectation_refuses_another_identity() -> None:
    alice, bob = ALICE.public_key.peer_id(), BOB.public_key.peer_id()
    initiator = NoiseConnection(ALICE, initiator=True)
    responder = NoiseConnection(EVE, initiator=False, expected_peer=bob)
    responder.receive_data(initiator.data_to_send())
    feed(initiator, responder.data_to_send())
    responder.receive_data(initiator.data_to_send())

    with pytest.raises(RemoteProtocolError, match=exactly(f"expected peer {bob}, this is {alice}")):
        responder.next_event()


@pytest.mark.rule("NOI-09")
@pytest.mark.parametrize(("initiators", "responders"), [(b"x", b""), (b"", b"x"), (b"x", b"y")])
def test_a_different_prologue_fails(initiators: bytes, responders: bytes) -> None:
    initiator = NoiseConnection(ALICE, initiator=True, prologue=initiators)
    responder = NoiseConnection(BOB, initiator=False, prologue=responders)
    responder.receive_data(initiator.data_to_send())
    initiator.receive_data(responder.data_to_send())

    with pytest.raises(RemoteProtocolError, match=exactly("a Noise message does not authenticate")):
        initiator.next_event()


def test_an_equal_prologue_succeeds() -> None:
    initiator = NoiseConnection(ALICE, initiator=True, prologue=b"x")
    responder = NoiseConnection(BOB, initiator=False, prologue=b"x")

    initiators, responders = shake_hands(initiator, responder)

    assert len(initiators) == len(responders) == 1


@pytest.mark.rule("NOI-04")
def test_a_payload_in_message_one_is_refused_before_it_is_buffered() -> None:
    responder = NoiseConnection(BOB, initiator=False)
    responder.receive_data(b"\x00\x21")

    with pytest.raises(
        FrameTooLarge, match=exactly("Noise message 1 of 33 bytes, at most 32 allowed")
    ):
        responder.next_event()
    assert responder.data_to_send() == b""


@pytest.mark.rule("NOI-03")
@pytest.mark.parametrize("piece_bytes", [None, 1])
@pytest.mark.parametrize("size", [0, 1, 31])
def test_a_first_message_shorter_than_a_key_is_refused(size: int, piece_bytes: int | None) -> None:
    responder = NoiseConnection(BOB, initiator=False)

    with pytest.raises(
        RemoteProtocolError, match=exactly(f"Noise message 1 of {size} bytes, at least 32 needed")
    ):
        feed(responder, framed(bytes(size)), piece_bytes)


def test_handshake_messages_two_and_three_have_a_bounded_size() -> None:
    initiator = NoiseConnection(ALICE, initiator=True)
    initiator.receive_data((96 + MAX_PAYLOAD_BYTES + 1).to_bytes(2, "big"))
    with pytest.raises(
        FrameTooLarge, match=exactly("Noise message 2 of 16481 bytes, at most 16480 allowed")
    ):
        initiator.next_event()

    responder = NoiseConnection(BOB, initiator=False)
    feed(responder, NoiseConnection(ALICE, initiator=True).data_to_send())
    responder.receive_data(b"\x00\x3f")
    with pytest.raises(
        RemoteProtocolError, match=exactly("Noise message 3 of 63 bytes, at least 64 needed")
    ):
        responder.next_event()


def test_the_largest_payload_is_taken() -> None:
    responder = NoiseConnection(BOB, initiator=False)
    core = XXHandshake(initiator=True)
    payload = encode_payload(honest(ALICE)(core))
    filling = MAX_PAYLOAD_BYTES - len(payload) - 3
    payload += b"\x7a" + encode_uvarint(filling) + bytes(filling)  # an unknown field 15
    assert len(payload) == MAX_PAYLOAD_BYTES

    [completed] = feed(responder, speak_as_initiator(responder, payload, core))

    assert isinstance(completed, HandshakeCompleted)


# -- early muxer negotiation ---------------------------------------------------------------


@pytest.mark.rule("NOI-13")
@pytest.mark.parametrize(
    ("initiators", "responders", "muxer"),
    [
        (YAMUX, YAMUX, "/yamux/1.0.0"),
        (["/b", "/a"], ["/a", "/b"], "/b"),
        (["/x", "/a"], ["/a", "/y"], "/a"),
        (["/a"], ["/b"], None),
        ([], ["/a"], None),
        (["/a"], [], None),
        ([], [], None),
    ],
)
def test_both_sides_report_the_same_muxer(
    initiators: list[str], responders: list[str], muxer: str | None
) -> None:
    initiator = NoiseConnection(ALICE, initiator=True, muxers=initiators)
    responder = NoiseConnection(BOB, initiator=False, muxers=responders)

    assert shake_hands(initiator, responder) == (
        [HandshakeCompleted(BOB.public_key, BOB.public_key.peer_id(), muxer)],
        [HandshakeCompleted(ALICE.public_key, ALICE.public_key.peer_id(), muxer)],
    )


@pytest.mark.rule("NOI-13")
@pytest.mark.parametrize(("count", "muxer"), [(100, "/yamux/1.0.0"), (101, None)])
def test_a_peers_list_of_more_than_a_hundred_is_ignored(count: int, muxer: str | None) -> None:
    responder = NoiseConnection(BOB, initiator=False, muxers=YAMUX)
    core = XXHandshake(initiator=True)
    payload = honest(ALICE, [b"/yamux/1.0.0"] * count)(core)

    events = feed(responder, speak_as_initiator(responder, encode_payload(payload), core))

    assert events == [HandshakeCompleted(ALICE.public_key, ALICE.public_key.peer_id(), muxer)]


@pytest.mark.rule("NOI-13")
def test_a_list_with_entries_that_are_no_text_still_counts() -> None:
    responder = NoiseConnection(BOB, initiator=False, muxers=YAMUX)
    core = XXHandshake(initiator=True)
    payload = honest(ALICE, [b"\xff", b"", b"/yamux/1.0.0"])(core)

    [completed] = feed(responder, speak_as_initiator(responder, encode_payload(payload), core))

    assert isinstance(completed, HandshakeCompleted)
    assert completed.muxer == "/yamux/1.0.0"


@pytest.mark.parametrize("muxers", [["/a"] * 101, ["/" + "a" * 8192]])
def test_more_muxers_than_peers_read_are_not_offered(muxers: list[str]) -> None:
    with pytest.raises(
        LocalProtocolError,
        match=exactly("at most 100 muxers and 8192 bytes of their names can be offered"),
    ):
        NoiseConnection(ALICE, initiator=True, muxers=muxers)


# -- order, ends and garbage -------------------------------------------------------------


@pytest.mark.rule("NOI-15")
def test_no_data_can_be_sent_before_the_handshake_is_complete() -> None:
    initiator = NoiseConnection(ALICE, initiator=True)
    responder = NoiseConnection(BOB, initiator=False)
    refused = exactly("no data before the Noise handshake is complete")

    with pytest.raises(LocalProtocolError, match=refused):
        initiator.send_data(b"early")
    first = initiator.data_to_send()
    assert len(frames(first)) == 1
    feed(responder, first)
    with pytest.raises(LocalProtocolError, match=refused):
        responder.send_data(b"early")
    second = responder.data_to_send()
    assert len(frames(second)) == 1
    feed(initiator, second)
    initiator.send_data(b"in time")
    third, data = frames(initiator.data_to_send())
    assert len(data) == len(b"in time") + 16
    assert plaintext(feed(responder, framed(third) + framed(data))) == b"in time"


@pytest.mark.rule("NOI-15")
def test_sealed_frames_in_place_of_a_handshake_message_are_refused() -> None:
    responder = NoiseConnection(BOB, initiator=False)
    feed(responder, NoiseConnection(ALICE, initiator=True).data_to_send())
    responder.receive_data(framed(CipherState(bytes(32)).encrypt(bytes(100))))

    with pytest.raises(RemoteProtocolError, match=exactly("a Noise message does not authenticate")):
        responder.next_event()


@pytest.mark.rule("T19")
def test_a_first_message_glued_to_the_protocol_negotiation_is_not_lost() -> None:
    initiator = NoiseConnection(ALICE, initiator=True)
    listener = MultistreamListener(lambda protocol: protocol == "/noise")
    listener.receive_data(b"\x13/multistream/1.0.0\n\x07/noise\n" + initiator.data_to_send())
    assert listener.next_event() is not None

    responder = NoiseConnection(BOB, initiator=False)
    responder.receive_data(listener.surplus())
    [completed] = feed(initiator, responder.data_to_send())

    assert completed == HandshakeCompleted(BOB.public_key, BOB.public_key.peer_id(), None)


@pytest.mark.parametrize("initiator", [True, False])
def test_the_end_during_the_handshake_is_an_error(initiator: bool) -> None:
    connection = NoiseConnection(ALICE, initiator=initiator)

    with pytest.raises(
        RemoteProtocolError, match=exactly("connection ended during the Noise handshake")
    ):
        connection.receive_eof()


def test_the_end_after_an_error_reports_that_error() -> None:
    connection = NoiseConnection(ALICE, initiator=False)
    connection.receive_data(b"\x00\x00")

    with pytest.raises(
        RemoteProtocolError, match=exactly("Noise message 1 of 0 bytes, at least 32 needed")
    ):
        connection.receive_eof()


def chunks(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    """`data` in pieces of these sizes, taken in turn."""
    pieces, start, turn = [], 0, 0
    while start < len(data):
        pieces.append(data[start : start + sizes[turn % len(sizes)]])
        start += sizes[turn % len(sizes)]
        turn += 1
    return pieces


piece_sizes = st.lists(st.integers(1, 300) | st.integers(1, 70_000), min_size=1, max_size=20)


def try_to_read(connection: NoiseConnection, data: bytes, sizes: Sequence[int]) -> None:
    """Lets everything out but RemoteProtocolError."""
    with suppress(RemoteProtocolError):
        for piece in chunks(data, sizes):
            feed(connection, piece)
        connection.receive_eof()


@pytest.mark.rule("NOI-07")
@settings(max_examples=200, deadline=None)
@given(
    garbage=st.binary(max_size=400) | st.binary(max_size=400).map(framed),
    sizes=piece_sizes,
    initiator=st.booleans(),
    greeted=st.booleans(),
)
def test_garbage_as_handshake_raises_only_remote_protocol_errors(
    garbage: bytes, sizes: list[int], initiator: bool, greeted: bool
) -> None:
    connection = NoiseConnection(ALICE, initiator=initiator)
    if greeted and not initiator:
        feed(connection, NoiseConnection(BOB, initiator=True).data_to_send())

    try_to_read(connection, garbage, sizes)

    with pytest.raises(LocalProtocolError):
        connection.send_data(b"to nobody")


@pytest.mark.rule("NOI-07")
@settings(max_examples=200, deadline=None)
@given(
    payload=st.binary(max_size=200)
    | st.builds(
        lambda key, signature: encode_payload(NoisePayload(key, signature)),
        st.binary(max_size=60)
        | st.builds(
            lambda kind, key: bytes([8, kind, 18, len(key)]) + key,
            st.integers(0, 5),
            st.binary(max_size=100),
        ),
        st.binary(max_size=80),
    ),
    initiator=st.booleans(),
)
def test_a_sealed_payload_of_garbage_raises_only_remote_protocol_errors(
    payload: bytes, initiator: bool
) -> None:
    connection = NoiseConnection(ALICE, initiator=initiator)
    core = XXHandshake(initiator=not initiator)
    script = answer_as_responder if initiator else speak_as_initiator
    connection.receive_data(script(connection, payload, core))

    with pytest.raises(RemoteProtocolError) as refusal:
        connection.next_event()
    assert refusal.value.fatal_to == "connection"
    assert connection.data_to_send() == b""
