"""Protobuf fields by hand, for the tiny messages: identify, keys, envelopes, Noise payloads.

Strict where that costs honest peers nothing: varints must be minimal and groups (wire types 3
and 4, gone since proto2) are refused. The RPC has its own codec in `rpc_codec`.
"""

from __future__ import annotations

from collections.abc import Iterator

from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError
from gossipsub.wire.varint import decode_uvarint, encode_uvarint

VARINT = 0
FIXED64 = 1
BYTES = 2
FIXED32 = 5

MAX_FIELD_NUMBER = 2**29 - 1

_FIXED_SIZES = {FIXED64: 8, FIXED32: 4}

Field = tuple[int, int, int | bytes, int, int]
"""Field number, wire type, value, and where the field starts (its tag) and ends in the data."""


def iter_fields(data: bytes, *, max_fields: int = 1024) -> Iterator[Field]:
    """The fields of one message in the order received, repeated ones included.

    A value is bytes for wire type 2, otherwise an unsigned int. Nothing is checked beyond the
    field being yielded, so run it to its end before you trust the message. Raises
    RemoteProtocolError for malformed bytes and above `max_fields` fields.
    """
    offset = count = 0
    while offset < len(data):
        count += 1
        if count > max_fields:
            raise RemoteProtocolError(f"protobuf message has more than {max_fields} fields")
        start = offset
        tag, offset = _read_varint(data, offset)
        number, wire_type = tag >> 3, tag & 7
        if not 0 < number <= MAX_FIELD_NUMBER:
            raise RemoteProtocolError(f"protobuf field number {number} does not exist")
        value: int | bytes
        if wire_type == VARINT:
            value, offset = _read_varint(data, offset)
        elif wire_type == BYTES:
            size, offset = _read_varint(data, offset)
            value = _read_bytes(data, offset, size)
            offset += size
        elif wire_type in _FIXED_SIZES:
            size = _FIXED_SIZES[wire_type]
            value = int.from_bytes(_read_bytes(data, offset, size), "little")
            offset += size
        else:
            raise RemoteProtocolError(f"protobuf wire type {wire_type} is not supported")
        yield number, wire_type, value, start, offset


def encode_bytes_field(number: int, value: bytes) -> bytes:
    """One length-delimited field (bytes, string, submessage), tag included."""
    return _encode_tag(number, BYTES) + encode_uvarint(len(value)) + value


def encode_varint_field(number: int, value: int) -> bytes:
    """One varint field (uint64, bool, enum), tag included; `value` is 0 … 2^64-1."""
    return _encode_tag(number, VARINT) + encode_uvarint(value)


def _encode_tag(number: int, wire_type: int) -> bytes:
    if not 0 < number <= MAX_FIELD_NUMBER:
        raise LocalProtocolError(f"protobuf field numbers are 1 to 2^29-1, not {number}")
    return encode_uvarint(number << 3 | wire_type)


def _read_varint(data: bytes, offset: int) -> tuple[int, int]:
    read = decode_uvarint(data, offset)
    if read is None:
        raise RemoteProtocolError("protobuf message ends inside a varint")
    return read


def _read_bytes(data: bytes, offset: int, size: int) -> bytes:
    if size > len(data) - offset:
        raise RemoteProtocolError("protobuf field is longer than its message")
    return data[offset : offset + size]
