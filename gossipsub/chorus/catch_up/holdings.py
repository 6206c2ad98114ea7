"""Which messages a node has, by topic and minute, and digests to compare that with others.

A message is named by its origin, and belongs to the minute of its envelope's timestamp, counted
from 1970. The digest of a minute is made of the origins in it, that of an hour of its minutes'.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable

from gossipsub.wire.varint import encode_uvarint

MINUTE_NS = 60 * 10**9
MINUTES_PER_HOUR = 60
DIGEST_BYTES = 16


def minute_of(unix_ns: int) -> int:
    """The minute a moment belongs to."""
    return unix_ns // MINUTE_NS


def digest_of_minute(origins: Iterable[bytes]) -> bytes:
    """SHA-256 over the sorted origins, each after its length as a varint; the first 16 bytes."""
    digest = hashlib.sha256()
    for origin in sorted(origins):
        digest.update(encode_uvarint(len(origin)) + origin)
    return digest.digest()[:DIGEST_BYTES]


def digest_of_hour(minutes: Iterable[tuple[int, bytes]]) -> bytes:
    """SHA-256 over the minutes that have messages, in their order: the number in 8 bytes
    big-endian, then the digest; the first 16 bytes."""
    digest = hashlib.sha256()
    for number, of_minute in minutes:
        digest.update(number.to_bytes(8, "big") + of_minute)
    return digest.digest()[:DIGEST_BYTES]


class _Minute:
    """The origins of one minute, in the order they were added, and whether each can be given."""

    __slots__ = ("_digest", "origins")

    def __init__(self) -> None:
        self.origins: dict[bytes, bool] = {}
        self._digest: bytes | None = None

    def changed(self) -> None:
        self._digest = None

    def digest(self) -> bytes:
        if self._digest is None:
            self._digest = digest_of_minute(self.origins)
        return self._digest


class Holdings:
    """At most `max_messages` of them: beyond, the oldest minute of any topic is forgotten, and
    what is as old is not taken any more."""

    def __init__(self, max_messages: int) -> None:
        self.horizon = 0
        """The first minute that is remembered whole."""
        self._max_messages = max_messages
        self._count = 0
        self._topics: dict[str, dict[int, _Minute]] = {}
        self._oldest: list[tuple[int, str]] = []
        """Every minute of every topic that has an entry, as a heap."""

    def __len__(self) -> int:
        return self._count

    @property
    def minutes_held(self) -> int:
        """Of all topics together."""
        return len(self._oldest)

    def add(self, topic: str, minute: int, origin: bytes) -> None:
        """Nothing happens where it is there, or before the horizon."""
        if minute < self.horizon or self.has(topic, minute, origin):
            return
        if self._count >= self._max_messages:
            self.horizon = self._oldest[0][0] + 1
            self.forget_before(self.horizon)
            if minute < self.horizon:
                return
        minutes = self._topics.setdefault(topic, {})
        held = minutes.get(minute)
        if held is None:
            held = minutes[minute] = _Minute()
            heapq.heappush(self._oldest, (minute, topic))
        held.origins[origin] = True
        held.changed()
        self._count += 1

    def withhold(self, topic: str, minute: int, origin: bytes) -> None:
        """It cannot be given, so it is not named any more. It is held all the same: who forgot it
        would ask others for what it had before."""
        if self.has(topic, minute, origin):
            self._topics[topic][minute].origins[origin] = False

    def has(self, topic: str, minute: int, origin: bytes) -> bool:
        held = self._topics.get(topic, {}).get(minute)
        return held is not None and origin in held.origins

    def gives(self, topic: str, minute: int, origin: bytes) -> bool:
        """Whether it is held and was not withheld."""
        held = self._topics.get(topic, {}).get(minute)
        return held is not None and held.origins.get(origin, False)

    def origins(self, topic: str, minute: int) -> tuple[bytes, ...]:
        """What can be given; oldest first, as far as that is known."""
        held = self._topics.get(topic, {}).get(minute)
        if held is None:
            return ()
        return tuple(origin for origin, is_given in held.origins.items() if is_given)

    def minutes(self, topic: str, first: int, last: int) -> dict[int, bytes]:
        """The digests of the minutes that have messages, from `first` to `last`, in their order."""
        minutes = self._topics.get(topic, {})
        numbers: Iterable[int] = range(first, last + 1)
        if last - first >= len(minutes):
            numbers = sorted(number for number in minutes if first <= number <= last)
        return {number: minutes[number].digest() for number in numbers if number in minutes}

    def hours(self, topic: str, first: int, last: int) -> dict[int, bytes]:
        """The digests of the hours that have messages in the minutes from `first` to `last`."""
        by_hour: dict[int, list[tuple[int, bytes]]] = {}
        for number, digest in self.minutes(topic, first, last).items():
            by_hour.setdefault(number // MINUTES_PER_HOUR, []).append((number, digest))
        return {hour: digest_of_hour(minutes) for hour, minutes in by_hour.items()}

    def forget_before(self, minute: int) -> None:
        """Forget what is older. The horizon stays: a clock that was ahead may be set back."""
        while self._oldest and self._oldest[0][0] < minute:
            number, topic = heapq.heappop(self._oldest)
            minutes = self._topics[topic]
            self._count -= len(minutes.pop(number).origins)
            if not minutes:
                del self._topics[topic]
