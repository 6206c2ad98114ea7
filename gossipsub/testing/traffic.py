"""Counting what is sent, with sizes estimated from the fields: nothing is encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gossipsub.wire.rpc import Control, Message, Rpc

KINDS = (
    "message", "subscription", "ihave", "iwant", "idontwant", "graft", "prune", "extension",
)  # fmt: skip
"""What an RPC can hold; extensions and partial messages are one kind."""

FIELD_BYTES = 2
"""Tag and length of a field below 128 bytes."""


@dataclass(slots=True)
class Traffic:
    """One kind of element sent, over all links."""

    count: int = 0
    """Elements: messages, IHAVEs (not the ids in them), GRAFTs and so on."""
    ids: int = 0
    """Message ids in IHAVE, IWANT and IDONTWANT."""
    bytes: int = 0
    """Estimated bytes on the wire, without the RPC's length prefix and the transport's own."""


class TrafficCounter:
    """Adds RPCs up. RPCs dropped at the sender are counted apart, by their number.

    One RPC object goes to many peers in a row: it is looked at once, and added up at the end.
    `last` and `repeats` are open to the transport, which counts the same RPC again without a call.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self.last: Rpc | None = None
        self.repeats = 0
        """How often `last` was sent since it was first seen."""
        self._rpcs = 0
        self._by_kind = {kind: Traffic() for kind in KINDS}
        self._last_bytes = 0
        self._last_parts: list[_Part] = []

    @property
    def rpcs(self) -> int:
        """RPCs sent."""
        return self._rpcs + self.repeats

    def count(self, rpc: Rpc) -> int:
        """Count an RPC sent; returns its estimated bytes."""
        if rpc is not self.last:
            self._add_last()
            self.last = rpc
            self._last_parts = _parts_of(rpc)
            self._last_bytes = sum(part[3] for part in self._last_parts)
        self.repeats += 1
        return self._last_bytes

    def by_kind(self) -> dict[str, Traffic]:
        """What was counted so far."""
        self._add_last()
        return {kind: replace(traffic) for kind, traffic in self._by_kind.items()}

    def _add_last(self) -> None:
        times, self.repeats = self.repeats, 0
        self._rpcs += times
        for kind, count, ids, size in self._last_parts:
            traffic = self._by_kind[kind]
            traffic.count += count * times
            traffic.ids += ids * times
            traffic.bytes += size * times


_Part = tuple[str, int, int, int]
"""Kind, elements, message ids in them, and bytes."""


def _parts_of(rpc: Rpc) -> list[_Part]:
    parts: list[_Part] = []
    if rpc.publish:
        size = sum(map(message_bytes, rpc.publish))
        parts.append(("message", len(rpc.publish), 0, size))
    if rpc.control is not None:
        parts += _parts_of_control(rpc.control)
    if rpc.subscriptions:
        size = sum(len(option.topic) + 3 * FIELD_BYTES for option in rpc.subscriptions)
        parts.append(("subscription", len(rpc.subscriptions), 0, size))
    if rpc.partial is not None:
        fields = (rpc.partial.group_id, rpc.partial.partial_message, rpc.partial.parts_metadata)
        size = sum(len(item or b"") + FIELD_BYTES for item in fields)
        parts.append(("extension", 1, 0, size))
    return parts


def _parts_of_control(control: Control) -> list[_Part]:
    parts: list[_Part] = []
    for ihave in control.ihave:
        parts.append(_ids("ihave", ihave.message_ids, len(ihave.topic) + FIELD_BYTES))
    for iwant in control.iwant:
        parts.append(_ids("iwant", iwant.message_ids, 0))
    for idontwant in control.idontwant:
        parts.append(_ids("idontwant", idontwant.message_ids, 0))
    if control.graft:
        size = sum(len(graft.topic) + 2 * FIELD_BYTES for graft in control.graft)
        parts.append(("graft", len(control.graft), 0, size))
    if control.prune:
        size = sum(len(prune.topic) + 3 * FIELD_BYTES for prune in control.prune)
        for prune in control.prune:
            for info in prune.peers:
                record = info.signed_peer_record or b""
                size += len(info.peer_id or b"") + len(record) + 3 * FIELD_BYTES
        parts.append(("prune", len(control.prune), 0, size))
    if control.extensions is not None:
        parts.append(("extension", 1, 0, 3 * FIELD_BYTES))
    return parts


def _ids(kind: str, ids: Sequence[bytes], size: int) -> _Part:
    # Ids of one network are about equally long.
    each = len(ids[0]) + FIELD_BYTES if ids else 0
    return (kind, 1, len(ids), size + len(ids) * each + 2 * FIELD_BYTES)


def message_bytes(message: Message) -> int:
    """Estimated bytes of a message within an RPC."""
    size = len(message.topic) + len(message.unknown) + 6 * FIELD_BYTES
    for part in (message.data, message.from_peer, message.seqno, message.signature, message.key):
        if part is not None:
            size += len(part)
    return size
