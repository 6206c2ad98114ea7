"""What was said of late in each conversation, for whoever has to be told what it was about."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.message_type import MessageType
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.wire.errors import LocalProtocolError

MAX_ID_CHARACTERS = 256
"""Of a thread id; longer ones are not followed."""


@dataclass(slots=True, eq=False)
class Thread:
    """One conversation since it was first heard of, or since its last CoordinationComplete."""

    thread_id: str
    started_at: float
    topic: str = ""
    """Where its newest message was said."""
    count: int = 0
    """Messages in it."""
    is_escalated: bool = False
    """An EscalationTrigger was in it."""
    is_raising: bool = False
    """Somebody is about to escalate it."""
    kept: deque[SignedMessage] = field(default_factory=deque)
    """The newest messages. As they were signed: decoded, they can take twenty times as much."""


class ThreadHistory:
    """At most `threads` threads, `messages` messages of each, and `max_bytes` of all.

    When it is full, the thread in which nothing was said for longest is forgotten, or loses its
    messages.
    """

    def __init__(self, *, messages: int, threads: int, max_bytes: int) -> None:
        if min(messages, threads, max_bytes) < 1:
            raise LocalProtocolError(
                f"at least 1 message, thread and byte: {messages}, {threads}, {max_bytes}"
            )
        self._messages = messages
        self._bound = threads
        self._max_bytes = max_bytes
        self._bytes = 0
        # In the order of their newest messages, and of their conclusions.
        self._threads: dict[str, Thread] = {}
        self._concluded: dict[str, int] = {}

    def note(self, delivery: Delivery, *, now: float) -> Thread | None:
        """Keep a message; its thread, or None where it belongs to none or ends it."""
        thread_id = delivery.envelope.thread_id
        if not 0 < len(thread_id) <= MAX_ID_CHARACTERS:
            return None
        thread = self._threads.pop(thread_id, None)
        if delivery.envelope.type == MessageType.COORDINATION_COMPLETE:
            if thread is not None:
                self._empty(thread)
            # Not from the future: that would settle whatever is said in the thread from now on.
            said_at = min(delivery.envelope.timestamp.unix_ns, delivery.received_at)
            self._conclude(thread_id, said_at)
            return None
        if thread is None:
            if len(self._threads) == self._bound:
                self._empty(self._threads.pop(next(iter(self._threads))))
            thread = Thread(thread_id, now)
        self._threads[thread_id] = thread
        thread.topic = delivery.topic
        thread.count += 1
        thread.kept.append(delivery.signed)
        self._bytes += len(delivery.signed.data)
        if len(thread.kept) > self._messages:
            self._drop_oldest(thread)
        for other in self._threads.values():
            if self._bytes <= self._max_bytes:
                break
            while other.kept and self._bytes > self._max_bytes:
                self._drop_oldest(other)
        return thread

    def find(self, thread_id: str) -> Thread | None:
        return self._threads.get(thread_id)

    def is_concluded(self, thread_id: str, *, after: int) -> bool:
        """Whether a CoordinationComplete from that time or later was noted; nanoseconds since
        1970, by the clocks of those who wrote, as far as these are not ahead. Of the newest threads
        alone."""
        return self._concluded.get(thread_id, after - 1) >= after

    def _conclude(self, thread_id: str, at: int) -> None:
        newest = max(at, self._concluded.pop(thread_id, at))
        if len(self._concluded) == self._bound:
            del self._concluded[next(iter(self._concluded))]
        self._concluded[thread_id] = newest

    def _drop_oldest(self, thread: Thread) -> None:
        self._bytes -= len(thread.kept.popleft().data)

    def _empty(self, thread: Thread) -> None:
        while thread.kept:
            self._drop_oldest(thread)
