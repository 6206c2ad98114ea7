"""One entry of the event log: its fields, and the bytes its hash covers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from struct import Struct
from typing import NamedTuple, Self, cast

from gossipsub.chorus.errors import MalformedEnvelope
from gossipsub.chorus.go_json import Written, finish, read_value, value_text
from gossipsub.chorus.timestamp import Timestamp
from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.wire.errors import LocalProtocolError

MAX_DATA_BYTES = 1 << 20
"""Size of one entry's data, as JSON."""
MAX_DEPTH = 320
"""Nesting of one entry's data: an envelope's deepest, and some."""
MAX_NAME_CHARACTERS = 256
"""Names by which entries are found are kept up to this length; the data has them whole."""

_DOMAIN = b"gossipsub-chorus-log:entry:1:"
_LENGTHS = Struct(">Qqq9I")
_FIRST_NS, _LAST_NS = -(1 << 63), (1 << 63) - 1

_peer_text = lru_cache(maxsize=1024)(str)


class Draft(NamedTuple):
    """What an entry is to say, before it has its place in the log."""

    timestamp: int
    sent_at: int
    author: str
    type: str
    message_type: str
    topic: str
    project_id: str
    thread_id: str
    origin: bytes | None
    data: bytes
    signed: bytes | None


Row = tuple[
    int, int, int, str, str, str, str, str, str, bytes | None, bytes, bytes | None,
    bytes, bytes, bytes | None,
]  # fmt: skip
"""An entry as the database has it: the fields of `LogEntry` in their order."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry; the times are nanoseconds since 1970."""

    index: int
    """Its place, from 1."""
    logged_at: int
    """By this node's clock, and never before the entry before it."""
    sent_at: int
    """What the envelope's timestamp says; where there is none, `logged_at`."""
    author: str
    """Text of the peer id that signed the message; this node's where there is no message."""
    type: str
    """The log type, such as `task_claimed`."""
    message_type: str
    """The envelope's type, or empty."""
    topic: str
    project_id: str
    thread_id: str
    origin: bytes | None
    """Author and sequence number of the message (`SignedMessage.origin`); None where none is."""
    data_json: bytes
    """The data, as Go's encoding/json writes it."""
    signed: bytes | None
    """The message as it was on the wire (`SignedMessage.encoded`)."""
    prev_hash: bytes
    """The hash of the entry before."""
    hash: bytes
    """SHA-256 of `prev_hash` and all fields above it."""
    signature: bytes | None
    """The node's, for the log up to here; the last entry of each group has one."""

    @property
    def timestamp(self) -> Timestamp:
        """`logged_at` as RFC 3339, in UTC."""
        return Timestamp.from_unix_ns(self.logged_at)

    @property
    def data(self) -> Mapping[str, object]:
        """What was logged, decoded each time."""
        return cast(Mapping[str, object], read_value(self.data_json, max_depth=MAX_DEPTH))

    @property
    def signed_message(self) -> SignedMessage | None:
        """The message, decoded each time; RemoteProtocolError where it is damaged."""
        return None if self.signed is None else SignedMessage.decode(self.signed)

    @classmethod
    def of_row(cls, row: Row) -> Self:
        """The entry that a row of the database holds."""
        return cls(*row)


def draft(
    log_type: str,
    data: Mapping[str, object],
    signed: SignedMessage | None,
    *,
    node: str,
    now: int,
) -> Draft:
    """An entry of `data`, which may change afterwards; `node` is the author of what is no message.

    LocalProtocolError for a type that is no text or empty, data that JSON cannot hold or that is
    too large, and a time that is not in nanoseconds: a whole number of 64 bits.
    """
    if type(now) is not int or not _FIRST_NS <= now <= _LAST_NS:
        raise LocalProtocolError(f"a clock gives nanoseconds since 1970, not {now!r:.40}")
    if not isinstance(log_type, str) or not log_type:
        raise LocalProtocolError("a log type is text, and not empty")
    if not isinstance(data, Mapping):
        raise LocalProtocolError(f"data is a mapping, not of type {type(data).__name__}")
    encoded = encode_data(data)
    # Looking for one character takes a quarter of the time of looking for six.
    if b"\\" in encoded and b"\\ufffd" in encoded:
        # Go writes so what is no Unicode; read and written again it is the character itself, and
        # what is kept has to be what an export gives back.
        encoded = encode_data(cast(dict[str, object], read_value(encoded, max_depth=MAX_DEPTH)))
    if len(encoded) > MAX_DATA_BYTES:
        raise LocalProtocolError(
            f"the data takes {len(encoded)} bytes, the limit is {MAX_DATA_BYTES}"
        )
    author, origin, message, topic = node, None, None, data.get("topic")
    if signed is not None:
        wire = signed.wire
        author, origin = _peer_text(PeerId(wire.from_peer or b"")), signed.origin
        message, topic = signed.encoded, wire.topic
    return Draft(
        now,
        _sent_at(data.get("timestamp"), now),
        author,
        name(log_type),
        name(data.get("message_type")),
        name(topic),
        name(data.get("project_id")),
        name(data.get("thread_id")),
        origin,
        encoded,
        message,
    )


def encode_data(data: Mapping[str, object]) -> bytes:
    """As Go's encoding/json writes it; LocalProtocolError for what JSON cannot hold."""
    text = data.text() if isinstance(data, Written) else None
    return finish(value_text(data, MAX_DEPTH) if text is None else text)


def entry_hash(
    prev_hash: bytes,
    index: int,
    timestamp: int,
    sent_at: int,
    author: bytes,
    type: bytes,
    message_type: bytes,
    topic: bytes,
    project_id: bytes,
    thread_id: bytes,
    origin: bytes | None,
    data: bytes,
    signed: bytes | None,
) -> bytes:
    """SHA-256 of all that an entry is, and so of all entries before it; texts in UTF-8."""
    origin = origin or b""
    signed = signed or b""
    lengths = _LENGTHS.pack(
        index, timestamp, sent_at, len(author), len(type), len(message_type), len(topic),
        len(project_id), len(thread_id), len(origin), len(data), len(signed),
    )  # fmt: skip
    digest = sha256(
        b"".join(
            (
                _DOMAIN, prev_hash, lengths, author, type, message_type, topic, project_id,
                thread_id, origin,
            )
        )
    )  # fmt: skip
    # In pieces: beyond 2 KiB hashlib lets go of the interpreter lock, and a thread that wants it
    # back waits five milliseconds for a busy event loop.
    digest.update(data)
    digest.update(signed)
    return digest.digest()


def name(value: object) -> str:
    """A name to find entries by, as it is kept: cut, and Unicode; empty for what is none."""
    if type(value) is not str:
        if not isinstance(value, str):
            return ""
        value = str.__str__(value)
    if len(value) > MAX_NAME_CHARACTERS:
        value = value[:MAX_NAME_CHARACTERS]
    if value.isascii():
        return value
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _sent_at(text: object, now: int) -> int:
    if not isinstance(text, str):
        return now
    digits = text[20:-1]
    try:
        if text[19:20] == "." and text[-1] == "Z" and digits.isascii() and digits.isdigit():
            sent_at = _unix_ns(f"{text[:19]}Z") + int(digits[:9].ljust(9, "0"))
        else:
            sent_at = _unix_ns(text)
    except MalformedEnvelope:
        return now
    # Agents may claim any year up to 9999; the column has 64 bits.
    return min(max(sent_at, _FIRST_NS), _LAST_NS)


@lru_cache(maxsize=64)
def _unix_ns(text: str) -> int:
    """Reading one costs 3 us, and in a busy second many begin alike."""
    return Timestamp(text).unix_ns
