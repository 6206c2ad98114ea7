"""How often: messages and bytes a second, of each neighbour or of each author."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from gossipsub.pubsub.message import ReceivedMessage
from gossipsub.router.effects import Verdict
from gossipsub.validators.arguments import require_refusal
from gossipsub.validators.token_buckets import TokenBuckets

CAPACITY = 4096
"""Peers or authors kept in mind: about 1 MB."""


class _Rate:
    _usual: ClassVar[Verdict]

    def __init__(
        self,
        messages_per_second: float,
        burst: int,
        *,
        bytes_per_second: float | None = None,
        burst_bytes: int | None = None,
        otherwise: Verdict | None = None,
        capacity: int = CAPACITY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if otherwise is not None:
            require_refusal("otherwise", otherwise)
        self._buckets = TokenBuckets(
            messages_per_second,
            burst,
            bytes_per_second=bytes_per_second,
            burst_bytes=burst_bytes,
            capacity=capacity,
            clock=clock,
        )
        self._otherwise = otherwise or self._usual
        limits = f"{messages_per_second:g} messages/s, burst={burst}"
        if bytes_per_second is not None:
            limits += f", {bytes_per_second:g} bytes/s, burst_bytes={burst_bytes}"
        self._limits = limits

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._limits})"


class RatePerPeer(_Rate):
    """`otherwise`, which is THROTTLED, for what a neighbour hands over beyond `messages_per_second`
    and a reserve of `burst` messages; with `bytes_per_second` and `burst_bytes` for data, too.

    It counts whatever a neighbour passes on, and that is what the whole topic says: the limit is to
    be above what all authors together publish. Own messages count as handed over by this node.
    In several topics one object has one limit for all of them together; give each topic its own
    for a limit in each.

    THROTTLED, not IGNORE: the message is forgotten, and passes when another neighbour brings it, or
    when it is asked for. Were it IGNOREd, other copies would be duplicates, and a neighbour could
    silence a topic for this node: by using up its limit, and then being the first with everything.
    REJECT would also blame (P4) the others that sent the message.

    A message that is refused here takes nothing from the reserve; one above `burst_bytes` never
    passes. Of `capacity` neighbours the reserve is known. Beyond that, of a few in turn, the one
    that has used the least is forgotten, and so has all of it again: new peers drive out one
    another, not a heavy sender. `clock` gives seconds that never go back.

    ValueError for numbers that are not above 0, or a verdict that is no refusal.
    """

    _usual = Verdict.THROTTLED

    def __call__(self, message: ReceivedMessage) -> Verdict:
        if self._buckets.take(message.received_from, len(message.data)):
            return Verdict.ACCEPT
        return self._otherwise


class RatePerAuthor(_Rate):
    """`otherwise`, which is IGNORE, for what an author publishes beyond `messages_per_second` and
    its reserve, whoever hands it over; all else as with `RatePerPeer`.

    IGNORE, as any copy is by the same author, so none needs another look. Not REJECT: each node
    counts for itself, from the first message that reached it, so a neighbour may well pass on in
    good faith what is too much here, and would be blamed for it.

    Unsigned messages have one reserve, all together. Own ones count too: publishing too fast is an
    error here, and not messages lost elsewhere. Anybody can be a new author at any time: against
    those, limit the neighbours too, or who may publish at all (`AuthorAllowList`).
    """

    _usual = Verdict.IGNORE

    def __call__(self, message: ReceivedMessage) -> Verdict:
        if self._buckets.take(message.sender or b"", len(message.data)):
            return Verdict.ACCEPT
        return self._otherwise
