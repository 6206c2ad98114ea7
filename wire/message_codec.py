"""Published messages to bytes and back, by hand (pubsub "The Message", `rpc.proto`).

They are the hot path, the exact bytes of each are kept for forwarding, and fields we do not know
must survive, since they are signed as well.
"""

from __future__ import annotations

from gossipsub.wire.errors import RemoteProtocolError
from gossipsub.wire.rpc import Message
from gossipsub.wire.varint import decode_uvarint, encode_uvarint

# Tags: number << 3 | wire type 2 (length-delimited).
_FROM, _DATA, _SEQNO = b"\x0a", b"\x12", b"\x1a"
_TOPIC, _SIGNATURE, _KEY = b"\x22", b"\x2a", b"\x32"
_KNOWN_TAGS = frozenset((0x0A, 0x12, 0x1A, 0x22, 0x2A, 0x32))
_LAST_KNOWN_NUMBER = 6
_MAX_TAG = 2**32 - 1


def encode_message(message: Message) -> bytes:
    """The submessage's bytes: `message.encoding`, which is set if it was not.

    Known fields in the order of their numbers, each at most once, then the unknown ones: the
    form in which every implementation writes them.
    """
    if message.encoding is None:
        return encode_signed(message, signed_fields(message))
    return message.encoding


def encode_signed(message: Message, parts: list[bytes]) -> bytes:
    """`encode_message` where the `signed_fields` are known."""
    if (value := message.signature) is not None:
        parts += (_SIGNATURE, encode_uvarint(len(value)), value)
    if (value := message.key) is not None:
        parts += (_KEY, encode_uvarint(len(value)), value)
    if message.unknown:
        parts.append(message.unknown)
    message.encoding, message.signed_bytes = b"".join(parts), 0
    return message.encoding


def bytes_to_sign(message: Message) -> bytes:
    """What a signature covers, without the prefix "libp2p-pubsub:".

    The fields from, data, seqno and topic, then the unknown ones ("includes any fields not
    recognized", pubsub "Message Signing"). The specification leaves out only `signature`; go,
    rust, js and nim all leave out `key` too, and so do we.
    """
    if message.signed_bytes and message.encoding is not None:
        return message.encoding[: message.signed_bytes]
    parts = signed_fields(message)
    parts.append(message.unknown)
    return b"".join(parts)


def signed_fields(message: Message) -> list[bytes]:
    """The known fields that a signature covers; `bytes_to_sign` before the unknown ones."""
    parts: list[bytes] = []
    if (value := message.from_peer) is not None:
        parts += (_FROM, encode_uvarint(len(value)), value)
    if (value := message.data) is not None:
        parts += (_DATA, encode_uvarint(len(value)), value)
    if (value := message.seqno) is not None:
        parts += (_SEQNO, encode_uvarint(len(value)), value)
    value = message.topic.encode()
    parts += (_TOPIC, encode_uvarint(len(value)), value)
    return parts


def decode_message(encoding: bytes, max_extra_fields: int) -> Message:
    """Read one submessage; `encoding` becomes the message's own.

    IndexError when a field is cut short. RemoteProtocolError when the message is complete but
    no other implementation need accept it: no topic or one that is not UTF-8, a known field of
    the wrong type, groups, varints longer than necessary, more than `max_extra_fields` fields
    repeated or unknown. A field that occurs several times counts with its last value ("topic"
    was repeated once) and `encoding` is then written anew, with that value alone.
    """
    message = _decode_usual(encoding)
    return _decode_any(encoding, max_extra_fields) if message is None else message


