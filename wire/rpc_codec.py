"""RPCs to bytes and back (pubsub "The RPC", gossipsub v1.0 to v1.3; field numbers: `rpc.proto`).

Published messages are read and written by hand in `message_codec`; everything else goes through
protobuf, which for an RPC with nothing but messages is never called.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from google.protobuf.message import DecodeError

from gossipsub.wire.errors import RemoteProtocolError
from gossipsub.wire.message_codec import (
    bytes_to_sign,
    decode_message,
    encode_message,
    field_extent,
)
from gossipsub.wire.rpc import (
    Control,
    Extensions,
    Graft,
    IDontWant,
    IHave,
    IWant,
    Message,
    PartialMessagesExtension,
    PeerInfo,
    Prune,
    Rpc,
    SubOpts,
)
from gossipsub.wire.rpc_schema import RPC
from gossipsub.wire.varint import encode_uvarint, uvarint_size

__all__ = ["RpcLimits", "bytes_to_sign", "decode_rpc", "encode_message", "encode_rpc"]

# First bytes of fields: number << 3 | wire type 2 (length-delimited).
_SUBSCRIPTIONS, _PUBLISH, _CONTROL, _PARTIAL = 0x0A, 0x12, 0x1A, 0x52
_IDONTWANT, _MESSAGE_ID = 0x2A, 0x0A
_COUNTED_AS = {_SUBSCRIPTIONS: "subscriptions", _PUBLISH: "messages"}

_PARTIAL_FIELDS = ("topicID", "groupID", "partialMessage", "partsMetadata")

_Extent = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcLimits:
    """How much one received RPC may hold; above any of these it is refused as a whole.

    The counts are those of js-libp2p's decoder, the bytes those of go-libp2p-pubsub 0.19.
    """

    subscriptions: int = 5000
    messages: int = 5000
    control_entries: int = 5000
    """IHAVE, IWANT, GRAFT, PRUNE and IDONTWANT entries together, and fields not known."""
    control_items: int = 30_000
    """Fields in all these entries together: ids, offered peers, topics. Ours alone, to bound
    the work: `control_bytes` has no room for more ids than that unless they are very short."""
    message_ids: int = 5000
    """Ids in one IHAVE or IWANT. Per entry: go puts up to 5000 for each topic in one RPC."""
    idontwant_ids: int = 512
    """Ids in one IDONTWANT."""
    peer_infos: int = 16
    """Peers offered in one PRUNE."""
    extra_message_fields: int = 8
    """Fields of one message that are unknown or repeated. Above it only the message is left
    out: the peer that forwards it need not be the one that made it."""
    control_bytes: int = 512 * 1024
    """All bytes of the RPC but the data of messages and the partial message."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value < 1:
                raise ValueError(f"{field.name} must be at least 1, not {value}")


def decode_rpc(frame: bytes, limits: RpcLimits) -> Rpc:
    """Read one RPC. Raises RemoteProtocolError, fatal to the stream, and nothing else.

    A message comes out with `encoding` set to its bytes in the frame. Left out without an error
    are messages that have no topic or that some implementation would refuse (topic not UTF-8, a
    known field of the wrong type, groups, needlessly long varints): the peer that forwarded one
    need not have noticed, and passing it on could cost us the streams to our other peers. Left
    out, too, are announcements without topic, and entries whose topic is not UTF-8.
    """
    try:
        if (message := _only_message(frame, limits)) is not None:
            return Rpc((), (message,))
        if (idontwant := _only_idontwant(frame, limits)) is not None:
            return Rpc(control=Control(idontwant=(idontwant,)))
        messages, controls, other = _scan(frame, limits)
        if not other:
            return Rpc(publish=tuple(messages))
        _check_entries(frame, controls, limits)
        return _rpc_from(RPC.FromString(other), messages, limits)
    except IndexError:
        raise _refused("it ends inside a field") from None
    except RemoteProtocolError as error:
        raise _refused(str(error)) from error
    except (DecodeError, UnicodeDecodeError) as error:  # the latter only without upb
        raise _refused("protobuf cannot read it") from error


