"""The libp2p Noise secure channel (noise/README.md), without I/O.

Every message has a 2-byte big-endian length in front. Three handshake messages prove to each
side the other's identity key and may settle the muxer; from then on the frames are a byte stream
whose borders mean nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from gossipsub.crypto.keys import PrivateKey, PublicKey
from gossipsub.crypto.noise_core import KEY_BYTES, TAG_BYTES, CipherState, XXHandshake
from gossipsub.crypto.noise_payload import (
    MAX_MUXERS,
    NoisePayload,
    bytes_to_sign,
    choose_muxer,
    decode_payload,
    encode_payload,
)
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import FrameTooLarge, LocalProtocolError, RemoteProtocolError

MAX_PLAINTEXT_BYTES = 65535 - TAG_BYTES
"""What one frame can carry: 65519 bytes."""

MAX_PAYLOAD_BYTES = 16384
"""Largest handshake payload taken; an RSA-8192 identity and a full list of muxers need 5 KiB."""

_MAX_MUXERS_BYTES = 8192
_PREFIX_BYTES = 2

# The size of each handshake message without its payload. Message 1 has none in libp2p: it would
# travel in clear and from nobody known.
_HANDSHAKE_BYTES = (
    KEY_BYTES,
    KEY_BYTES + (KEY_BYTES + TAG_BYTES) + TAG_BYTES,
    (KEY_BYTES + TAG_BYTES) + TAG_BYTES,
)
_PAYLOAD_LIMITS = (0, MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES)


@dataclass(slots=True)
class HandshakeCompleted:
    """The peer proved its identity; from here on data flows both ways."""

    remote_public_key: PublicKey
    remote_peer: PeerId
    muxer: str | None
    """What both sides agreed on within the handshake, or None: use multistream-select."""


@dataclass(slots=True)
class DataReceived:
    """The next bytes of the stream, never empty."""

    data: bytes


Event = HandshakeCompleted | DataReceived


class NoiseConnection:
    """One side of a Noise channel.

    After every `receive_data` take the events, then send what `data_to_send` gives. The
    initiator's first message waits there from the start.

    `expected_peer` refuses any other identity, before ours is revealed if we are the initiator.
    `muxers` are offered for early negotiation, most wanted first; LocalProtocolError for more than
    100 or 8 KiB of them. Static and ephemeral keys are fresh unless given; an ephemeral key must
    never serve twice.
    """

    def __init__(
        self,
        identity: PrivateKey,
        *,
        initiator: bool,
        expected_peer: PeerId | None = None,
        muxers: Sequence[str] = (),
        static_key: X25519PrivateKey | None = None,
        ephemeral_key: X25519PrivateKey | None = None,
        prologue: bytes = b"",
    ) -> None:
        self._identity = identity
        self._initiator = initiator
        self._expected_peer = expected_peer
        self._muxers = _checked_muxers(muxers)
        self._handshake = XXHandshake(
            initiator=initiator,
            static_key=static_key,
            ephemeral_key=ephemeral_key,
            prologue=prologue,
        )
        self._sending: CipherState | None = None
        self._receiving: CipherState | None = None
        self._buffer = bytearray()  # less than one frame between calls
        self._outgoing: list[bytes] = []
        self._events: deque[Event] = deque()
        self._failure: RemoteProtocolError | None = None
        if initiator:
            self._queue(self._handshake.write_message(b""))

    def receive_data(self, data: bytes | memoryview) -> None:
        """Take bytes of the connection, cut anywhere. Never raises for them: `next_event` does.
        A memoryview may change when this has returned."""
        if self._failure is not None:
            return
        try:
            if self._receiving is None:
                data = self._receive_handshake(data)
            if self._receiving is not None and data:
                self._receive_frames(data, self._receiving)
        except RemoteProtocolError as failure:
            self._failure = failure
            self._buffer = bytearray()  # the old one may be in use: the traceback keeps views

    def receive_eof(self) -> None:
        """The connection ended.

        Raises RemoteProtocolError when that cuts short the handshake or a frame, or when
        something received before was wrong; `next_event` still gives what came before, then
        raises the same.
        """
        if self._failure is None:
            if self._receiving is None:
                self._failure = RemoteProtocolError("connection ended during the Noise handshake")
            elif self._buffer:
                self._failure = RemoteProtocolError("connection ended within a Noise frame")
        if self._failure is not None:
            raise self._failure

    def next_event(self) -> Event | None:
        """The next event, or None until more is received.

        Raises RemoteProtocolError, on this and every later call, once the events before the
        offending bytes are taken: a handshake that fails in any way, another identity than
        expected, a frame that does not authenticate.
        """
        if self._events:
            return self._events.popleft()
        if self._failure is not None:
            raise self._failure
        return None

    def send_data(self, plaintext: bytes) -> None:
        """Seal bytes of the stream into as few frames as possible.

        LocalProtocolError before the handshake is complete, or when the nonces are used up; then
        nothing of `plaintext` is queued.
        """
        if self._sending is None:
            raise LocalProtocolError("no data before the Noise handshake is complete")
        if len(plaintext) <= MAX_PLAINTEXT_BYTES:
            if plaintext:
                self._queue(self._sending.encrypt(plaintext))
            return
        with memoryview(plaintext) as view:
            frames = [
                self._sending.encrypt(view[start : start + MAX_PLAINTEXT_BYTES])
                for start in range(0, len(plaintext), MAX_PLAINTEXT_BYTES)
            ]
        for frame in frames:
            self._queue(frame)

    def data_to_send(self) -> bytes:
        """Everything that waits to be sent; the caller owns it then."""
        if not self._outgoing:
            return b""
        drained = b"".join(self._outgoing)
        self._outgoing.clear()
        return drained

    def _queue(self, message: bytes) -> None:
        self._outgoing.append(len(message).to_bytes(_PREFIX_BYTES, "big"))
        self._outgoing.append(message)

    # -- handshake -------------------------------------------------------------------------

    def _receive_handshake(self, data: bytes | memoryview) -> bytes:
        """Returns the bytes behind the last handshake message, b"" until that has come."""
        buffer = self._buffer
        buffer += data
        while self._receiving is None:
            if len(buffer) < _PREFIX_BYTES:
                return b""
            end = _PREFIX_BYTES + self._checked_size(int.from_bytes(buffer[:_PREFIX_BYTES], "big"))
            if len(buffer) < end:
                return b""
            message = bytes(buffer[_PREFIX_BYTES:end])
            del buffer[:end]
            self._read_handshake_message(message)
        surplus = bytes(buffer)
        buffer.clear()
        return surplus

    def _checked_size(self, size: int) -> int:
        number = self._handshake.messages
        least = _HANDSHAKE_BYTES[number]
        most = least + _PAYLOAD_LIMITS[number]
        if size > most:
            raise FrameTooLarge(
                f"Noise message {number + 1} of {size} bytes, at most {most} allowed"
            )
        if size < least:
            raise RemoteProtocolError(
                f"Noise message {number + 1} of {size} bytes, at least {least} needed"
            )
        return size

    def _read_handshake_message(self, message: bytes) -> None:
        handshake = self._handshake
        payload = handshake.read_message(message)
        if handshake.messages == 1:
            self._queue(handshake.write_message(self._our_payload()))
            return
        # The peer is verified before message 3 is written: an impostor learns nothing of us.
        completed = self._verify(decode_payload(payload))
        if not handshake.complete:
            self._queue(handshake.write_message(self._our_payload()))
        self._sending, self._receiving = handshake.split()
        self._events.append(completed)

    def _our_payload(self) -> bytes:
        return encode_payload(
            NoisePayload(
                identity_key=self._identity.public_key.encode(),
                identity_signature=self._identity.sign(
                    bytes_to_sign(self._handshake.static_public_key)
                ),
                muxers=self._muxers,
            )
        )

    def _verify(self, payload: NoisePayload) -> HandshakeCompleted:
        public_key = PublicKey.decode(payload.identity_key)
        signed = bytes_to_sign(self._handshake.remote_static_public_key)
        if not public_key.verify(signed, payload.identity_signature):
            raise RemoteProtocolError("the identity key did not sign the Noise static key")
        peer = public_key.peer_id()
        if self._expected_peer is not None and peer != self._expected_peer:
            raise RemoteProtocolError(f"expected peer {self._expected_peer}, this is {peer}")
        muxer = choose_muxer(self._muxers, payload.muxers, initiator=self._initiator)
        return HandshakeCompleted(public_key, peer, None if muxer is None else muxer.decode())

    # -- data ------------------------------------------------------------------------------

    def _receive_frames(self, data: bytes | memoryview, cipher: CipherState) -> None:
        """Open every complete frame; keep the rest."""
        buffer = self._buffer
        if not buffer:
            consumed = self._open_frames(data, cipher)
            if consumed < len(data):
                buffer += memoryview(data)[consumed:]
            return
        buffer += data
        consumed = self._open_frames(buffer, cipher)
        if consumed:
            del buffer[:consumed]

    def _open_frames(self, source: bytes | bytearray | memoryview, cipher: CipherState) -> int:
        """Queue the joined plaintext of the complete frames; returns how many bytes they took."""
        opened: list[bytes] = []
        offset, end = 0, len(source)
        view = memoryview(source)
        try:
            while end - offset >= _PREFIX_BYTES:
                size = view[offset] << 8 | view[offset + 1]
                if size < TAG_BYTES:
                    raise RemoteProtocolError(f"Noise frame of {size} bytes, shorter than a tag")
                start = offset + _PREFIX_BYTES
                if start + size > end:
                    break
                plaintext = cipher.decrypt(view[start : start + size])
                offset = start + size
                if plaintext:  # empty frames are legal and say nothing
                    opened.append(plaintext)
        finally:  # a bad frame must not take the good ones before it along
            view.release()
            if opened:
                self._events.append(
                    DataReceived(opened[0] if len(opened) == 1 else b"".join(opened))
                )
        return offset


def _checked_muxers(muxers: Sequence[str]) -> list[bytes]:
    encoded = [muxer.encode() for muxer in muxers]
    if len(encoded) > MAX_MUXERS or sum(map(len, encoded)) > _MAX_MUXERS_BYTES:
        raise LocalProtocolError(
            f"at most {MAX_MUXERS} muxers and {_MAX_MUXERS_BYTES} bytes of their names"
            " can be offered"
        )
    return encoded
