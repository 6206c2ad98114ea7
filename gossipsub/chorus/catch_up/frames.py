"""What the two sides of a session say: one JSON object in each frame (docs/chorus-catch-up.md)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gossipsub.wire.errors import RemoteProtocolError

PROTOCOL = "/chorus/catch-up/1.0.0"
MAX_REQUEST_BYTES = 64 << 10
MAX_TOPICS = 16
"""In one `compare`."""
MAX_COMPARED = 10_000
"""Topics times minutes in one `compare`: each may have a digest of 40 bytes in the answer."""
MAX_TOPIC_BYTES = 1024
MAX_MINUTES = 60
"""In one `list`."""
MAX_ORIGINS = 256
"""In one `get`."""
MAX_LISTED = 1024
"""In one frame that answers a `list`: the asker looks for each in its log."""
MAX_ORIGIN_BYTES = 128
MAX_REASON = 200
MAX_DIGITS = 12
"""Of the number of a minute."""

Digests = Mapping[int, bytes]
"""By the number of an hour, or of a minute."""
Origins = Mapping[int, Sequence[bytes]]
"""By minute."""


@dataclass(frozen=True, slots=True)
class Compare:
    """Which minutes of these hours differ? Of the hours the minutes from `first` to `last`
    count."""

    first: int
    last: int
    topics: Mapping[str, Digests]


@dataclass(frozen=True, slots=True)
class ListOrigins:
    """Which messages are in these minutes?"""

    topic: str
    minutes: Sequence[int]


@dataclass(frozen=True, slots=True)
class GetMessages:
    """Give these messages."""

    topic: str
    origins: Origins


@dataclass(frozen=True, slots=True)
class Minutes:
    """The minutes of the hours that differ; a topic that is not there is not shared."""

    topics: Mapping[str, Digests]


@dataclass(frozen=True, slots=True)
class Listed:
    """Some of what `list` asked for; `more` frames follow."""

    origins: Origins
    more: bool


@dataclass(frozen=True, slots=True)
class Given:
    """Some of what `get` asked for, each as its author signed it; `more` frames follow."""

    messages: Sequence[bytes]
    more: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing more in this session."""

    reason: str


Request = Compare | ListOrigins | GetMessages
Answer = Minutes | Listed | Given | Refused


def encode_request(request: Request) -> bytes:
    match request:
        case Compare(first, last, topics):
            digests = {topic: _digests(each) for topic, each in topics.items()}
            return _json({"compare": {"first": first, "last": last, "topics": digests}})
        case ListOrigins(topic, minutes):
            return _json({"list": {"topic": topic, "minutes": list(minutes)}})
        case GetMessages(topic, origins):
            return _json({"get": {"topic": topic, "origins": _origins(origins)}})


def encode_answer(answer: Answer) -> bytes:
    match answer:
        case Minutes(topics):
            return _json({"minutes": {topic: _digests(each) for topic, each in topics.items()}})
        case Listed(origins, more):
            return _json({"origins": _origins(origins), **_more(more)})
        case Given(messages, more):
            return _json({"messages": [_text(each) for each in messages], **_more(more)})
        case Refused(reason):
            return _json({"refused": reason})


def decode_request(frame: bytes) -> Request:
    """RemoteProtocolError, fatal to the stream, for anything that is no request."""
    fields = _object(frame)
    match fields:
        case {"compare": {"first": int(first), "last": int(last), "topics": dict(topics)}}:
            if not 0 <= first <= last < 10**MAX_DIGITS:
                raise _broken("minutes")
            if len(topics) * (last - first + 1) > MAX_COMPARED:
                raise _broken("too much to compare")
            return Compare(first, last, _topics(topics))
        case {"list": {"topic": str(topic), "minutes": list(minutes)}}:
            if len(minutes) > MAX_MINUTES or not all(type(each) is int for each in minutes):
                raise _broken("minutes")
            return ListOrigins(topic, tuple(dict.fromkeys(minutes)))
        case {"get": {"topic": str(topic), "origins": dict(origins)}}:
            return GetMessages(topic, _read_origins(origins, MAX_ORIGINS))
    raise _broken("no request")


def decode_answer(frame: bytes) -> Answer:
    """RemoteProtocolError, fatal to the stream, for anything that is no answer."""
    fields = _object(frame)
    more = fields.get("more") is True
    match fields:
        case {"minutes": dict(topics)}:
            return Minutes(_topics(topics))
        case {"origins": dict(origins)}:
            return Listed(_read_origins(origins, MAX_LISTED), more)
        case {"messages": list(messages)}:
            if len(messages) > MAX_ORIGINS:
                raise _broken("too many messages")
            return Given([_bytes(each) for each in messages], more)
        case {"refused": str(reason)}:
            return Refused(reason[:MAX_REASON])
    raise _broken("no answer")


def _object(frame: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(frame)
    except (ValueError, RecursionError) as error:
        raise _broken("no JSON") from error
    if not isinstance(fields, dict):
        raise _broken("no object")
    return fields


def _topics(topics: dict[str, Any]) -> dict[str, dict[int, bytes]]:
    if len(topics) > MAX_TOPICS:
        raise _broken("too many topics")
    read = {}
    count = 0
    for topic, digests in topics.items():
        if not isinstance(digests, dict):
            raise _broken("digests")
        count += len(digests)
        if count > MAX_COMPARED:
            raise _broken("too many digests")
        read[topic] = {_number(number): _bytes(each) for number, each in digests.items()}
    return read


def _read_origins(origins: dict[str, Any], limit: int) -> dict[int, list[bytes]]:
    # Counted before anything is decoded: the shortest take 7 bytes each.
    if not all(isinstance(listed, list) for listed in origins.values()):
        raise _broken("origins")
    if len(origins) > limit or sum(map(len, origins.values())) > limit:
        raise _broken("too many origins")
    read = {
        _number(number): [_bytes(each) for each in listed] for number, listed in origins.items()
    }
    if any(len(each) > MAX_ORIGIN_BYTES for listed in read.values() for each in listed):
        raise _broken("a long origin")
    return read


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise _broken("a number")
    return int(text)


def _bytes(value: object) -> bytes:
    if not isinstance(value, str):
        raise _broken("base64")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _broken("base64") from error


def _digests(digests: Digests) -> dict[str, str]:
    return {str(number): _text(digest) for number, digest in digests.items()}


def _origins(origins: Origins) -> dict[str, list[str]]:
    return {str(minute): [_text(each) for each in listed] for minute, listed in origins.items()}


def _more(more: bool) -> dict[str, bool]:
    return {"more": True} if more else {}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _json(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def _broken(what: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"catch-up: {what} where it does not belong", fatal_to="stream")