def _only_message(frame: bytes, limits: RpcLimits) -> Message | None:
    """The message where the frame holds one and nothing else, as nearly all do; None where it is to
    be looked at more closely."""
    if len(frame) > limits.control_bytes or not frame or frame[0] != _PUBLISH:
        return None
    body, end = field_extent(frame, 0)
    if end < len(frame):
        return None
    try:
        return decode_message(frame[body:], limits.extra_message_fields)
    except RemoteProtocolError:
        return None


def _only_idontwant(frame: bytes, limits: RpcLimits) -> IDontWant | None:
    """The IDONTWANT where the frame holds one and nothing else, as come with large messages; None
    where it is to be looked at more closely."""
    size = len(frame)
    if size < 7 or size > limits.control_bytes or frame[0] != _CONTROL:
        return None
    # Of one id, as most implementations send it: lengths of one byte, each of all that follows.
    if size < 130 and frame[1:6] == bytes((size - 2, _IDONTWANT, size - 4, _MESSAGE_ID, size - 6)):
        return IDontWant((frame[6:],))
    most = min(limits.idontwant_ids, limits.control_items)
    try:
        entry, end = field_extent(frame, 0)
        if end < size or frame[entry] != _IDONTWANT:
            return None
        position, end = field_extent(frame, entry)
        if end < size:
            return None
        message_ids: list[bytes] = []
        while position < size:
            if frame[position] != _MESSAGE_ID or len(message_ids) == most:
                return None
            body, position = field_extent(frame, position)
            message_ids.append(frame[body:position])
    except (IndexError, RemoteProtocolError):
        return None
    return IDontWant(tuple(message_ids))


def _scan(frame: bytes, limits: RpcLimits) -> tuple[list[Message], list[_Extent], bytes]:
    """Read the messages; find where the controls lie, and all fields that are not messages.

    Counts field by field, so that nothing is built beyond a limit.
    """
    messages: list[Message] = []
    controls: list[_Extent] = []
    runs: list[bytes] = []  # of fields that are not messages
    run_start = position = exempt_bytes = 0
    room = {
        "subscriptions": limits.subscriptions,
        "messages": limits.messages,
        "control_entries": limits.control_entries,
    }
    while position < len(frame):
        start = position
        tag = frame[start]
        body, position = field_extent(frame, start)
        kind = _COUNTED_AS.get(tag, "control_entries")
        room[kind] -= 1
        if room[kind] < 0:
            raise _above(limits, kind)
        if tag == _PUBLISH:
            if start > run_start:
                runs.append(frame[run_start:start])
            run_start = position
            try:
                messages.append(decode_message(frame[body:position], limits.extra_message_fields))
            except RemoteProtocolError:
                exempt_bytes += position - start
        elif tag == _CONTROL:
            controls.append((body, position))
        elif tag == _PARTIAL:
            exempt_bytes += position - start
    if position > run_start:
        runs.append(frame[run_start:])
    if len(frame) > limits.control_bytes:
        _check_control_bytes(len(frame) - exempt_bytes, messages, limits)
    return messages, controls, runs[0] if len(runs) == 1 else b"".join(runs)


def _check_control_bytes(size: int, messages: Iterable[Message], limits: RpcLimits) -> None:
    for message in messages:
        if message.data:
            # Its length prefix counts as data, too: so go counts.
            size -= len(message.data) + uvarint_size(len(message.data))
    if size > limits.control_bytes:
        raise _above(limits, "control_bytes")


