"""Exchange of groups of parts of one size: the usual use of partial messages.

Metadata is a bitmap of the parts one has, lowest bit first. A message is such a bitmap, the parts
it names in their order, and the group's id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.partial import PartialHandler, PartialMessage

MAX_PEERS = 1024
"""Peers remembered per group; beyond it the one that spoke first is forgotten."""


class PartialTopic(Protocol):
    """What an exchange needs of a topic."""

    def set_partial_handler(self, handler: PartialHandler | None) -> None: ...

    def publish_partial(
        self, group_id: bytes, message_for: Callable[[PeerId, bool], PartialMessage | None]
    ) -> tuple[PeerId, ...]: ...

    def send_partial(self, peer: PeerId, group_id: bytes, partial: PartialMessage) -> bool: ...


@dataclass(slots=True)
class _Peer:
    """What is known of one peer in one group; sets of parts are bits of a number."""

    has: int = 0
    is_heard: bool = False
    """It sent metadata."""
    told: int | None = None
    """What it knows us to have; None: it was told nothing."""
    sent: int = 0
    """Sent since its last metadata, which may have crossed with it."""


@dataclass(slots=True)
class _Group:
    parts: dict[int, bytes] = field(default_factory=dict)
    has: int = 0
    is_own: bool = False
    """Parts of it were added here."""
    peers: dict[PeerId, _Peer] = field(default_factory=dict)


class PartExchange:
    """Gathers the parts of groups from a topic's peers, and sends them what they miss.

    Each group has `parts` parts of `part_bytes` each. `complete(group_id, parts)` is called once
    for each group whose last part came. `verify(group_id, index, part)` says whether a part that a
    peer sent is genuine: without it any peer can spoil a group. `accept_group(group_id)` says
    whether a group that a peer names exists; without it peers can fill the table with made-up ones.

    At most `max_groups` are kept, with their parts: beyond it the oldest goes, first of those that
    only peers spoke of. `eager` sends all parts to peers whose metadata is not known yet.

    Becomes the topic's partial message handler. The topic must have partial messages
    (`TopicParams.partial_messages`); parts come only with `PartialMode.REQUEST`.
    """

    def __init__(
        self,
        topic: PartialTopic,
        *,
        parts: int,
        part_bytes: int,
        complete: Callable[[bytes, tuple[bytes, ...]], None],
        verify: Callable[[bytes, int, bytes], bool] | None = None,
        accept_group: Callable[[bytes], bool] | None = None,
        eager: bool = False,
        max_groups: int = 256,
    ) -> None:
        if min(parts, part_bytes, max_groups) < 1:
            raise ValueError(
                "parts, part_bytes and max_groups must be at least 1: "
                f"{parts}, {part_bytes}, {max_groups}"
            )
        self._topic = topic
        self._count = parts
        self._part_bytes = part_bytes
        self._bitmap_bytes = (parts + 7) // 8
        self._complete = complete
        self._verify = verify
        self._accept_group = accept_group
        self._eager = eager
        self._max_groups = max_groups
        self._groups: dict[bytes, _Group] = {}
        topic.set_partial_handler(self)

    # -- the application -------------------------------------------------------------------

    def add(self, group_id: bytes, parts: Mapping[int, bytes]) -> tuple[PeerId, ...]:
        """This host has these parts, by index: tell the peers. Returns those told at once.

        ValueError: an index or a length does not fit; LocalProtocolError as `publish_partial`.
        """
        for index, part in parts.items():
            if not 0 <= index < self._count or len(part) != self._part_bytes:
                raise ValueError(
                    f"need indexes below {self._count} and parts of {self._part_bytes} bytes: "
                    f"{index}, {len(part)}"
                )
        group = self._groups.get(group_id) or self._new_group(group_id)
        group.is_own = True
        is_new = self._keep(group, parts)
        told = self.publish(group_id)
        if is_new:
            self._completed(group_id, group)
        return told

    def publish(self, group_id: bytes) -> tuple[PeerId, ...]:
        """Tell the peers of a group what they were not told yet; nobody where it is not known."""
        group = self._groups.get(group_id)
        if group is None:
            return ()
        return self._topic.publish_partial(
            group_id, lambda peer, requests: self._answer(group_id, group, peer, requests)
        )

    def parts(self, group_id: bytes) -> dict[int, bytes]:
        """The parts of a group that are here, by index."""
        group = self._groups.get(group_id)
        return {} if group is None else {i: group.parts[i] for i in sorted(group.parts)}

    def groups(self) -> tuple[bytes, ...]:
        """Groups known, the oldest first."""
        return tuple(self._groups)

    def forget(self, group_id: bytes) -> None:
        """Its parts are not sent any more. Peers that name it begin it anew."""
        self._groups.pop(group_id, None)

    # -- the topic's handler ---------------------------------------------------------------

    def received(
        self, peer: PeerId, group_id: bytes, message: bytes | None, metadata: bytes | None
    ) -> None:
        """A peer sent parts, metadata or both; what is malformed is ignored."""
        parts = {} if message is None else self._decode(group_id, message)
        bits = None if metadata is None else self._bits(metadata)
        if not parts and bits is None:
            return
        group = self._groups.get(group_id)
        if group is None:
            if self._accept_group is not None and not self._accept_group(group_id):
                return
            group = self._new_group(group_id)
        known = self._peer(group, peer)
        if bits is not None:
            known.has, known.sent, known.is_heard = bits | known.sent, 0, True
        is_new = self._take(group_id, group, known, parts)
        if group.has:
            self.publish(group_id)  # the peer that spoke is among those asked for
        elif known.told is None:
            known.told = 0
            self._topic.send_partial(peer, group_id, PartialMessage(metadata=self._bitmap(0)))
        if is_new:
            self._completed(group_id, group)

    def gossip(self, group_id: bytes, peers: tuple[PeerId, ...]) -> None:
        """Peers that have not heard of a group published here."""
        self.publish(group_id)

    # -- parts of the above ----------------------------------------------------------------

    def _answer(
        self, group_id: bytes, group: _Group, peer: PeerId, requests: bool
    ) -> PartialMessage | None:
        known = self._peer(group, peer)
        message = metadata = None
        new = group.has & ~known.has
        if requests and new and (known.is_heard or self._eager):
            message = self._encode(group_id, group, new)
            known.has |= new
            known.sent |= new
        # What was sent tells that it is here; what is left to tell needs metadata.
        told = (known.told or 0) | (new if message is not None else 0)
        if known.told is None or told != group.has:
            metadata = self._bitmap(group.has)
        if message is None and metadata is None:
            return None
        known.told = group.has
        return PartialMessage(message, metadata)

    def _take(
        self, group_id: bytes, group: _Group, known: _Peer, parts: Mapping[int, bytes]
    ) -> bool:
        genuine: dict[int, bytes] = {}
        for index, part in parts.items():
            is_here = index in group.parts
            if is_here or self._verify is None or self._verify(group_id, index, part):
                genuine[index] = part
                known.has |= 1 << index
                if known.told is not None:
                    known.told |= 1 << index  # it knows: it sent the part
        return self._keep(group, genuine)

    def _keep(self, group: _Group, parts: Mapping[int, bytes]) -> bool:
        """Whether one of them is new."""
        new = [index for index in parts if index not in group.parts]
        for index in new:
            group.parts[index] = bytes(parts[index])
            group.has |= 1 << index
        return bool(new)

    def _completed(self, group_id: bytes, group: _Group) -> None:
        if len(group.parts) == self._count:
            self._complete(group_id, tuple(group.parts[i] for i in range(self._count)))

    def _new_group(self, group_id: bytes) -> _Group:
        if len(self._groups) >= self._max_groups:
            foreign = (known for known, group in self._groups.items() if not group.is_own)
            del self._groups[next(foreign, next(iter(self._groups)))]
        group = self._groups[group_id] = _Group()
        return group

    @staticmethod
    def _peer(group: _Group, peer: PeerId) -> _Peer:
        known = group.peers.get(peer)
        if known is None:
            if len(group.peers) >= MAX_PEERS:
                del group.peers[next(iter(group.peers))]
            known = group.peers[peer] = _Peer()
        return known

    # -- the wire --------------------------------------------------------------------------

    def _bitmap(self, bits: int) -> bytes:
        return bits.to_bytes(self._bitmap_bytes, "little")

    def _bits(self, bitmap: bytes) -> int | None:
        bits = int.from_bytes(bitmap, "little")
        is_valid = len(bitmap) == self._bitmap_bytes and bits >> self._count == 0
        return bits if is_valid else None

    def _encode(self, group_id: bytes, group: _Group, bits: int) -> bytes:
        chosen = [group.parts[index] for index in range(self._count) if bits >> index & 1]
        return b"".join((self._bitmap(bits), *chosen, group_id))

    def _decode(self, group_id: bytes, message: bytes) -> dict[int, bytes]:
        """The parts by index; nothing where the message is malformed."""
        start, size = self._bitmap_bytes, self._part_bytes
        bits = self._bits(message[:start])
        if bits is None or len(message) != start + bits.bit_count() * size + len(group_id):
            return {}
        if not message.endswith(group_id):
            return {}
        parts: dict[int, bytes] = {}
        for index in range(self._count):
            if bits >> index & 1:
                parts[index] = message[start : start + size]
                start += size
        return parts
