"""Points in time as Go writes them into JSON: RFC 3339 with up to nine digits of a second."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Self

from gossipsub.chorus.errors import MalformedEnvelope, RefusalReason
from gossipsub.wire.errors import LocalProtocolError

_RFC_3339 = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?"
    r"(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1)
_SECOND = timedelta(seconds=1)
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A point in time that keeps the text it was received as.

    Equal means the same text; compare `unix_ns` to compare points in time. Constructing one from
    text is strict: all digits there, `T` and `Z` in upper case, at most nine digits of a second,
    no leap second, an offset below 24 hours, a year from 1; MalformedEnvelope otherwise. Go reads
    a little more, such as offsets of 24 hours, and writes none of it.
    """

    text: str

    def __post_init__(self) -> None:
        _unix_ns_of(self.text)

    @classmethod
    def from_unix_ns(cls, unix_ns: int) -> Self:
        """In UTC; LocalProtocolError outside the years 1 to 9999."""
        seconds, nanoseconds = divmod(unix_ns, _NANOSECONDS)
        try:
            text = _text_of(seconds)
        except OverflowError as error:
            raise LocalProtocolError(f"not in the years 1 to 9999: {unix_ns} ns") from error
        # What was made here need not be read again.
        timestamp = cls.__new__(cls)
        object.__setattr__(timestamp, "text", f"{text}{_fraction(nanoseconds)}Z")
        return timestamp

    @classmethod
    def from_datetime(cls, moment: datetime) -> Self:
        """In the offset of `moment`, as Go does; LocalProtocolError if it has none."""
        offset = moment.utcoffset()
        if offset is None:
            raise LocalProtocolError(f"a time needs an offset from UTC: {moment.isoformat()}")
        if offset % timedelta(minutes=1):
            # RFC 3339 has no seconds in an offset.
            moment, offset = moment.astimezone(UTC), timedelta()
        text = moment.replace(tzinfo=None, microsecond=0).isoformat()
        sign = "-" if offset < timedelta() else "+"
        hours, minutes = divmod(abs(offset) // timedelta(minutes=1), 60)
        zone = f"{sign}{hours:02d}:{minutes:02d}" if offset else "Z"
        return cls(f"{text}{_fraction(moment.microsecond * 1000)}{zone}")

    @property
    def unix_ns(self) -> int:
        """Nanoseconds since 1970-01-01T00:00:00Z."""
        return _unix_ns_of(self.text)

    def to_datetime(self) -> datetime:
        """In the offset of the text; digits below a microsecond are cut off."""
        return datetime.fromisoformat(self.text)

    def __str__(self) -> str:
        return self.text


@lru_cache(maxsize=1024)
def _unix_ns_of(text: str) -> int:
    """MalformedEnvelope for what is no timestamp. Remembered, since a message's is read when it
    comes, when it is logged, and wherever its time is asked for."""
    found = _RFC_3339.fullmatch(text)
    if found is None:
        raise _malformed(text)
    local, digits, sign, hours, minutes = found.groups()
    try:
        seconds = (datetime.fromisoformat(local) - _EPOCH) // _SECOND
    except ValueError as error:
        raise _malformed(text) from error
    if sign:
        offset = int(hours) * 3600 + int(minutes) * 60
        seconds += offset if sign == "-" else -offset
    return seconds * _NANOSECONDS + int((digits or "0").ljust(9, "0"))


@lru_cache(maxsize=16)
def _text_of(seconds: int) -> str:
    """Without fraction and offset. Most of what is said is said now, in the same second."""
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()


def _fraction(nanoseconds: int) -> str:
    """Go's RFC3339Nano drops trailing zeros, and the point with the last of them."""
    return f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""


def _malformed(text: str) -> MalformedEnvelope:
    return MalformedEnvelope(
        RefusalReason.BAD_TIMESTAMP, f"not an RFC 3339 timestamp: {text[:64]!r}"
    )