def _check_entries(frame: bytes, controls: list[_Extent], limits: RpcLimits) -> None:
    """Count entries and what is in them before protobuf makes objects of it all.

    A field takes two bytes at least, so small controls need no counting.
    """
    control_bytes = sum(end - start for start, end in controls)
    if control_bytes <= 2 * limits.control_entries:
        return
    must_count_items = control_bytes > 2 * limits.control_items
    entry_room, item_room = limits.control_entries, limits.control_items
    for start, end in controls:
        control = frame[start:end]
        position = 0
        while position < len(control):
            entry_room -= 1
            if entry_room < 0:
                raise _above(limits, "control_entries")
            body, position = field_extent(control, position)
            if must_count_items:
                item_room -= _count_fields(control[body:position], item_room)
                if item_room < 0:
                    raise _above(limits, "control_items")


def _count_fields(entry: bytes, enough: int) -> int:
    """How many fields `entry` has; stops counting just above `enough`."""
    count = position = 0
    while position < len(entry) and count <= enough:
        _, position = field_extent(entry, position)
        count += 1
    return count


def _rpc_from(received: Any, messages: list[Message], limits: RpcLimits) -> Rpc:
    rpc = Rpc(publish=tuple(messages))
    for field, value in received.ListFields():
        match field.number:
            case 1:
                rpc.subscriptions = _subscriptions_from(value)
            case 3:
                rpc.control = _control_from(value, limits)
            case 10:
                rpc.partial = _partial_from(value)
            case _:
                rpc.test_extension = True
    return rpc


def _subscriptions_from(entries: Any) -> tuple[SubOpts, ...]:
    return tuple(
        [
            SubOpts(topic, entry.subscribe, entry.requestsPartial, entry.supportsSendingPartial)
            for entry in entries
            if type(topic := entry.topicid) is str and (topic or entry.HasField("topicid"))
        ]
    )


def _control_from(received: Any, limits: RpcLimits) -> Control:
    # ListFields, since merely asking for five lists that are usually empty costs more than all
    # the rest. upb hands out a string that is not UTF-8 as bytes: such entries are left out.
    # An absent topic reads as "", as in go; the entry then means nothing to anybody.
    control = Control()
    for field, value in received.ListFields():
        match field.number:
            case 1:
                control.ihave = tuple(
                    [
                        IHave(topic, _ids_from(entry, limits.message_ids))
                        for entry in value
                        if type(topic := entry.topicID) is str
                    ]
                )
            case 2:
                control.iwant = tuple([IWant(_ids_from(e, limits.message_ids)) for e in value])
            case 3:
                control.graft = tuple(
                    [Graft(topic) for entry in value if type(topic := entry.topicID) is str]
                )
            case 4:
                control.prune = tuple(
                    [_prune_from(entry, limits) for entry in value if type(entry.topicID) is str]
                )
            case 5:
                ids_limit = limits.idontwant_ids
                control.idontwant = tuple([IDontWant(_ids_from(e, ids_limit)) for e in value])
            case _:
                control.extensions = Extensions(value.partialMessages, value.testExtension)
    return control


def _ids_from(entry: Any, limit: int) -> tuple[bytes, ...]:
    ids = entry.messageIDs
    if len(ids) > limit:
        raise RemoteProtocolError(f"more than {limit} message ids in one entry")
    return tuple(ids[:])  # a slice is a third faster to read than the container


def _prune_from(entry: Any, limits: RpcLimits) -> Prune:
    if len(entry.peers) > limits.peer_infos:
        raise _above(limits, "peer_infos")
    peers = [
        PeerInfo(
            info.peerID if info.HasField("peerID") else None,
            info.signedPeerRecord if info.HasField("signedPeerRecord") else None,
        )
        for info in entry.peers
    ]
    backoff = entry.backoff if entry.HasField("backoff") else None
    return Prune(entry.topicID, tuple(peers), backoff)


def _partial_from(received: Any) -> PartialMessagesExtension | None:
    if type(received.topicID) is not str:
        return None
    values = [
        getattr(received, name) if received.HasField(name) else None for name in _PARTIAL_FIELDS
    ]
    return PartialMessagesExtension(*values)


def _refused(reason: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"RPC refused: {reason}", fatal_to="stream")


