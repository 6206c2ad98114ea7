"""Protobuf fields of keys, signed records and handshake payloads: two to four each.

The reading and writing is `gossipsub.wire.protobuf`; here a field is only its number and value.
Signatures and peer ids are taken over these bytes, so the callers write every field themselves,
in order, and also a key type of 0 (proto3 writers leave that out, trap T18).
"""

from __future__ import annotations

from collections.abc import Iterator

from gossipsub.wire.protobuf import BYTES, VARINT, iter_fields
from gossipsub.wire.protobuf import encode_bytes_field as bytes_field
from gossipsub.wire.protobuf import encode_varint_field as varint_field

__all__ = ["bytes_field", "read_fields", "varint_field"]


def read_fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each varint (int) and length-delimited (bytes) field, in order.

    Fixed-width fields are skipped, none of ours is one. Raises RemoteProtocolError where `data`
    is no protobuf message or has more than 1024 fields.
    """
    for number, wire_type, value, _, _ in iter_fields(data):
        if wire_type in (VARINT, BYTES):
            yield number, value
