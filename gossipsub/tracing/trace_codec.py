"""Trace events to bytes and back, as go-libp2p-pubsub's JSONTracer and PBTracer write them."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

from google.protobuf.message import DecodeError

from gossipsub.router.effects import TraceKind
from gossipsub.tracing.errors import TraceUnreadable
from gossipsub.tracing.event import MessageMeta, RpcMeta, TraceEvent
from gossipsub.tracing.schema import TRACE_EVENT
from gossipsub.wire.rpc import (
    Control,
    Graft,
    IDontWant,
    IHave,
    IWant,
    PeerInfo,
    Prune,
    SubOpts,
)
from gossipsub.wire.varint import encode_uvarint

_RECEIVED_FROM, _SENT_TO, _PEER = ("receivedFrom", "peer"), ("sendTo", "peer"), ("peerID", "peer")
_ID, _TOPIC, _META = ("messageID", "message_id"), ("topic", "topic"), ("meta", "meta")

# Kind -> its field in the schema, and there (name, attribute of TraceEvent), in schema order.
_BODIES: dict[TraceKind, tuple[str, tuple[tuple[str, str], ...]]] = {
    TraceKind.PUBLISH_MESSAGE: ("publishMessage", (_ID, _TOPIC)),
    TraceKind.REJECT_MESSAGE: (
        "rejectMessage",
        (_ID, _RECEIVED_FROM, ("reason", "reason"), _TOPIC),
    ),
    TraceKind.DUPLICATE_MESSAGE: ("duplicateMessage", (_ID, _RECEIVED_FROM, _TOPIC)),
    TraceKind.DELIVER_MESSAGE: ("deliverMessage", (_ID, _TOPIC, _RECEIVED_FROM)),
    TraceKind.ADD_PEER: ("onNewOutboundStream", (_PEER, ("proto", "protocol"))),
    TraceKind.REMOVE_PEER: ("onClosedOutboundStream", (_PEER,)),
    TraceKind.RECV_RPC: ("recvRPC", (_RECEIVED_FROM, _META)),
    TraceKind.SEND_RPC: ("sendRPC", (_SENT_TO, _META)),
    TraceKind.DROP_RPC: ("dropRPC", (_SENT_TO, _META)),
    TraceKind.JOIN: ("join", (_TOPIC,)),
    TraceKind.LEAVE: ("leave", (_TOPIC,)),
    TraceKind.GRAFT: ("graft", (_PEER, _TOPIC)),
    TraceKind.PRUNE: ("prune", (_PEER, _TOPIC)),
}
_FORMER_NAMES = {"addPeer": "onNewOutboundStream", "removePeer": "onClosedOutboundStream"}
"""How go's JSON called these before v0.19."""
_GO_ESCAPES = str.maketrans({char: f"\\u{ord(char):04x}" for char in "&<>\u2028\u2029"})


# Writing


def encode_delimited(event: TraceEvent) -> bytes:
    """The event as protobuf, after its length as a varint; empty for a kind go does not have."""
    if event.kind not in _BODIES:
        return b""
    body: bytes = TRACE_EVENT(**_fields(event)).SerializeToString()
    return encode_uvarint(len(body)) + body


def encode_json_line(event: TraceEvent) -> bytes:
    """The event as Go's encoding/json writes it, with a newline; empty for a kind go does not
    have."""
    if event.kind not in _BODIES:
        return b""
    fields = _for_json(_fields(event))
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), check_circular=False)
    # What Go escapes for the sake of HTML stands only in strings: one pass over all will do.
    return text.translate(_GO_ESCAPES).encode() + b"\n"


def _fields(event: TraceEvent) -> dict[str, object]:
    """The event by the schema's names, in the schema's order."""
    name, attributes = _BODIES[event.kind]
    body: dict[str, object] = {}
    for field, attribute in attributes:
        value = getattr(event, attribute)
        if value is not None:
            body[field] = _meta_fields(value) if attribute == "meta" else value
    return {
        "type": int(event.kind),
        "peerID": event.node,
        "timestamp": event.timestamp,
        name: body,
    }