def _above(limits: RpcLimits, name: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"more than {getattr(limits, name)} {name}")


def encode_rpc(rpc: Rpc) -> bytes:
    """The bytes of one RPC: `rpc.encoding`, which is set if it was not.

    Fields in the order of their numbers, as protoc writes them; messages as their `encoding`
    has them. A false flag is not written, except `subscribe`; nor is an empty topic, except
    that of a message or subscription.
    """
    if rpc.encoding is None:
        parts: list[bytes] = []
        if rpc.subscriptions:
            parts.append(_encode_subscriptions(rpc.subscriptions))
        for message in rpc.publish:
            encoding = message.encoding or encode_message(message)
            parts += (b"\x12", encode_uvarint(len(encoding)), encoding)
        if rpc.control is not None or rpc.partial is not None or rpc.test_extension:
            parts.append(_encode_rest(rpc))
        rpc.encoding = parts[0] if len(parts) == 1 else b"".join(parts)
    return rpc.encoding


def _encode_subscriptions(subscriptions: Iterable[SubOpts]) -> bytes:
    out = RPC()
    for subscription in subscriptions:
        entry = out.subscriptions.add(subscribe=subscription.subscribe, topicid=subscription.topic)
        if subscription.requests_partial:
            entry.requestsPartial = True
        if subscription.supports_sending_partial:
            entry.supportsSendingPartial = True
    encoding: bytes = out.SerializeToString()
    return encoding


def _encode_rest(rpc: Rpc) -> bytes:
    control = rpc.control
    if (
        control is not None
        and rpc.partial is None
        and not rpc.test_extension
        and _is_idontwant(control)
    ):
        return _encode_idontwant(control.idontwant)
    out = RPC()
    if control is not None:
        out.control.SetInParent()
        _fill_control(out.control, control)
    if rpc.partial is not None:
        out.partial.SetInParent()
        values = (
            rpc.partial.topic,
            rpc.partial.group_id,
            rpc.partial.partial_message,
            rpc.partial.parts_metadata,
        )
        for name, value in zip(_PARTIAL_FIELDS, values, strict=True):
            if value is not None:
                setattr(out.partial, name, value)
    if rpc.test_extension:
        out.testExtension.SetInParent()
    encoding: bytes = out.SerializeToString()
    return encoding


def _is_idontwant(control: Control) -> bool:
    """Whether nothing else is in it."""
    others = control.ihave or control.iwant or control.graft or control.prune
    return bool(control.idontwant) and not others and control.extensions is None


def _encode_idontwant(idontwants: Iterable[IDontWant]) -> bytes:
    """By hand, since these are as many as large messages, and protobuf takes five times as long."""
    entries = b""
    for idontwant in idontwants:
        ids = b""
        for message_id in idontwant.message_ids:
            ids += b"\x0a" + encode_uvarint(len(message_id)) + message_id
        entries += b"\x2a" + encode_uvarint(len(ids)) + ids
    return b"\x1a" + encode_uvarint(len(entries)) + entries


def _fill_control(out: Any, control: Control) -> None:
    for ihave in control.ihave:
        out.ihave.add(topicID=ihave.topic or None, messageIDs=ihave.message_ids)
    for iwant in control.iwant:
        out.iwant.add(messageIDs=iwant.message_ids)
    for graft in control.graft:
        out.graft.add(topicID=graft.topic or None)
    for prune in control.prune:
        entry = out.prune.add(topicID=prune.topic or None, backoff=prune.backoff)
        for info in prune.peers:
            entry.peers.add(peerID=info.peer_id, signedPeerRecord=info.signed_peer_record)
    for idontwant in control.idontwant:
        out.idontwant.add(messageIDs=idontwant.message_ids)
    if control.extensions is not None:
        out.extensions.SetInParent()
        if control.extensions.partial_messages:
            out.extensions.partialMessages = True
        if control.extensions.test_extension:
            out.extensions.testExtension = True
