"""Faults of Noise."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.crypto import noise, noise_payload
from gossipsub.crypto.fields import read_fields
from gossipsub.crypto.keys import PrivateKey, PublicKey
from gossipsub.crypto.noise import NoiseConnection
from gossipsub.crypto.noise_core import CipherState, XXHandshake
from gossipsub.crypto.noise_payload import NoisePayload, encode_payload
from gossipsub.crypto.peer_id import PeerId
from gossipsub.transport import upgrade
from gossipsub.wire.errors import RemoteProtocolError


@fault
def the_prologue_is_not_empty() -> None:
    def handshake(
        *,
        initiator: bool,
        static_key: X25519PrivateKey | None,
        ephemeral_key: X25519PrivateKey | None,
        prologue: bytes,
    ) -> XXHandshake:
        return XXHandshake(
            initiator=initiator, static_key=static_key, ephemeral_key=ephemeral_key, prologue=b"x"
        )

    replace(noise, "XXHandshake", handshake)


@fault
def ephemeral_keys_are_used_again() -> None:
    key = X25519PrivateKey.generate()

    def handshake(**options: Any) -> XXHandshake:
        return XXHandshake(**options | {"ephemeral_key": key})

    replace(noise, "XXHandshake", handshake)


@fault
def lengths_are_little_endian() -> None:
    def queue(self: NoiseConnection, message: bytes) -> None:
        self._outgoing.append(len(message).to_bytes(2, "little"))
        self._outgoing.append(message)

    replace(NoiseConnection, "_queue", queue)


@fault
def message_1_has_a_payload() -> None:
    original = XXHandshake.write_message

    def write_message(self: XXHandshake, payload: bytes) -> bytes:
        return original(self, payload if self.messages else b"early")

    replace(XXHandshake, "write_message", write_message)


@fault
def unknown_payload_fields_are_refused() -> None:
    def decode_payload(data: bytes) -> NoisePayload:
        if any(number not in (1, 2, 4) for number, _ in read_fields(data)):
            raise RemoteProtocolError("an unknown field")
        return noise_payload.decode_payload(data)

    replace(noise, "decode_payload", decode_payload)


@fault
def the_signed_key_has_no_prefix() -> None:
    def our_payload(self: NoiseConnection) -> bytes:
        key, static = self._identity, self._handshake.static_public_key
        payload = NoisePayload(key.public_key.encode(), key.sign(static), self._muxers)
        return encode_payload(payload)

    replace(NoiseConnection, "_our_payload", our_payload)


@fault
def signatures_are_not_verified() -> None:
    replace(PublicKey, "verify", lambda self, data, signature: True)


@fault
def any_peer_will_do() -> None:
    def connection(
        identity: PrivateKey, *, initiator: bool, expected_peer: PeerId | None, muxers: list[str]
    ) -> NoiseConnection:
        return NoiseConnection(identity, initiator=initiator, muxers=muxers)

    replace(upgrade, "NoiseConnection", connection)


@fault
def large_noise_frames_are_refused() -> None:
    original = CipherState.decrypt

    def decrypt(
        self: CipherState, ciphertext: bytes, associated_data: bytes | None = None
    ) -> bytes:
        if len(ciphertext) > 32768:
            raise RemoteProtocolError("a large frame")
        return original(self, ciphertext, associated_data)

    replace(CipherState, "decrypt", decrypt)


@fault
def frames_that_do_not_authenticate_are_skipped() -> None:
    original = CipherState.decrypt

    def decrypt(
        self: CipherState, ciphertext: bytes, associated_data: bytes | None = None
    ) -> bytes:
        with suppress(RemoteProtocolError):
            return original(self, ciphertext, associated_data)
        self._nonce += 1
        return b""

    replace(CipherState, "decrypt", decrypt)


@fault
def lists_of_muxers_are_not_read() -> None:
    replace(noise, "choose_muxer", lambda ours, theirs, initiator: None)


@fault
def yamux_is_taken_for_granted() -> None:
    async def agree_on_muxer(socket: object, connection: object, outbound: bool) -> bytes:
        return b""

    replace(upgrade, "_agree_on_muxer", agree_on_muxer)


@fault
def a_listener_speaks_before_message_3() -> None:
    original = NoiseConnection._read_handshake_message

    def read_handshake_message(self: NoiseConnection, message: bytes) -> None:
        original(self, message)
        if self._handshake.messages == 2:
            self._queue(bytes(32))

    replace(NoiseConnection, "_read_handshake_message", read_handshake_message)
