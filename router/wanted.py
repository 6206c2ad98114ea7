"""Messages offered with IHAVE and not here yet: whom to ask for them, and when (v1.0, "IHAVE").

Other implementations ask whoever offers a message, at once. Most of these messages arrive by the
mesh a moment later, and the others arrive several times. So the first IWANT waits a little, and
the next peer that offered is asked only when the one before has not delivered.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from random import Random

from gossipsub.router.idontwant import IDontWants
from gossipsub.router.messages import Messages
from gossipsub.router.outbox import Outbox
from gossipsub.router.params import LazyParams
from gossipsub.router.peers import Peer, PeerTable
from gossipsub.router.score.promises import Promises

MAX_OFFERS = 8
"""Peers remembered per message that offered it; further ones are asked at once, so that nobody
keeps a message out by having many peers offer it in vain."""
ENTRY_BYTES = 512
"""What a message takes beside its id, roughly."""


@dataclass(slots=True)
class _Wanted:
    topic: str
    due: float
    offers: dict[bytes, Peer]
    """Those who offered it and were not asked yet; who connects anew has not offered it."""


class WantedMessages:
    """Asks for messages one peer at a time, in random order.

    At most `max_bytes` are kept, and `MAX_OFFERS` for each; beyond either a peer is asked at once,
    and nothing is remembered. `joined` is read only, and of `score` those below `threshold` are
    not asked.
    """

    def __init__(
        self,
        params: LazyParams,
        *,
        max_bytes: int,
        threshold: float,
        joined: Collection[str],
        peers: PeerTable,
        messages: Messages,
        outbox: Outbox,
        idontwant: IDontWants,
        promises: Promises | None,
        score: Callable[[bytes], float],
        rng: Random,
    ) -> None:
        self._delay = params.iwant_delay
        self._patience = params.iwant_patience
        self._max_bytes = max_bytes
        self._threshold = threshold
        self._joined = joined
        self._peers = peers
        self._messages = messages
        self._outbox = outbox
        self._idontwant = idontwant
        self._promises = promises
        self._score = score
        self._rng = rng
        self.held_bytes = 0
        """What is remembered takes so much memory, roughly."""
        self._wanted: dict[bytes, _Wanted] = {}
        # Each in the order of time, since the pauses are always the same.
        self._first: deque[tuple[float, list[bytes]]] = deque()
        self._next: deque[tuple[float, list[bytes]]] = deque()

    def __len__(self) -> int:
        return len(self._wanted)

    def offered(self, peer: Peer, topics: Mapping[bytes, str], now: float) -> None:
        """A peer offers messages, given with their topics, that are not known here."""
        if self._patience == 0.0:
            self._ask(peer.id, topics, now)
            return
        new: list[bytes] = []
        beyond: dict[bytes, str] = {}
        for message_id, topic in topics.items():
            wanted = self._wanted.get(message_id)
            if wanted is not None:
                if len(wanted.offers) < MAX_OFFERS:
                    wanted.offers[peer.id] = peer
                elif peer.id not in wanted.offers:
                    beyond[message_id] = topic
            elif self.held_bytes + len(message_id) + ENTRY_BYTES > self._max_bytes:
                beyond[message_id] = topic
            else:
                self.held_bytes += len(message_id) + ENTRY_BYTES
                self._wanted[message_id] = _Wanted(topic, now + self._delay, {peer.id: peer})
                new.append(message_id)
        if beyond:
            self._ask(peer.id, beyond, now)
        if new:
            self._first.append((now + self._delay, new))
            if self._delay == 0.0:
                self.ask_due(now)

    def next_deadline(self) -> float:
        first = self._first[0][0] if self._first else math.inf
        return min(first, self._next[0][0]) if self._next else first

    def ask_due(self, now: float) -> None:
        """Ask for what has not come in time: one IWANT per peer."""
        asked: dict[bytes, dict[bytes, str]] = {}
        waiting: list[bytes] = []
        for message_id in self._take_due(now):
            wanted = self._wanted[message_id]
            if not self._messages.is_pending(message_id):  # only the verdict tells what it is
                peer = self._choose(message_id, wanted, now)
                if peer is None:
                    self._forget(message_id)
                    continue
                asked.setdefault(peer, {})[message_id] = wanted.topic
            wanted.due = now + self._patience
            waiting.append(message_id)
        if waiting:
            self._next.append((now + self._patience, waiting))
        for peer, topics in asked.items():
            self._ask(peer, topics, now)

    def _take_due(self, now: float) -> list[bytes]:
        due: list[bytes] = []
        for queue in (self._first, self._next):
            while queue and queue[0][0] <= now:
                time, message_ids = queue.popleft()
                due += [i for i in message_ids if i in self._wanted and self._wanted[i].due == time]
        return due

    def _choose(self, message_id: bytes, wanted: _Wanted, now: float) -> bytes | None:
        """Whom to ask next, any of those who offered it: the first might have offered everything.
        None where it came, where its topic was left, or where nobody is left to ask."""
        if wanted.topic not in self._joined or self._messages.is_known(message_id, now):
            return None
        peers = [peer for peer, record in wanted.offers.items() if self._may_ask(record)]
        if not peers:
            return None
        peer = self._rng.choice(peers)
        del wanted.offers[peer]
        return peer

    def _may_ask(self, peer: Peer) -> bool:
        # Its stream may have been opened anew meanwhile, with floodsub.
        is_here = self._peers.connected.get(peer.id) is peer and peer.features.mesh
        return is_here and self._score(peer.id) >= self._threshold

    def _ask(self, peer: bytes, topics: Mapping[bytes, str], now: float) -> None:
        message_ids = list(topics)
        self._outbox.iwant(peer, message_ids)
        self._idontwant.asked(peer, message_ids)
        if self._promises is not None:  # v1.1: a random one, or the peer would know which to keep
            promised = self._rng.choice(message_ids)
            self._promises.add(peer, promised, topics[promised], now)

    def _forget(self, message_id: bytes) -> None:
        del self._wanted[message_id]
        self.held_bytes -= len(message_id) + ENTRY_BYTES