def _decode_usual(encoding: bytes) -> Message | None:
    """The message that is laid out as all implementations lay out those they sign: author, data,
    sequence number of 8 bytes, topic, signature of 64, each once. None for any other."""
    try:
        size = encoding[1]
        data_tag = size + 2
        if encoding[0] != 0x0A or size > 127 or encoding[data_tag] != 0x12:
            return None
        size = encoding[data_tag + 1]
        data = data_tag + 2
        if size > 127:
            high = encoding[data]
            data += 1
            if 0 < high < 128:
                size = size & 0x7F | high << 7
            else:
                size, data = read_varint(encoding, data_tag + 1)
        seqno_tag = data + size
        topic = seqno_tag + 12
        size = encoding[topic - 1]
        end = topic + size
        if (
            size > 127
            or len(encoding) != end + 66
            or encoding[topic - 2] != 0x22
            or encoding[seqno_tag : seqno_tag + 2] != b"\x1a\x08"
            or encoding[end : end + 2] != b"\x2a\x40"
        ):
            return None
        return Message(
            encoding[topic:end].decode(),
            encoding[data:seqno_tag],
            encoding[2:data_tag],
            encoding[seqno_tag + 2 : topic - 2],
            encoding[end + 2 :],
            None,
            b"",
            encoding,
            end,
        )
    except (IndexError, UnicodeDecodeError, RemoteProtocolError):
        return None


def _decode_any(encoding: bytes, max_extra_fields: int) -> Message:
    values: list[bytes | None] = [None] * (_LAST_KNOWN_NUMBER + 1)
    unknown = b""
    position = extra_fields = repeated_fields = 0
    end = len(encoding)
    while position < end:
        start = position
        tag = encoding[start]
        if tag not in _KNOWN_TAGS:
            position = _end_of_unknown(encoding, start)
            unknown += encoding[start:position]
            extra_fields = _count_extra(extra_fields, max_extra_fields)
            continue
        body, position = field_extent(encoding, start)
        number = tag >> 3
        if values[number] is not None:
            repeated_fields += 1
            extra_fields = _count_extra(extra_fields, max_extra_fields)
        values[number] = encoding[body:position]
    return _message_from(values, unknown, None if repeated_fields else encoding)


def _message_from(values: list[bytes | None], unknown: bytes, encoding: bytes | None) -> Message:
    _, from_peer, data, seqno, topic, signature, key = values
    if topic is None:
        raise RemoteProtocolError("message without topic")
    try:
        name = topic.decode()
    except UnicodeDecodeError as error:
        raise RemoteProtocolError("topic is not UTF-8") from error
    message = Message(name, data, from_peer, seqno, signature, key, unknown, encoding)
    if encoding is None:
        encode_message(message)
    return message


def _count_extra(count: int, limit: int) -> int:
    if count == limit:
        raise RemoteProtocolError(f"message has more than {limit} unknown or repeated fields")
    return count + 1


def _end_of_unknown(encoding: bytes, position: int) -> int:
    tag = encoding[position]
    if tag > 127:
        tag, _ = read_varint(encoding, position)
    if tag >> 3 <= _LAST_KNOWN_NUMBER:
        raise RemoteProtocolError(f"message field {tag >> 3} has wire type {tag & 7}")
    return field_extent(encoding, position)[1]


def field_extent(data: bytes, position: int) -> tuple[int, int]:
    """Where the value of the protobuf field at `position` starts, and where it ends.

    IndexError when that is beyond the data; RemoteProtocolError for groups, for what is no
    field, and for varints that are not minimal.
    """
    if data[position] & 0x87 != 2:
        return _unusual_extent(data, position)
    size = data[position + 1]
    body = position + 2
    if size > 127:
        high = data[body]
        body += 1
        if 0 < high < 128:
            size = size & 0x7F | high << 7
        else:
            size, body = read_varint(data, position + 1)
    end = body + size
    if end > len(data):
        raise IndexError
    return body, end


def _unusual_extent(data: bytes, position: int) -> tuple[int, int]:
    """`field_extent` for tags of several bytes and for every wire type."""
    tag, body = read_varint(data, position)
    wire_type = tag & 7
    if not 8 <= tag <= _MAX_TAG:
        raise RemoteProtocolError(f"field number {tag >> 3} does not exist")
    if wire_type == 0:
        _, end = read_varint(data, body)
    elif wire_type == 1:
        end = body + 8
    elif wire_type == 2:
        size, body = read_varint(data, body)
        end = body + size
    elif wire_type == 5:
        end = body + 4
    else:
        raise RemoteProtocolError(f"wire type {wire_type} is not supported")
    if end > len(data):
        raise IndexError
    return body, end


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """`decode_uvarint`, with IndexError where the varint is cut short."""
    read = decode_uvarint(data, position)
    if read is None:
        raise IndexError
    return read
