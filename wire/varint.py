"""Unsigned varints (multiformats unsigned-varint; also the integers of protobuf).

Both take at most ten bytes here and stay below 2^64. `decode_uvarint` is the strict reader of
length prefixes: it also refuses an encoding that is longer than needed.
"""

from __future__ import annotations

from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError

MAX_UVARINT_BYTES = 10
MAX_UVARINT = 2**64 - 1

_ONE_BYTE = tuple(bytes((n,)) for n in range(128))


def encode_uvarint(n: int) -> bytes:
    """The shortest encoding of `n`; LocalProtocolError outside 0 … 2^64-1."""
    if 0 <= n < 128:
        return _ONE_BYTE[n]
    if 128 <= n < 16384:
        return bytes((n & 0x7F | 0x80, n >> 7))
    if not 0 <= n <= MAX_UVARINT:
        raise LocalProtocolError(f"a varint holds 0 to 2^64-1, not {n}")
    encoded = bytearray()
    while n >= 128:
        encoded.append(n & 0x7F | 0x80)
        n >>= 7
    encoded.append(n)
    return bytes(encoded)


def uvarint_size(n: int) -> int:
    """How many bytes `encode_uvarint(n)` has."""
    return 1 if n < 128 else (n.bit_length() + 6) // 7


def decode_uvarint(
    buffer: bytes | bytearray | memoryview, offset: int = 0
) -> tuple[int, int] | None:
    """Read one varint at `offset`: its value and the offset behind it, or None when cut short.

    Raises RemoteProtocolError as soon as the bytes at hand cannot become a valid varint: more
    than ten bytes, a value above 2^64-1, or not the shortest encoding ("minimally encoded",
    unsigned-varint specification).
    """
    value = shift = 0
    for index in range(offset, min(len(buffer), offset + MAX_UVARINT_BYTES)):
        byte = buffer[index]
        if byte < 128:
            if byte == 0 and shift:
                raise RemoteProtocolError("varint is not minimally encoded")
            value |= byte << shift
            if value > MAX_UVARINT:
                raise RemoteProtocolError("varint above 2^64-1")
            return value, index + 1
        value |= (byte & 0x7F) << shift
        shift += 7
    if shift == 7 * MAX_UVARINT_BYTES:
        raise RemoteProtocolError("varint longer than 10 bytes")
    return None
