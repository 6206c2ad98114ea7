"""How `gossipsub sub` writes a message: text, exact bytes, JSON, or a format of one's own."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gossipsub.cli.text import printable

if TYPE_CHECKING:
    from gossipsub.pubsub.message import ReceivedMessage

MessageFormat = Callable[["ReceivedMessage", int], bytes]
"""A message, and the nanoseconds since 1970 at which it came, as it is written."""

_ESCAPES = {"n": b"\n", "t": b"\t", "r": b"\r", "0": b"\0", "\\": b"\\"}


def plain(*, with_topic: bool, raw: bool) -> MessageFormat:
    """The data, behind the topic if that is wanted; as text on one line, or exactly."""

    def write(message: ReceivedMessage, when: int) -> bytes:
        data = message.data if raw else printable(message.data).encode()
        return f"{printable(message.topic)} ".encode() + data if with_topic else data

    return write


def as_json(message: ReceivedMessage, when: int) -> bytes:
    """One object; `data` where it is text, `data_base64` where it is not."""
    content: dict[str, Any]
    try:
        content = {"data": message.data.decode()}
    except UnicodeDecodeError:
        content = {"data_base64": b64encode(message.data).decode()}
    seqno = message.seqno
    return json.dumps(
        {
            "topic": message.topic,
            "sender": None if message.sender is None else str(message.sender),
            "received_from": str(message.received_from),
            "message_id": message.message_id.hex(),
            "seqno": None if seqno is None else int.from_bytes(seqno),
            "time": iso_time(when),
            "size_bytes": len(message.data),
            **content,
        }
    ).encode()


def iso_time(nanoseconds: int) -> str:
    """A time since 1970 in UTC, with all its nanoseconds."""
    whole, rest = divmod(nanoseconds, 10**9)
    try:
        moment = datetime.fromtimestamp(whole, UTC)
    except (ValueError, OverflowError, OSError):  # a trace may say anything
        return f"{whole}.{rest:09}"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def _text(text: str) -> bytes:
    return printable(text).encode()


_FIELDS: dict[str, Callable[[ReceivedMessage, int], bytes]] = {
    "t": lambda message, when: _text(message.topic),
    "p": lambda message, when: b"-" if message.sender is None else _text(str(message.sender)),
    "f": lambda message, when: _text(str(message.received_from)),
    "i": lambda message, when: message.message_id.hex().encode(),
    "s": lambda message, when: b"-" if message.seqno is None else message.seqno.hex().encode(),
    "d": lambda message, when: printable(message.data).encode(),
    "r": lambda message, when: message.data,
    "x": lambda message, when: message.data.hex().encode(),
    "b": lambda message, when: b64encode(message.data),
    "l": lambda message, when: str(len(message.data)).encode(),
    "I": lambda message, when: iso_time(when).encode(),
    "U": lambda message, when: f"{when // 10**9}.{when % 10**9:09}".encode(),
    "j": as_json,
    "%": lambda message, when: b"%",
}

FORMAT_HELP = """\
FORMAT is text with these in it:
  %t topic   %p sender   %f who passed it on   %i message id   %s sequence number
  %d data as text on one line   %r data exactly   %x in hex   %b in base64   %l its length
  %I time it came (ISO 8601)    %U the same in seconds since 1970
  %j all as JSON   %% a percent sign   \\n \\t \\r \\0 \\\\
"""


def parse_format(text: str) -> MessageFormat:
    """A format of mosquitto_sub's kind (`FORMAT_HELP`). ValueError for what it does not know."""
    parts: list[bytes | Callable[[ReceivedMessage, int], bytes]] = []
    characters = iter(text)
    for character in characters:
        if character not in "%\\":
            parts.append(character.encode())
            continue
        following = next(characters, "")
        known: Any = _FIELDS if character == "%" else _ESCAPES
        if following not in known:
            raise ValueError(f"no such thing in a format: {character}{following}")
        parts.append(known[following])

    def write(message: ReceivedMessage, when: int) -> bytes:
        return b"".join(part if isinstance(part, bytes) else part(message, when) for part in parts)

    return write
