from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from gossipsub.tracing import schema

PROTO = Path(schema.__file__).with_name("trace.proto")


def test_trace_proto_and_the_descriptors_built_in_code_are_the_same(tmp_path: Path) -> None:
    compiled = tmp_path / "trace.desc"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTO.parent}"]
    subprocess.run([*command, f"--descriptor_set_out={compiled}", "trace.proto"], check=True)
    files = descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes()).file
    built = schema.file_descriptor()
    for file in (files[0], built):
        file.ClearField("syntax")  # protoc leaves out that of proto2
        for message in file.message_type:
            normalise(message)
    assert list(files) == [built]


def normalise(message: descriptor_pb2.DescriptorProto) -> None:
    """protoc adds names for JSON, derived from the field names; nested messages have no order."""
    for field in message.field:
        field.ClearField("json_name")
    for nested in message.nested_type:
        normalise(nested)
    message.nested_type.sort(key=lambda nested: nested.name)


def test_the_pool_of_the_process_stays_free_for_other_libp2p_implementations() -> None:
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName("pubsub.pb.TraceEvent")
    assert schema.TRACE_EVENT.DESCRIPTOR.full_name == "pubsub.pb.TraceEvent"
