from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from gossipsub.wire import rpc_schema

PROTO = Path(rpc_schema.__file__).with_name("rpc.proto")


@pytest.mark.rule("WIRE-01")
def test_rpc_proto_and_the_descriptors_built_in_code_are_the_same(tmp_path: Path) -> None:
    compiled = tmp_path / "rpc.desc"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTO.parent}"]
    subprocess.run([*command, f"--descriptor_set_out={compiled}", "rpc.proto"], check=True)
    files = descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes()).file
    for message in files[0].message_type:
        clear_json_names(message)
    expected = rpc_schema.file_descriptor()
    expected.ClearField("syntax")  # protoc leaves out that of proto2
    files[0].ClearField("syntax")
    assert {m.name: m for m in files[0].message_type} == {m.name: m for m in expected.message_type}
    for file in (files[0], expected):
        del file.message_type[:]  # compared above, whatever their order
    assert list(files) == [expected]


def clear_json_names(message: descriptor_pb2.DescriptorProto) -> None:
    """protoc adds them, derived from the field names."""
    for field in message.field:
        field.ClearField("json_name")
    for nested in message.nested_type:
        clear_json_names(nested)


def test_the_pool_of_the_process_stays_free_for_other_libp2p_implementations() -> None:
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName("pubsub.pb.RPC")
    assert rpc_schema.RPC.DESCRIPTOR.full_name == "pubsub.pb.RPC"
