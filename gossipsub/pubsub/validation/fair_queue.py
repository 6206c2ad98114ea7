"""Messages that wait for their signature check: a bounded queue, fair to topics and peers.

Topics take turns, and in a topic the peers that handed the messages over, one message each time.
When the queue is full, the longest line gives up its newest message to whoever has much less. So
of n busy topics each has an nth of the checks, whatever is poured into one of them, and so has
each of the busy peers within its topic. Who comes under many identities has as many turns in one
topic, but none of another topic's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from operator import attrgetter

from gossipsub.router.effects import Validate


class _Line:
    """What one peer handed over in one topic, in the order it came."""

    __slots__ = ("peer", "waiting")

    def __init__(self, peer: bytes) -> None:
        self.peer = peer
        self.waiting: deque[Validate] = deque()

    def __len__(self) -> int:
        return len(self.waiting)


class _TopicLines:
    """The lines of one topic, none empty; `turns` has them in the order of their next turns."""

    __slots__ = ("lines", "name", "size", "turns")

    def __init__(self, name: str) -> None:
        self.name = name
        self.size = 0
        self.lines: dict[bytes, _Line] = {}
        self.turns: deque[_Line] = deque()

    def __len__(self) -> int:
        return self.size

    def put(self, effect: Validate) -> None:
        line = self.lines.get(effect.peer)
        if line is None:
            line = self.lines[effect.peer] = _Line(effect.peer)
            self.turns.append(line)
        line.waiting.append(effect)
        self.size += 1

    def take(self) -> Validate:
        line = self.turns.popleft()
        effect = line.waiting.popleft()
        self.size -= 1
        if line.waiting:
            self.turns.append(line)
        else:
            del self.lines[line.peer]
        return effect

    def longest(self) -> _Line:
        """Of equally long ones that whose turn comes last."""
        return max(reversed(self.turns), key=len)

    def take_newest(self, line: _Line) -> Validate:
        self.size -= 1
        effect = line.waiting.pop()
        if not line.waiting:
            self.turns.remove(line)
            del self.lines[line.peer]
        return effect


class FairQueue:
    """At most `bound` messages."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._shared = bound * 3 // 4
        self._size = 0
        self.data_bytes = 0
        """Of all messages."""
        self._topics: dict[str, _TopicLines] = {}
        self._turns: deque[_TopicLines] = deque()
        self._of_peer: dict[bytes, dict[str, int]] = {}
        """How many of each peer, by topic."""

    def __len__(self) -> int:
        return self._size

    def waiting(self) -> dict[str, int]:
        """How many messages of each topic."""
        return {topic: lines.size for topic, lines in self._topics.items()}

    def topics(self) -> Iterable[str]:
        """Those of which a message waits."""
        return self._topics.keys()

    def is_share_used(self, peer: bytes) -> bool:
        """A peer has as many messages here as there are places left, a quarter of all aside: that
        is for the rest of an RPC which began in time. So of three quarters k peers that send all
        they can leave one place of k + 1 to the others, and one alone half of them. Only topics
        with more than their parts of the places count: a flood of others leaves a topic its own.
        """
        if 2 * self._size < self._shared:  # as is mostly so: of what is here nobody has more
            return False
        own = self._of_peer.get(peer)
        if own is None or sum(own.values()) + self._size < self._shared:
            return False
        return self._has_filled_a_topic(own, 1)

    def is_share_free(self, peer: bytes) -> bool:
        """It has few enough again: well below its share, so that it waits seldom, not shortly."""
        own = self._of_peer.get(peer)
        if own is None or 2 * sum(own.values()) + self._size <= self._shared:
            return True
        return not self._has_filled_a_topic(own, 2)

    def _has_filled_a_topic(self, own: dict[str, int], times: int) -> bool:
        """In one of its topics a peer has, so many times, the places left there."""
        part = self._shared // len(self._topics)
        for name, count in own.items():
            size = self._topics[name].size
            if times * count + size >= max(self._shared - self._size + size, part):
                return True
        return False

    def put(self, effect: Validate) -> Validate | None:
        """Queue a message. Returned is the one that has no place then, if any: an older one of a
        longer line, or this one."""
        displaced = None
        if self._size >= self._bound:
            displaced = self._make_room(effect)
            if displaced is None:
                return effect
        topic = effect.message.topic
        lines = self._topics.get(topic)
        if lines is None:
            lines = self._topics[topic] = _TopicLines(topic)
            self._turns.append(lines)
        lines.put(effect)
        self._size += 1
        self.data_bytes += len(effect.message.data or b"")
        own = self._of_peer.setdefault(effect.peer, {})
        own[topic] = own.get(topic, 0) + 1
        return displaced

    def take(self, most: int, most_bytes: int) -> list[Validate]:
        """The next messages, at most so many, and no more once they have so many bytes together.
        Among these the order of arrival holds: without a backlog nobody overtakes anybody."""
        taken: list[Validate] = []
        while self._turns and len(taken) < most and most_bytes > 0:
            lines = self._turns.popleft()
            effect = lines.take()
            if lines.size:
                self._turns.append(lines)
            else:
                del self._topics[lines.name]
            most_bytes -= self._left(effect)
            taken.append(effect)
        taken.sort(key=attrgetter("ticket"))
        return taken

    def _make_room(self, effect: Validate) -> Validate | None:
        """Take the newest message of the longest line of the topic with most, where these two are
        at least two ahead of the arriving message's; one would only swap their roles. Where its
        topic has as many as any, a line of its own topic."""
        topic = max(self._turns, key=len)
        own = self._topics.get(effect.message.topic)
        if own is None and topic.size < 2:
            return None
        if own is not None and topic.size < own.size + 2:
            topic = own
        line = topic.longest()
        if topic is own and len(line) < len(own.lines.get(effect.peer, ())) + 2:
            return None
        displaced = topic.take_newest(line)
        if not topic.size:
            self._turns.remove(topic)
            del self._topics[topic.name]
        self._left(displaced)
        return displaced

    def _left(self, effect: Validate) -> int:
        """The bytes of its data."""
        peer, topic = effect.peer, effect.message.topic
        size = len(effect.message.data or b"")
        self._size -= 1
        self.data_bytes -= size
        own = self._of_peer[peer]
        own[topic] -= 1
        if not own[topic]:
            del own[topic]
            if not own:
                del self._of_peer[peer]
        return size
