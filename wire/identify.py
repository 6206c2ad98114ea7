"""Identify and identify push: who a peer is, what it speaks, where it listens (libp2p identify).

The responder of `/ipfs/id/1.0.0`, and the opener of `/ipfs/id/push/1.0.0`, writes one
length-delimited message and closes its writing half: go reads to the end of the stream and takes
a peer that leaves it open for unidentified. Readers merge several messages, because go sends the
signed record by itself when the whole exceeds 2 KiB.

Addresses, keys and records stay the bytes they were: whoever uses them skips malformed addresses
and adopts no public key but the one Noise proved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError
from gossipsub.wire.framing import FrameReader, encode_frame
from gossipsub.wire.protobuf import encode_bytes_field, iter_fields

PROTOCOL = "/ipfs/id/1.0.0"
PUSH_PROTOCOL = "/ipfs/id/push/1.0.0"

MAX_SENT_BYTES = 4096
"""Largest answer of ours, length prefix included: rust reads one message of at most 4 KiB."""
MAX_PART_BYTES = 8192
"""Largest message read, as in go."""
MAX_PARTS = 10
"""Most messages read from one stream, as in go; so one peer costs at most 80 KiB."""
MAX_PROTOCOLS = 1000
MAX_PROTOCOL_BYTES = 256
MAX_ADDRESSES = 200

_PUBLIC_KEY = 1
_LISTEN_ADDRESS = 2
_PROTOCOL = 3
_OBSERVED_ADDRESS = 4
_PROTOCOL_VERSION = 5
_AGENT_VERSION = 6
_SIGNED_PEER_RECORD = 8

_UNSAID: tuple[object, ...] = (None, (), [])

_MAX_FIELDS = MAX_PROTOCOLS + MAX_ADDRESSES + 64
"""Fields of one message: both lists and room for the single fields and unknown ones."""


@dataclass(slots=True)
class Identify:
    """What a peer says of itself; None and an empty list mean: not said."""

    public_key: bytes | None = None
    """Encoded PublicKey; rust refuses an answer without it."""
    listen_addresses: Sequence[bytes] = ()
    """Multiaddrs without the peer id at their end."""
    protocols: Sequence[str] = ()
    """Every protocol served; go opens pubsub streams only to peers that list one."""
    observed_address: bytes | None = None
    """Where the receiver of this message is seen from; remote, not checkable."""
    protocol_version: str | None = None
    agent_version: str | None = None
    signed_peer_record: bytes | None = None
    """Encoded signed envelope with a peer record."""


def encode_identify(identify: Identify) -> bytes:
    """One length-prefixed message, fields in the order of their numbers.

    Raises LocalProtocolError above 4096 bytes in all, 1000 protocols, 256 bytes for one protocol
    or 200 addresses; nothing is left out to make it fit.
    """
    protocols = [protocol.encode() for protocol in identify.protocols]
    if len(protocols) > MAX_PROTOCOLS or len(identify.listen_addresses) > MAX_ADDRESSES:
        raise LocalProtocolError("identify: at most 1000 protocols and 200 addresses")
    if any(len(protocol) > MAX_PROTOCOL_BYTES for protocol in protocols):
        raise LocalProtocolError("identify: a protocol name has at most 256 bytes")
    values: list[tuple[int, bytes | None]] = [(_PUBLIC_KEY, identify.public_key)]
    values += [(_LISTEN_ADDRESS, address) for address in identify.listen_addresses]
    values += [(_PROTOCOL, protocol) for protocol in protocols]
    values.append((_OBSERVED_ADDRESS, identify.observed_address))
    values.append((_PROTOCOL_VERSION, _encode_text(identify.protocol_version)))
    values.append((_AGENT_VERSION, _encode_text(identify.agent_version)))
    values.append((_SIGNED_PEER_RECORD, identify.signed_peer_record))
    message = encode_frame(
        b"".join(encode_bytes_field(number, value) for number, value in values if value is not None)
    )
    if len(message) > MAX_SENT_BYTES:
        raise LocalProtocolError(f"identify: {len(message)} bytes, some peers read at most 4096")
    return message


def apply_push(known: Identify, push: Identify) -> Identify:
    """What is known of a peer after its push: what the push says replaces, the rest stays.

    go takes a missing protocol list for an empty one, so send whole messages only. A public key
    in the push replaces the known one too: compare it with the authenticated peer first.
    """
    said = {field.name: getattr(push, field.name) for field in fields(push)}
    return replace(known, **{name: value for name, value in said.items() if value not in _UNSAID})


class IdentifyReader:
    """Reads an answer or a push to the end of its stream and merges its messages.

    The last of a single field counts, lists are joined. At most 10 messages of at most 8 KiB,
    1000 protocols of at most 256 bytes, and 200 addresses. Every RemoteProtocolError is fatal to
    the stream only: a peer that cannot be identified may still speak pubsub.
    """

    def __init__(self) -> None:
        self._frames = FrameReader(MAX_PART_BYTES)
        self._parts = 0
        self._addresses: list[bytes] = []
        self._protocols: list[str] = []
        self._single: dict[int, bytes] = {}
        self._failure: RemoteProtocolError | None = None

    def receive_data(self, data: bytes) -> None:
        """Take bytes of the stream, cut anywhere.

        Raises RemoteProtocolError at once, so that nobody reads on for nothing.
        """
        self._raise_failure()
        self._frames.receive_data(data)
        try:
            while (part := self._frames.next_frame()) is not None:
                self._parts += 1
                if self._parts > MAX_PARTS:
                    raise RemoteProtocolError("identify: more than 10 messages")
                self._merge(part)
        except RemoteProtocolError as error:
            self._fail(error)

    def receive_eof(self) -> None:
        """The peer closed its writing half; RemoteProtocolError inside or before a message."""
        self._raise_failure()
        try:
            self._frames.receive_eof()
            if not self._parts:
                raise RemoteProtocolError("identify: closed without a message")
        except RemoteProtocolError as error:
            self._fail(error)

    def result(self) -> Identify:
        """What the messages say together: all of them after `receive_eof`, before it those so far.

        Raises LocalProtocolError before the first whole message, and the RemoteProtocolError of
        a stream that failed.
        """
        self._raise_failure()
        if not self._parts:
            raise LocalProtocolError("identify: no message was received yet")
        single = self._single
        return Identify(
            public_key=single.get(_PUBLIC_KEY),
            listen_addresses=list(self._addresses),
            protocols=list(self._protocols),
            observed_address=single.get(_OBSERVED_ADDRESS),
            protocol_version=_decode_text(single.get(_PROTOCOL_VERSION)),
            agent_version=_decode_text(single.get(_AGENT_VERSION)),
            signed_peer_record=single.get(_SIGNED_PEER_RECORD),
        )

    def _merge(self, part: bytes) -> None:
        for number, _, value, _, _ in iter_fields(part, max_fields=_MAX_FIELDS):
            if not isinstance(value, bytes):
                continue  # protobuf: a known number with another wire type is an unknown field
            if number == _LISTEN_ADDRESS:
                self._addresses.append(value)
            elif number == _PROTOCOL:
                if len(value) > MAX_PROTOCOL_BYTES:
                    raise RemoteProtocolError("identify: protocol name above 256 bytes")
                self._protocols.append(_decode_utf8(value))
            elif number in _SINGLE_FIELDS:
                if number in _TEXT_FIELDS:
                    _decode_utf8(value)
                self._single[number] = value
        if len(self._addresses) > MAX_ADDRESSES:
            raise RemoteProtocolError("identify: more than 200 addresses")
        if len(self._protocols) > MAX_PROTOCOLS:
            raise RemoteProtocolError("identify: more than 1000 protocols")

    def _fail(self, error: RemoteProtocolError) -> None:
        error.fatal_to = "stream"  # whatever layer noticed it
        self._failure = error
        raise error

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


_TEXT_FIELDS = frozenset((_PROTOCOL_VERSION, _AGENT_VERSION))
_SINGLE_FIELDS = _TEXT_FIELDS | {_PUBLIC_KEY, _OBSERVED_ADDRESS, _SIGNED_PEER_RECORD}


def _encode_text(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _decode_text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _decode_utf8(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise RemoteProtocolError("identify: text that is not UTF-8") from error
