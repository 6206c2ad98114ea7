"""The seen cache: ids whose message had its verdict (v1.0, "Router state")."""

from __future__ import annotations

from collections import OrderedDict, deque


class SeenCache:
    """Remembers an id for `ttl` seconds from its first sight, and at most `limit` ids.

    An id expires to the moment; the memory of expired ones is freed by the next `put` or
    `sweep`. Beyond the limit the oldest id is forgotten early. `now` must not go back.
    """

    def __init__(self, *, ttl: float, limit: int) -> None:
        self._ttl = ttl
        self._limit = limit
        self._expiry: dict[bytes, float] = {}
        self._order: deque[bytes] = deque()  # the first key of a dict with holes is slow to find
        self._unaccepted: dict[bytes, None] = {}

    def __len__(self) -> int:
        return len(self._expiry)

    def contains(self, message_id: bytes, now: float) -> bool:
        """Whether a copy of this message is a duplicate."""
        expiry = self._expiry.get(message_id)
        return expiry is not None and now < expiry

    def was_accepted(self, message_id: bytes, now: float) -> bool:
        """Whether it is seen and was delivered, not merely ignored or rejected."""
        return self.contains(message_id, now) and message_id not in self._unaccepted

    def put(self, message_id: bytes, now: float, *, accepted: bool) -> None:
        """Mark as seen. An id seen already keeps its time, and may become accepted."""
        self.sweep(now)
        if message_id in self._expiry:
            if accepted:
                self._unaccepted.pop(message_id, None)
            return
        if len(self._order) >= self._limit:
            self._forget_oldest()
        self._expiry[message_id] = now + self._ttl
        self._order.append(message_id)
        if not accepted:
            self._unaccepted[message_id] = None

    def sweep(self, now: float) -> None:
        """Free what expired."""
        order, expiry = self._order, self._expiry
        while order and expiry[order[0]] <= now:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        message_id = self._order.popleft()
        del self._expiry[message_id]
        self._unaccepted.pop(message_id, None)


class LastSeenCache(SeenCache):
    """The same, but an id is remembered for `ttl` seconds from when it was last asked about: who
    goes on sending a message cannot make it new by waiting. It needs some more memory."""

    def __init__(self, *, ttl: float, limit: int) -> None:
        super().__init__(ttl=ttl, limit=limit)
        self._expiry: OrderedDict[bytes, float] = OrderedDict()

    def contains(self, message_id: bytes, now: float) -> bool:
        if not super().contains(message_id, now):
            return False
        self._expiry[message_id] = now + self._ttl
        self._expiry.move_to_end(message_id)
        return True

    def put(self, message_id: bytes, now: float, *, accepted: bool) -> None:
        self.sweep(now)
        if message_id not in self._expiry:
            if len(self._expiry) >= self._limit:
                self._forget_oldest()
            if not accepted:
                self._unaccepted[message_id] = None
        elif accepted:
            self._unaccepted.pop(message_id, None)
        self._expiry[message_id] = now + self._ttl
        self._expiry.move_to_end(message_id)

    def sweep(self, now: float) -> None:
        while self._expiry and next(iter(self._expiry.values())) <= now:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        message_id, _ = self._expiry.popitem(last=False)
        self._unaccepted.pop(message_id, None)