def _meta_fields(meta: RpcMeta) -> dict[str, object]:
    fields: dict[str, object] = {}
    if meta.messages:
        fields["messages"] = [
            {"messageID": each.message_id, "topic": each.topic} for each in meta.messages
        ]
    if meta.subscriptions:
        fields["subscription"] = [
            {"subscribe": each.subscribe, "topic": each.topic} for each in meta.subscriptions
        ]
    if meta.control is not None:
        fields["control"] = _control_fields(meta.control)
    return fields


def _control_fields(control: Control) -> dict[str, object]:
    return {
        "ihave": [
            {"topic": each.topic, "messageIDs": list(each.message_ids)} for each in control.ihave
        ],
        "iwant": [{"messageIDs": list(each.message_ids)} for each in control.iwant],
        "graft": [{"topic": each.topic} for each in control.graft],
        "prune": [
            {"topic": each.topic, "peers": [peer.peer_id or b"" for peer in each.peers]}
            for each in control.prune
        ],
        "idontwant": [{"messageIDs": list(each.message_ids)} for each in control.idontwant],
    }


def _for_json(value: Any) -> Any:
    """Bytes as base64; without empty lists and bytes, as Go's `omitempty` has it."""
    if isinstance(value, dict):
        return {name: _for_json(part) for name, part in value.items() if part != [] and part != b""}
    if isinstance(value, list):
        return [_for_json(part) for part in value]
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return value


# Reading


def decode_event(data: bytes) -> TraceEvent:
    """An event from protobuf, without its length. TraceUnreadable where it is none."""
    message = TRACE_EVENT()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise TraceUnreadable(f"not a trace event: {error}") from error
    return _event(message)


def decode_json_line(line: bytes) -> TraceEvent:
    """An event from a line of JSON. TraceUnreadable where it is none."""
    message = TRACE_EVENT()
    try:
        value = json.loads(line)
        if not isinstance(value, dict):
            raise TypeError("no object")
        for former, name in _FORMER_NAMES.items():
            if former in value:
                value[name] = value.pop(former)
        _fill(message, value)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise TraceUnreadable(f"not a trace event: {error}") from error
    return _event(message)


def _fill(message: Any, value: dict[str, Any]) -> None:
    """Set the message's fields from JSON; names the schema does not have are skipped, as in Go."""
    for field in message.DESCRIPTOR.fields:
        part = value.get(field.name)
        if part is None:
            continue
        target = getattr(message, field.name)
        is_repeated = hasattr(target, "extend")
        if is_repeated and not isinstance(part, list):
            raise TypeError(f"{field.name} is no list")
        if field.message_type is not None:
            for each in part if is_repeated else (part,):
                below = target.add() if is_repeated else target
                below.SetInParent()  # there, be it empty
                _fill(below, each)
        elif is_repeated:  # of bytes: the schema repeats no other scalar
            target.extend(b64decode(each or "", validate=True) for each in part)
        elif field.type == field.TYPE_BYTES:
            setattr(message, field.name, b64decode(part, validate=True))
        else:
            setattr(message, field.name, part)


def _event(message: Any) -> TraceEvent:
    if not message.HasField("type") or not message.HasField("timestamp"):
        raise TraceUnreadable("not a trace event: no type that is known, or no time")
    kind = TraceKind(message.type)
    name, attributes = _BODIES[kind]
    body = getattr(message, name)
    values: dict[str, Any] = {
        attribute: _meta(body.meta) if attribute == "meta" else getattr(body, field)
        for field, attribute in attributes
        if body.HasField(field)
    }
    return TraceEvent(kind=kind, node=message.peerID, timestamp=message.timestamp, **values)


def _meta(meta: Any) -> RpcMeta:
    return RpcMeta(
        messages=tuple(MessageMeta(each.messageID, each.topic) for each in meta.messages),
        subscriptions=tuple(SubOpts(each.topic, each.subscribe) for each in meta.subscription),
        control=_control(meta.control) if meta.HasField("control") else None,
    )


def _control(control: Any) -> Control:
    return Control(
        ihave=tuple(IHave(each.topic, tuple(each.messageIDs)) for each in control.ihave),
        iwant=tuple(IWant(tuple(each.messageIDs)) for each in control.iwant),
        graft=tuple(Graft(each.topic) for each in control.graft),
        prune=tuple(
            Prune(each.topic, tuple(PeerInfo(peer) for peer in each.peers))
            for each in control.prune
        ),
        idontwant=tuple(IDontWant(tuple(each.messageIDs)) for each in control.idontwant),
    )
