"""The protobuf classes of the RPC, built in code; `rpc.proto` beside this file reads the same.

They live in a descriptor pool of their own. Generated code would tie us to one range of protobuf
runtimes ("gencode" newer than the runtime refuses to load) and would register `pubsub.pb.RPC`
in the pool of the process, where another libp2p may already have put its own.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "pubsub.pb"

_Proto = descriptor_pb2.FieldDescriptorProto

# Message -> (field number, name, type). `*` marks a repeated field; a type that is no scalar
# names another message of this table.
_MESSAGES: dict[str, tuple[tuple[int, str, str], ...]] = {
    "RPC": (
        (1, "subscriptions", "*RPC.SubOpts"),
        (2, "publish", "*Message"),
        (3, "control", "ControlMessage"),
        (10, "partial", "PartialMessagesExtension"),
        (6492434, "testExtension", "TestExtension"),
    ),
    "RPC.SubOpts": (
        (1, "subscribe", "bool"),
        (2, "topicid", "string"),
        (3, "requestsPartial", "bool"),
        (4, "supportsSendingPartial", "bool"),
    ),
    "Message": (
        (1, "from", "bytes"),
        (2, "data", "bytes"),
        (3, "seqno", "bytes"),
        (4, "topic", "string"),
        (5, "signature", "bytes"),
        (6, "key", "bytes"),
    ),
    "ControlMessage": (
        (1, "ihave", "*ControlIHave"),
        (2, "iwant", "*ControlIWant"),
        (3, "graft", "*ControlGraft"),
        (4, "prune", "*ControlPrune"),
        (5, "idontwant", "*ControlIDontWant"),
        (6, "extensions", "ControlExtensions"),
    ),
    "ControlIHave": ((1, "topicID", "string"), (2, "messageIDs", "*bytes")),
    "ControlIWant": ((1, "messageIDs", "*bytes"),),
    "ControlGraft": ((1, "topicID", "string"),),
    "ControlPrune": (
        (1, "topicID", "string"),
        (2, "peers", "*PeerInfo"),
        (3, "backoff", "uint64"),
    ),
    "ControlIDontWant": ((1, "messageIDs", "*bytes"),),
    "ControlExtensions": ((10, "partialMessages", "bool"), (6492434, "testExtension", "bool")),
    "PeerInfo": ((1, "peerID", "bytes"), (2, "signedPeerRecord", "bytes")),
    "TestExtension": (),
    "PartialMessagesExtension": (
        (1, "topicID", "string"),
        (2, "groupID", "bytes"),
        (3, "partialMessage", "bytes"),
        (4, "partsMetadata", "bytes"),
    ),
}

_SCALARS = {
    "bool": _Proto.TYPE_BOOL,
    "bytes": _Proto.TYPE_BYTES,
    "string": _Proto.TYPE_STRING,
    "uint64": _Proto.TYPE_UINT64,
}


def file_descriptor() -> descriptor_pb2.FileDescriptorProto:
    """What protoc makes of `rpc.proto`."""
    file = descriptor_pb2.FileDescriptorProto(name="rpc.proto", package=PACKAGE, syntax="proto2")
    by_name: dict[str, descriptor_pb2.DescriptorProto] = {}
    for full_name, fields in _MESSAGES.items():
        parent, _, name = full_name.rpartition(".")
        siblings = by_name[parent].nested_type if parent else file.message_type
        message = by_name[full_name] = siblings.add(name=name)
        for number, field_name, type_name in fields:
            message.field.append(_field(number, field_name, type_name))
    return file


def _field(number: int, name: str, type_name: str) -> descriptor_pb2.FieldDescriptorProto:
    scalar_or_message = type_name.removeprefix("*")
    field = _Proto(name=name, number=number)
    field.label = _Proto.LABEL_REPEATED if type_name.startswith("*") else _Proto.LABEL_OPTIONAL
    if scalar_or_message in _SCALARS:
        field.type = _SCALARS[scalar_or_message]
    else:
        field.type = _Proto.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{scalar_or_message}"
    return field


def _load_rpc_class() -> Any:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file_descriptor().SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.RPC"))


RPC: Any = _load_rpc_class()
"""The message class of `pubsub.pb.RPC`; the others hang on its fields. Untyped."""
