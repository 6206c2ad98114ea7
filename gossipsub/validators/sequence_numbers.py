"""Each author's messages in order and once: no replay, however old (go's BasicSeqnoValidator)."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from typing import Protocol

from gossipsub.crypto.message_signing import SEQNO_BYTES
from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.message import ReceivedMessage
from gossipsub.router.effects import Verdict
from gossipsub.validators.arguments import require_count

CAPACITY = 16384
"""Authors kept in mind: about 5 MB."""
LOOKED_AT = 8
"""Authors compared before one is given up."""


class SequenceNumberStore(Protocol):
    """Keeps the highest sequence number of each author; called in the event loop."""

    def get(self, author: PeerId) -> int | None:
        """The number put last, 0 to 2^64-1; None for an author that is not known (any more)."""

    def put(self, author: PeerId, seqno: int) -> None:
        """Keep a number, which is higher than the one before."""


class SequenceNumberTable:
    """A store in memory, of `capacity` authors at most.

    When it is full, an author is forgotten for each new one: of a few, in turn, the one with the
    fewest messages. So new identities drive out one another, not authors that have published for
    long. What was forgotten can be replayed. ValueError unless `capacity` is above 0.
    """

    def __init__(self, *, capacity: int = CAPACITY) -> None:
        require_count("capacity", capacity)
        self._capacity = capacity
        self._entries: OrderedDict[PeerId, tuple[int, int]] = OrderedDict()
        """Highest number, and how many messages."""

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, author: object) -> bool:
        return author in self._entries

    def get(self, author: PeerId) -> int | None:
        """The number put last; None for an author that is not known (any more)."""
        entry = self._entries.get(author)
        return None if entry is None else entry[0]

    def messages(self, author: PeerId) -> int:
        """How many numbers were put for this author; 0 for one that is not known."""
        entry = self._entries.get(author)
        return 0 if entry is None else entry[1]

    def put(self, author: PeerId, seqno: int, *, messages: int | None = None) -> None:
        """`messages` is how many there were with this one, if it was known already."""
        if messages is None:
            messages = self.messages(author) + 1
        if author not in self._entries and len(self._entries) >= self._capacity:
            self._forget_one()
        self._entries[author] = (seqno, messages)

    def _forget_one(self) -> None:
        looked_at = list(itertools.islice(self._entries, LOOKED_AT))
        for author in looked_at:
            self._entries.move_to_end(author)
        del self._entries[min(looked_at, key=self.messages)]


class IncreasingSequenceNumbers:
    """IGNOREs a message whose sequence number is not above all those of its author so far.

    So no message is accepted twice, not even when its id is long forgotten by the seen cache
    (`GossipParams.seen_ttl`). Messages without a proved author or a number of 8 bytes are IGNOREd.

    It notes the number when it is asked, and is not told what becomes of the message: what refuses
    messages belongs before it, as with `all_of(…, IncreasingSequenceNumbers())`. Asynchronous
    validators do not: behind them a message can overtake the one before, which is then lost. They
    belong after it, where a message is lost only if one of them says THROTTLED.

    Own messages are judged too. They have increasing numbers, across restarts by the wall clock;
    publishing after that was set back is an error, as it would be in vain.

    `store` keeps the numbers: by default a `SequenceNumberTable`; `SequenceNumberFile` keeps them
    across restarts. One object may serve many topics, since authors count through all of them.
    """

    def __init__(self, store: SequenceNumberStore | None = None) -> None:
        self._store = SequenceNumberTable() if store is None else store

    def __call__(self, message: ReceivedMessage) -> Verdict:
        author, seqno = message.sender, message.seqno
        if author is None or seqno is None or len(seqno) != SEQNO_BYTES:
            return Verdict.IGNORE
        number = int.from_bytes(seqno, "big")
        highest = self._store.get(author)
        if highest is not None and number <= highest:
            return Verdict.IGNORE
        self._store.put(author, number)
        return Verdict.ACCEPT

    def __repr__(self) -> str:
        return f"IncreasingSequenceNumbers({type(self._store).__name__})"
