"""An event log in memory, for tests, and for agents that need no proof."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TypeVar

import anyio.lowlevel

from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.envelope import DEFAULT_LIMITS, EnvelopeLimits
from gossipsub.chorus.event_log.chain import Chain, genesis_hash
from gossipsub.chorus.event_log.entry import LogEntry, draft
from gossipsub.chorus.event_log.pages import Pages
from gossipsub.chorus.event_log.query import Query
from gossipsub.chorus.event_log.reader import delivery_of
from gossipsub.pubsub.signed_message import SignedMessage

T = TypeVar("T")


class MemoryEventLog:
    """Keeps the newest entries and answers as `EventLog` does; it is open from the start, and
    nothing is signed.

    `max_entries` and `max_bytes` (of data and messages) bound it; the oldest are forgotten.
    `node` is the author of entries that are no message.
    """

    def __init__(
        self,
        *,
        max_entries: int = 10_000,
        max_bytes: int = 64 << 20,
        node: str = "",
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        if max_entries < 1 or max_bytes < 1:
            raise ValueError(f"bounds are at least 1: {max_entries}, {max_bytes}")
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._node = node
        self._clock = clock
        self._chain = Chain(0, genesis_hash(b"", b""), -(1 << 63), 0)
        self._entries: deque[LogEntry] = deque()
        self._by_origin: dict[bytes, LogEntry] = {}
        self._bytes = 0
        self._duplicates = 0

    def append(
        self,
        log_type: str,
        data: Mapping[str, object],
        *,
        signed: SignedMessage | None = None,
    ) -> None:
        """As `EventLog.append`."""
        drafted = draft(log_type, data, signed, node=self._node, now=self._clock())
        if drafted.origin is not None and drafted.origin in self._by_origin:
            self._duplicates += 1
            return
        entry = LogEntry.of_row(self._chain.extend(drafted))
        self._entries.append(entry)
        self._bytes += _size(entry)
        if entry.origin is not None:
            self._by_origin[entry.origin] = entry
        while len(self._entries) > self._max_entries or (
            self._bytes > self._max_bytes and len(self._entries) > 1
        ):
            oldest = self._entries.popleft()
            self._bytes -= _size(oldest)
            if oldest.origin is not None:
                del self._by_origin[oldest.origin]

    async def flush(self) -> None:
        """Returns at once: nothing here is durable."""
        await anyio.lowlevel.checkpoint()

    def contains(self, origin: bytes) -> bool:
        """Whether the message is here."""
        return origin in self._by_origin

    def entries(
        self,
        *,
        type: str | None = None,
        message_type: str | None = None,
        author: str | None = None,
        project_id: str | None = None,
        thread_id: str | None = None,
        topic: str | None = None,
        since: int | None = None,
        until: int | None = None,
        after_index: int = 0,
        before_index: int | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> AsyncIterator[LogEntry]:
        """As `EventLog.entries`; all as they are when it begins."""
        query = Query(
            type=type,
            message_type=message_type,
            author=author,
            project_id=project_id,
            thread_id=thread_id,
            topic=topic,
            since=since,
            until=until,
            after_index=after_index,
            before_index=before_index,
            limit=limit,
            newest_first=newest_first,
        )
        return self._find(query, lambda entry: entry)

    def replay(
        self,
        *,
        topic: str | None = None,
        after_index: int = 0,
        since: int | None = None,
        until: int | None = None,
        limits: EnvelopeLimits = DEFAULT_LIMITS,
    ) -> AsyncIterator[Delivery]:
        """As `EventLog.replay`; a message is this node's own where `node` was given."""
        query = Query(topic=topic, after_index=after_index, since=since, until=until)
        return self._find(query, lambda entry: delivery_of(entry, self._node, limits))

    def _find(self, query: Query, tell: Callable[[LogEntry], T | None]) -> AsyncIterator[T]:
        """One page of all that `tell` has something to say of."""
        pages = iter((query,))

        async def find() -> list[T] | None:
            await anyio.lowlevel.checkpoint()
            if next(pages, None) is None:
                return None
            found = [entry for entry in self._entries if query.matches(entry)]
            if query.newest_first:
                found.reverse()
            told = (tell(entry) for entry in found[: query.limit])
            return [each for each in told if each is not None]

        return Pages(find)

    async def origins_between(self, start: int, end: int) -> list[bytes]:
        """As `EventLog.origins_between`."""
        await anyio.lowlevel.checkpoint()
        found = [
            (entry.sent_at, origin)
            for origin, entry in self._by_origin.items()
            if start <= entry.sent_at < end
        ]
        return [origin for _, origin in sorted(found, key=lambda each: each[0])]

    async def signed_message(self, origin: bytes) -> SignedMessage | None:
        """As `EventLog.signed_message`."""
        await anyio.lowlevel.checkpoint()
        entry = self._by_origin.get(origin)
        return None if entry is None else entry.signed_message

    async def kept_since(self) -> int | None:
        """As `EventLog.kept_since`."""
        await anyio.lowlevel.checkpoint()
        oldest = self._entries[0] if self._entries else None
        return oldest.logged_at if oldest is not None and oldest.index > 1 else None

    def statistics(self) -> Mapping[str, object]:
        """In numbers, under the names that `EventLog.statistics` has for them."""
        entries = self._entries
        return {
            "total_entries": len(entries),
            "entries_by_type": dict(Counter(entry.type for entry in entries)),
            "first_index": entries[0].index if entries else 0,
            "last_index": self._chain.index,
            "bytes": self._bytes,
            "duplicates": self._duplicates,
        }


def _size(entry: LogEntry) -> int:
    return len(entry.data_json) + (len(entry.signed) if entry.signed else 0)
