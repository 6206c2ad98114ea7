"""IDONTWANT: large messages that need not be sent any more (v1.2, "IDONTWANT Message")."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gossipsub.router.asked import Asked
from gossipsub.router.effects import Unqueue
from gossipsub.router.extension.partial import PartialMessages
from gossipsub.router.mcache import MessageCache
from gossipsub.router.message_id import bounded_key
from gossipsub.router.outbox import Outbox
from gossipsub.router.params import LazyParams
from gossipsub.router.peers import Peer, PeerTable
from gossipsub.wire.rpc import IDontWant, Message

_NOBODY: Mapping[bytes, None] = {}


@dataclass(slots=True)
class _Refusals:
    """What was refused between two heartbeats: thousands end in one step."""

    by_key: dict[bytes, dict[bytes, None]] = field(default_factory=dict)
    """Which peers refuse a message."""
    by_peer: dict[bytes, dict[bytes, None]] = field(default_factory=dict)
    """Which messages a peer refuses."""

    def remove(self, peer: bytes, key: bytes) -> None:
        del self.by_peer[peer][key]
        self._unlist(peer, key)

    def forget(self, peer: bytes) -> None:
        for key in self.by_peer.pop(peer, ()):
            self._unlist(peer, key)

    def _unlist(self, peer: bytes, key: bytes) -> None:
        peers = self.by_key[key]
        del peers[peer]
        if not peers:
            del self.by_key[key]


class IDontWants:
    """Tells the meshes (read only) of large messages received, and remembers what peers refuse.

    A refusal lasts `idontwant_heartbeats`. Beyond `max_refusals` per peer, and beyond the limits
    per RPC and per heartbeat, IDONTWANT is ignored; it is never a reason for a penalty.
    """

    def __init__(
        self,
        params: LazyParams,
        *,
        max_refusals: int,
        meshes: Mapping[str, dict[bytes, None]],
        peers: PeerTable,
        mcache: MessageCache,
        outbox: Outbox,
        partial: PartialMessages,
    ) -> None:
        self._params = params
        self._threshold = params.idontwant_threshold
        self._max_refusals = max_refusals
        self._meshes = meshes
        self._peers = peers
        self._mcache = mcache
        self._outbox = outbox
        self._partial = partial
        self._asked = Asked(heartbeats=params.idontwant_heartbeats, limit=params.max_ihave_length)
        self._rpcs: dict[bytes, int] = {}
        """RPCs with IDONTWANT since the last heartbeat, by peer."""
        self._refusals = deque(_Refusals() for _ in range(params.idontwant_heartbeats))

    def __len__(self) -> int:
        """Messages that some peer refuses."""
        return len(set().union(*[refusals.by_key for refusals in self._refusals]))

    def announce(self, message: Message, message_id: bytes, have_it: Collection[bytes]) -> None:
        """A message came for the first time, or is published here without our name: if it is
        large, the mesh need not send it, nor those asked for it. Not told are its author and who
        sent it.

        Told as well are peers that refused it: they have it, and would send it. Peers that send
        us parts in place of messages would not.
        """
        if len(message.data or b"") < self._threshold:
            return
        told: dict[bytes, None] = {}
        author, connected = message.from_peer, self._peers.connected
        serving = self._partial.serving(message.topic)
        for peer in (
            *self._meshes.get(message.topic, ()),
            *self._asked.take(bounded_key(message_id)),
        ):
            if peer not in have_it and peer != author and peer not in serving:
                record = connected.get(peer)  # one that was asked may have left
                if record is not None and record.features.idontwant:
                    told[peer] = None
        if told:
            self._outbox.idontwant(told, message_id)

    def handle_idontwant(self, peer: Peer, idontwants: Sequence[IDontWant]) -> None:
        """Remember what the peer refuses, be it in a mesh or not. What was sent already may still
        wait in its queue."""
        rpcs = self._rpcs[peer.id] = self._rpcs.get(peer.id, 0) + 1
        if rpcs > self._params.max_idontwant_messages:
            return
        room = self._params.max_idontwant_length
        for entry in idontwants:
            message_ids = entry.message_ids[:room]
            self._refuse(peer.id, map(bounded_key, message_ids))
            for message_id in message_ids:
                message = self._mcache.get(message_id)
                if message is not None:
                    self._outbox.effects.append(Unqueue(peer.id, message))
            room -= min(room, len(entry.message_ids))

    def asked(self, peer: bytes, message_ids: Iterable[bytes]) -> None:
        """The peer is sent an IWANT for these."""
        self._asked.put(peer, map(bounded_key, message_ids))

    def has_asked(self, peer: bytes, message_id: bytes) -> bool:
        """Whether the peer was sent an IWANT for this not long ago."""
        return self._asked.includes(peer, bounded_key(message_id))

    def refusing(self, message_id: bytes) -> Mapping[bytes, None]:
        """The peers that asked not to be sent this message."""
        key = bounded_key(message_id)
        found = _NOBODY
        for refusals in self._refusals:
            peers = refusals.by_key.get(key)
            if peers is not None:
                found = peers if found is _NOBODY else {**found, **peers}
        return found

    def is_refused(self, peer: bytes, message_id: bytes) -> bool:
        return peer in self.refusing(message_id)

    def age(self) -> None:
        """A heartbeat passed: forget the refusals that end, and count RPCs anew."""
        self._asked.age()
        self._rpcs.clear()
        self._refusals.pop()
        self._refusals.appendleft(_Refusals())

    def forget(self, peer: bytes) -> None:
        """The peer, or the stream on which it told us, is gone."""
        self._rpcs.pop(peer, None)
        for refusals in self._refusals:
            refusals.forget(peer)

    def _refuse(self, peer: bytes, keys: Iterable[bytes]) -> None:
        """From now on; refused before, they are refused for longer."""
        newest, *others = self._refusals
        refused = newest.by_peer.setdefault(peer, {})
        older = [each for each in others if peer in each.by_peer]
        held = len(refused) + sum(len(each.by_peer[peer]) for each in older)
        for key in keys:
            if key in refused:
                continue
            for each in older:
                if key in each.by_peer[peer]:
                    each.remove(peer, key)
                    break
            else:
                if held >= self._max_refusals:
                    continue
                held += 1
            refused[key] = None
            peers = newest.by_key.get(key)
            if peers is None:
                newest.by_key[key] = {peer: None}
            else:
                peers[peer] = None
