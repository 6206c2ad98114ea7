"""Peer records: addresses that a peer signed itself (libp2p RFC 0003, "Routing Records").

The RFC's text names another domain and type than all implementations use; these are theirs.
Addresses stay bytes here: whether one is a multiaddr is decided where addresses are parsed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from gossipsub.crypto.envelope import SignedEnvelope
from gossipsub.crypto.fields import bytes_field, read_fields, varint_field
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError

DOMAIN = "libp2p-peer-record"
PAYLOAD_TYPE = b"\x03\x01"

MAX_ADDRESSES = 128
"""Addresses read from one record; those behind are left out."""


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """Where a peer says it can be reached. `seq` only orders the records of one peer."""

    peer_id: PeerId
    seq: int
    addresses: Sequence[bytes] = ()

    @classmethod
    def open(cls, envelope: bytes, *, peer: bytes | None = None) -> Self:
        """Read a record from its signed envelope.

        Raises RemoteProtocolError unless the signature is good, the signer is the peer the
        record is about, and, if `peer` is given, that is the one expected. The signature is
        checked before the record is decoded.
        """
        sealed = SignedEnvelope.open(envelope, domain=DOMAIN, payload_type=PAYLOAD_TYPE)
        record = cls.decode(sealed.payload)
        if record.peer_id != sealed.public_key.peer_id():
            raise RemoteProtocolError("peer record was signed by another peer")
        if peer is not None and record.peer_id != peer:
            raise RemoteProtocolError(f"peer record is about {record.peer_id}")
        return record

    def seal(self, key: PrivateKey) -> bytes:
        """The encoded envelope; LocalProtocolError if `key` is not this peer's."""
        if key.peer_id() != self.peer_id:
            raise LocalProtocolError(f"only {self.peer_id} can sign this record")
        sealed = SignedEnvelope.seal(
            key, domain=DOMAIN, payload_type=PAYLOAD_TYPE, payload=self.encode()
        )
        return sealed.encode()

    def supersedes(self, known: PeerRecord | None) -> bool:
        """Whether to keep this record instead of `known`, an earlier one of the same peer."""
        return known is None or self.seq > known.seq

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read the payload of an envelope.

        An address that is empty or broken is left out and the rest is used, as go does; none at
        all is legal. Raises RemoteProtocolError for other defects.
        """
        peer_id: PeerId | None = None
        seq = 0
        addresses: list[bytes] = []
        for number, value in read_fields(payload):
            if number == 1 and isinstance(value, bytes):
                peer_id = PeerId.from_bytes(value)
            elif number == 2 and isinstance(value, int):
                seq = value
            elif number == 3 and isinstance(value, bytes) and len(addresses) < MAX_ADDRESSES:
                address = _read_address(value)
                if address:
                    addresses.append(address)
        if peer_id is None:
            raise RemoteProtocolError("peer record without a peer id")
        return cls(peer_id, seq, tuple(addresses))

    def encode(self) -> bytes:
        """The payload; empty addresses are left out, js refuses a record that has one."""
        seq = varint_field(2, self.seq) if self.seq else b""
        addresses = (bytes_field(3, bytes_field(1, entry)) for entry in self.addresses if entry)
        return bytes_field(1, self.peer_id) + seq + b"".join(addresses)


def next_seq(previous: int | None, clock: int) -> int:
    """The number of our next own record: `clock`, a time, unless that would not be higher.

    RFC 0003 asks for numbers that only grow; a clock set back must not silence us.
    """
    return clock if previous is None else max(clock, previous + 1)


def _read_address(info: bytes) -> bytes:
    """The multiaddr of an AddressInfo, or nothing if it is broken."""
    address = b""
    try:
        for number, value in read_fields(info):
            if number == 1 and isinstance(value, bytes):
                address = value
    except RemoteProtocolError:
        return b""
    return address
