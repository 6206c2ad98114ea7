"""The protobuf classes of the RPC, built in code; `rpc.proto` beside this file reads the same.

They live in a descriptor pool of their own. Generated code would tie us to one range of protobuf
runtimes ("gencode" newer than the runtime refuses to load) and would register `pubsub.pb.RPC`
in the pool of the process, where another libp2p may already have put its own.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2

from gossipsub.wire.descriptors import Messages, build_file, message_class

PACKAGE = "pubsub.pb"

_MESSAGES: Messages = {
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


def file_descriptor() -> descriptor_pb2.FileDescriptorProto:
    """What protoc makes of `rpc.proto`."""
    return build_file("rpc.proto", PACKAGE, _MESSAGES)


RPC: Any = message_class(file_descriptor(), "RPC")
"""The message class of `pubsub.pb.RPC`; the others hang on its fields. Untyped."""
