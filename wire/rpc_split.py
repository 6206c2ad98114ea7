"""An RPC too large for its receiver becomes several (what go calls fragmentation).

Sizes are added up from the lengths of fields: however large the RPC, each part is encoded once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gossipsub.wire.rpc import (
    Control,
    Extensions,
    IDontWant,
    IHave,
    IWant,
    Message,
    PartialMessagesExtension,
    Prune,
    Rpc,
    SubOpts,
)
from gossipsub.wire.rpc_codec import RpcLimits, encode_message, encode_rpc
from gossipsub.wire.varint import uvarint_size

_DEFAULT_LIMITS = RpcLimits()
_EXPERIMENTAL_TAG_BYTES = 4  # field numbers above 0x200000


def split_rpc(
    rpc: Rpc, max_bytes: int, limits: RpcLimits = _DEFAULT_LIMITS
) -> tuple[list[Rpc], list[Rpc]]:
    """Cut `rpc` into parts of at most `max_bytes` which a receiver with `limits` accepts.

    Returns the parts in the order to send them, and what no part can hold: RPCs of a single
    element (message, subscription, control entry, id) that is too large alone. An RPC that fits
    is returned itself. Together the parts hold everything: messages in their order, then
    subscriptions, then control. Long lists of ids are cut, each piece with its topic; the ids
    of all IWANTs are joined. The extensions announced and `test_extension` are in the first
    part, since they have to be in the first RPC of a stream (v1.3).

    `max_bytes` does not count a frame's length prefix. The peers of a PRUNE are not cut.
    """
    if _fits(rpc, max_bytes, limits):
        return [rpc], []
    packer = _Packer(max_bytes, limits)
    control = rpc.control or Control()
    if control.extensions is not None:
        size = _extensions_bytes(control.extensions)
        packer.add_entry("extensions", control.extensions, size, 2)
    if rpc.test_extension:
        packer.add_field("test_extension", True, _EXPERIMENTAL_TAG_BYTES + 1)
    for message in rpc.publish:
        size = _field_bytes(len(encode_message(message)))
        packer.add_field("publish", message, size, exempt_bytes=_data_bytes(message))
    for subscription in rpc.subscriptions:
        packer.add_field("subscriptions", subscription, _subscription_bytes(subscription))
    _add_control(packer, control, limits)
    if rpc.partial is not None:
        size = _partial_bytes(rpc.partial)
        packer.add_field("partial", rpc.partial, size, exempt_bytes=size)
    packer.finish_part()
    return packer.parts, packer.dropped


def _add_control(packer: _Packer, control: Control, limits: RpcLimits) -> None:
    for graft in control.graft:
        packer.add_entry("graft", graft, _topic_bytes(graft.topic))
    for prune in control.prune:
        packer.add_entry("prune", prune, _prune_bytes(prune), 2 + len(prune.peers))
    wanted = [message_id for iwant in control.iwant for message_id in iwant.message_ids]
    if wanted:
        packer.add_ids("iwant", IWant, 0, wanted, limits.message_ids)
    for idontwant in control.idontwant:
        ids = idontwant.message_ids
        packer.add_ids("idontwant", IDontWant, 0, ids, limits.idontwant_ids)
    for ihave in control.ihave:
        topic = ihave.topic

        def piece(ids: Sequence[bytes], topic: str = topic) -> IHave:
            return IHave(topic, ids)

        packer.add_ids("ihave", piece, _topic_bytes(topic), ihave.message_ids, limits.message_ids)


class _Packer:
    """Fills one part after another, in the order in which elements are added."""

    def __init__(self, max_bytes: int, limits: RpcLimits) -> None:
        self.parts: list[Rpc] = []
        self.dropped: list[Rpc] = []
        self._max_bytes = max_bytes
        self._limits = limits
        self._start_part()

    def _start_part(self) -> None:
        self._fields: dict[str, list[Any]] = {}
        self._entries: dict[str, list[Any]] = {}
        self._field_bytes = 0  # all but control
        self._entry_bytes = 0  # inside control
        self._exempt_bytes = 0  # not under limits.control_bytes
        self._item_count = 0

    def finish_part(self) -> None:
        """What follows goes into a new part."""
        if self._fields or self._entries:
            self.parts.append(_rpc_of(self._fields, self._entries))
            self._start_part()

    def add_field(self, name: str, element: Any, size: int, *, exempt_bytes: int = 0) -> None:
        """Add an element beside control; `size` includes its tag and length."""
        if size > self._max_bytes or size - exempt_bytes > self._limits.control_bytes:
            self.dropped.append(_rpc_of({name: [element]}, {}))
            return
        if not self._has_room(size, exempt_bytes) or self._is_full(name):
            self.finish_part()
        self._fields.setdefault(name, []).append(element)
        self._field_bytes += size
        self._exempt_bytes += exempt_bytes

    def add_entry(self, name: str, entry: Any, content_bytes: int, items: int = 1) -> None:
        """Add an element of control of `items` fields; `content_bytes` is what these take."""
        if self._is_too_large(content_bytes):
            self.dropped.append(_rpc_of({}, {name: [entry]}))
            return
        if content_bytes > self._content_room() or items > self._item_room():
            self.finish_part()
        self._entries.setdefault(name, []).append(entry)
        self._entry_bytes += _field_bytes(content_bytes)
        self._item_count += items

    def add_ids(
        self,
        name: str,
        entry_of: Callable[[Sequence[bytes]], Any],
        topic_bytes: int,
        ids: Sequence[bytes],
        max_ids: int,
    ) -> None:
        """Add `entry_of(ids)`, cut into as many entries as need be."""
        if not ids:
            self.add_entry(name, entry_of(()), topic_bytes)
        position = 0
        while position < len(ids):
            room = self._content_room()
            content_bytes = topic_bytes
            end = position
            last = min(len(ids), position + max_ids, position + self._item_room() - 1)
            while end < last and content_bytes + _field_bytes(len(ids[end])) <= room:
                content_bytes += _field_bytes(len(ids[end]))
                end += 1
            if end == position:
                content_bytes += _field_bytes(len(ids[end]))
                if not self._is_too_large(content_bytes):
                    self.finish_part()
                    continue
                end += 1  # and add_entry drops it
            entry = entry_of(tuple(ids[position:end]))
            self.add_entry(name, entry, content_bytes, end - position + 1)
            position = end

    def _is_too_large(self, content_bytes: int) -> bool:
        alone = _field_bytes(_field_bytes(content_bytes))
        return alone > min(self._max_bytes, self._limits.control_bytes)

    def _item_room(self) -> int:
        return self._limits.control_items - self._item_count

    def _is_full(self, name: str) -> bool:
        count = len(self._fields.get(name, ()))
        return (name == "publish" and count >= self._limits.messages) or (
            name == "subscriptions" and count >= self._limits.subscriptions
        )

    def _has_room(self, size: int, exempt_bytes: int) -> bool:
        total = self._field_bytes + size
        if self._entries:
            total += _field_bytes(self._entry_bytes)
        exempt_bytes += self._exempt_bytes
        return total <= self._max_bytes and total - exempt_bytes <= self._limits.control_bytes

    def _content_room(self) -> int:
        """How many bytes one more entry of control may have; negative when it cannot be."""
        if sum(map(len, self._entries.values())) >= self._limits.control_entries:
            return -1
        for_control = (
            min(self._max_bytes, self._limits.control_bytes + self._exempt_bytes)
            - self._field_bytes
        )
        # Two tags and lengths go off: as few bytes as the largest content that fits needs.
        room = for_control - self._entry_bytes - 4
        while room >= 0 and _field_bytes(self._entry_bytes + _field_bytes(room)) > for_control:
            room -= 1
        return room


def _rpc_of(parts: dict[str, list[Any]], entries: dict[str, list[Any]]) -> Rpc:
    control = None
    if entries:
        control = Control(extensions=entries.pop("extensions", [None])[0])
        for name, elements in entries.items():
            setattr(control, name, tuple(elements))
    return Rpc(
        subscriptions=tuple(parts.get("subscriptions", ())),
        publish=tuple(parts.get("publish", ())),
        control=control,
        partial=parts.get("partial", [None])[0],
        test_extension="test_extension" in parts,
    )


def _fits(rpc: Rpc, max_bytes: int, limits: RpcLimits) -> bool:
    size = len(encode_rpc(rpc))
    if (
        size > max_bytes
        or len(rpc.subscriptions) > limits.subscriptions
        or len(rpc.publish) > limits.messages
        or (rpc.control is not None and not _control_fits(rpc.control, limits))
    ):
        return False
    if size <= limits.control_bytes:
        return True
    exempt_bytes = sum(map(_data_bytes, rpc.publish))
    if rpc.partial is not None:
        exempt_bytes += _partial_bytes(rpc.partial)
    return size - exempt_bytes <= limits.control_bytes


def _control_fits(control: Control, limits: RpcLimits) -> bool:
    ids = [len(entry.message_ids) for entry in control.ihave]
    ids += [len(entry.message_ids) for entry in control.iwant]
    unwanted_ids = [len(entry.message_ids) for entry in control.idontwant]
    peers = [len(prune.peers) for prune in control.prune]
    entries = len(ids) + len(unwanted_ids) + len(peers) + len(control.graft) + 1
    return (
        entries <= limits.control_entries
        and max(ids, default=0) <= limits.message_ids
        and max(unwanted_ids, default=0) <= limits.idontwant_ids
        and 2 * entries + sum(ids) + sum(unwanted_ids) + sum(peers) <= limits.control_items
    )


def _field_bytes(content_bytes: int) -> int:
    """Tag, length and content of a field whose number is below 16."""
    return 1 + uvarint_size(content_bytes) + content_bytes


def _optional_bytes(value: bytes | None) -> int:
    return 0 if value is None else _field_bytes(len(value))


def _topic_bytes(topic: str) -> int:
    return _field_bytes(len(topic.encode())) if topic else 0


def _data_bytes(message: Message) -> int:
    return len(message.data or b"")


def _subscription_bytes(subscription: SubOpts) -> int:
    content = 2 + _field_bytes(len(subscription.topic.encode()))
    content += 2 * subscription.requests_partial + 2 * subscription.supports_sending_partial
    return _field_bytes(content)


def _prune_bytes(prune: Prune) -> int:
    content = _topic_bytes(prune.topic)
    if prune.backoff is not None:
        content += 1 + uvarint_size(prune.backoff)
    for info in prune.peers:
        peer = _optional_bytes(info.peer_id) + _optional_bytes(info.signed_peer_record)
        content += _field_bytes(peer)
    return content


def _extensions_bytes(extensions: Extensions) -> int:
    return 2 * extensions.partial_messages + (_EXPERIMENTAL_TAG_BYTES + 1) * (
        extensions.test_extension
    )


def _partial_bytes(partial: PartialMessagesExtension) -> int:
    content = 0 if partial.topic is None else _field_bytes(len(partial.topic.encode()))
    content += _optional_bytes(partial.group_id)
    content += _optional_bytes(partial.partial_message)
    content += _optional_bytes(partial.parts_metadata)
    return _field_bytes(content)
