"""The protobuf classes of trace events, built in code; `trace.proto` beside reads the same."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2

from gossipsub.wire.descriptors import Messages, build_file, message_class

PACKAGE = "pubsub.pb"

_PEER_AND_TOPIC = ((1, "peerID", "bytes"), (2, "topic", "string"))
_SENT_TO = ((1, "sendTo", "bytes"), (2, "meta", "TraceEvent.RPCMeta"))
_IDS = ((1, "messageIDs", "*bytes"),)

_MESSAGES: Messages = {
    "TraceEvent": (
        (1, "type", "TraceEvent.Type"),
        (2, "peerID", "bytes"),
        (3, "timestamp", "int64"),
        (4, "publishMessage", "TraceEvent.PublishMessage"),
        (5, "rejectMessage", "TraceEvent.RejectMessage"),
        (6, "duplicateMessage", "TraceEvent.DuplicateMessage"),
        (7, "deliverMessage", "TraceEvent.DeliverMessage"),
        (8, "onNewOutboundStream", "TraceEvent.OnNewOutboundStream"),
        (9, "onClosedOutboundStream", "TraceEvent.OnClosedOutboundStream"),
        (10, "recvRPC", "TraceEvent.RecvRPC"),
        (11, "sendRPC", "TraceEvent.SendRPC"),
        (12, "dropRPC", "TraceEvent.DropRPC"),
        (13, "join", "TraceEvent.Join"),
        (14, "leave", "TraceEvent.Leave"),
        (15, "graft", "TraceEvent.Graft"),
        (16, "prune", "TraceEvent.Prune"),
    ),
    "TraceEvent.PublishMessage": ((1, "messageID", "bytes"), (2, "topic", "string")),
    "TraceEvent.RejectMessage": (
        (1, "messageID", "bytes"),
        (2, "receivedFrom", "bytes"),
        (3, "reason", "string"),
        (4, "topic", "string"),
    ),
    "TraceEvent.DuplicateMessage": (
        (1, "messageID", "bytes"),
        (2, "receivedFrom", "bytes"),
        (3, "topic", "string"),
    ),
    "TraceEvent.DeliverMessage": (
        (1, "messageID", "bytes"),
        (2, "topic", "string"),
        (3, "receivedFrom", "bytes"),
    ),
    "TraceEvent.OnNewOutboundStream": ((1, "peerID", "bytes"), (2, "proto", "string")),
    "TraceEvent.OnClosedOutboundStream": ((1, "peerID", "bytes"),),
    "TraceEvent.RecvRPC": ((1, "receivedFrom", "bytes"), (2, "meta", "TraceEvent.RPCMeta")),
    "TraceEvent.SendRPC": _SENT_TO,
    "TraceEvent.DropRPC": _SENT_TO,
    "TraceEvent.Join": ((1, "topic", "string"),),
    "TraceEvent.Leave": ((2, "topic", "string"),),  # 2, unlike Join
    "TraceEvent.Graft": _PEER_AND_TOPIC,
    "TraceEvent.Prune": _PEER_AND_TOPIC,
    "TraceEvent.RPCMeta": (
        (1, "messages", "*TraceEvent.MessageMeta"),
        (2, "subscription", "*TraceEvent.SubMeta"),
        (3, "control", "TraceEvent.ControlMeta"),
    ),
    "TraceEvent.MessageMeta": ((1, "messageID", "bytes"), (2, "topic", "string")),
    "TraceEvent.SubMeta": ((1, "subscribe", "bool"), (2, "topic", "string")),
    "TraceEvent.ControlMeta": (
        (1, "ihave", "*TraceEvent.ControlIHaveMeta"),
        (2, "iwant", "*TraceEvent.ControlIWantMeta"),
        (3, "graft", "*TraceEvent.ControlGraftMeta"),
        (4, "prune", "*TraceEvent.ControlPruneMeta"),
        (5, "idontwant", "*TraceEvent.ControlIDontWantMeta"),
    ),
    "TraceEvent.ControlIHaveMeta": ((1, "topic", "string"), (2, "messageIDs", "*bytes")),
    "TraceEvent.ControlIWantMeta": _IDS,
    "TraceEvent.ControlGraftMeta": ((1, "topic", "string"),),
    "TraceEvent.ControlPruneMeta": ((1, "topic", "string"), (2, "peers", "*bytes")),
    "TraceEvent.ControlIDontWantMeta": _IDS,
    "TraceEventBatch": ((1, "batch", "*TraceEvent"),),
}
_ENUMS = {
    "TraceEvent.Type": (
        "PUBLISH_MESSAGE",
        "REJECT_MESSAGE",
        "DUPLICATE_MESSAGE",
        "DELIVER_MESSAGE",
        "ON_NEW_OUTBOUND_STREAM",
        "ON_CLOSED_OUTBOUND_STREAM",
        "RECV_RPC",
        "SEND_RPC",
        "DROP_RPC",
        "JOIN",
        "LEAVE",
        "GRAFT",
        "PRUNE",
    )
}


def file_descriptor() -> descriptor_pb2.FileDescriptorProto:
    """What protoc makes of `trace.proto`."""
    return build_file("trace.proto", PACKAGE, _MESSAGES, _ENUMS)


TRACE_EVENT: Any = message_class(file_descriptor(), "TraceEvent")
"""The message class of `pubsub.pb.TraceEvent`; the others hang on its fields. Untyped."""
