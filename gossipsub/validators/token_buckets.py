"""Token buckets by key: how much each may do in a time, in a table that strangers cannot flush."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from gossipsub.validators.arguments import require_count, require_function, require_positive

LOOKED_AT = 8
"""Buckets compared before one is given up."""


@dataclass(slots=True)
class _Bucket:
    messages: float
    """What is left to be taken out."""
    bytes: float
    filled_at: float


class TokenBuckets:
    """For each key a bucket of `burst` messages, which fills up at `messages_per_second`; and, if
    asked for, one of `burst_bytes` bytes, which fills up at `bytes_per_second`.

    A key that nothing is known of has full buckets, so a full one need not be remembered. Beyond
    `capacity` keys some must be forgotten that are not full. Of a few, in turn, that is the
    fullest: who comes with ever new keys drives out those keys, each of which took little, and
    not the one that took a lot. ValueError for wrong numbers.
    """

    def __init__(
        self,
        messages_per_second: float,
        burst: int,
        *,
        bytes_per_second: float | None,
        burst_bytes: int | None,
        capacity: int,
        clock: Callable[[], float],
    ) -> None:
        require_positive("messages_per_second", messages_per_second)
        require_count("burst", burst)
        if (bytes_per_second is None) != (burst_bytes is None):
            raise ValueError("bytes_per_second and burst_bytes go together")
        if bytes_per_second is not None and burst_bytes is not None:
            require_positive("bytes_per_second", bytes_per_second)
            require_count("burst_bytes", burst_bytes)
        require_count("capacity", capacity)
        require_function("clock", clock)
        self._messages_per_second = messages_per_second
        self._burst = burst
        self._bytes_per_second = bytes_per_second
        self._burst_bytes = burst_bytes or 0
        self._capacity = capacity
        self._clock = clock
        self._buckets: OrderedDict[bytes, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: bytes, size_bytes: int) -> bool:
        """Take a message of that size out of `key`'s buckets; False, and nothing taken, where
        one of them does not have it."""
        now = self._clock()
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = _Bucket(self._burst, self._burst_bytes, now)
        else:
            self._fill(bucket, now)
        counts_bytes = self._bytes_per_second is not None
        if bucket.messages < 1 or (counts_bytes and bucket.bytes < size_bytes):
            return False
        bucket.messages -= 1
        if counts_bytes:
            bucket.bytes -= size_bytes
        if key not in self._buckets:
            if len(self._buckets) >= self._capacity:
                self._forget_one(now)
            self._buckets[key] = bucket
        return True

    def _fill(self, bucket: _Bucket, now: float) -> None:
        passed = max(now - bucket.filled_at, 0.0)
        bucket.filled_at = now
        bucket.messages = min(bucket.messages + passed * self._messages_per_second, self._burst)
        if self._bytes_per_second is not None:
            bucket.bytes = min(bucket.bytes + passed * self._bytes_per_second, self._burst_bytes)

    def _forget_one(self, now: float) -> None:
        looked_at = list(itertools.islice(self._buckets, LOOKED_AT))
        for key in looked_at:
            self._fill(self._buckets[key], now)
            self._buckets.move_to_end(key)
        del self._buckets[max(looked_at, key=self._fullness)]

    def _fullness(self, key: bytes) -> float:
        """From 0 to 1: how much is left, of messages or of bytes, whichever is less."""
        bucket = self._buckets[key]
        fullness = bucket.messages / self._burst
        if self._bytes_per_second is not None:
            fullness = min(fullness, bucket.bytes / self._burst_bytes)
        return fullness
