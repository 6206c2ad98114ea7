"""Protobuf classes from tables: schemas built in code, each in a descriptor pool of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Messages = Mapping[str, tuple[tuple[int, str, str], ...]]
"""Message -> (field number, name, type). `*` marks a repeated field; a type that is no scalar
names a message of the same table, or an enum. A nested message stands after its parent."""
Enums = Mapping[str, tuple[str, ...]]
"""Enum -> its names, numbered from 0. An enum is nested in a message."""

_Proto = descriptor_pb2.FieldDescriptorProto

_SCALARS = {
    "bool": _Proto.TYPE_BOOL,
    "bytes": _Proto.TYPE_BYTES,
    "int64": _Proto.TYPE_INT64,
    "string": _Proto.TYPE_STRING,
    "uint64": _Proto.TYPE_UINT64,
}


def build_file(
    name: str, package: str, messages: Messages, enums: Enums | None = None
) -> descriptor_pb2.FileDescriptorProto:
    """What protoc makes of a proto2 file with these messages."""
    enums = enums or {}
    file = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto2")
    by_name: dict[str, descriptor_pb2.DescriptorProto] = {}
    for full_name, fields in messages.items():
        parent, _, own_name = full_name.rpartition(".")
        siblings = by_name[parent].nested_type if parent else file.message_type
        message = by_name[full_name] = siblings.add(name=own_name)
        for number, field_name, type_name in fields:
            field = message.field.add(name=field_name, number=number)
            _set_type(field, type_name, package, enums)
    for full_name, values in enums.items():
        parent, _, own_name = full_name.rpartition(".")
        enum = by_name[parent].enum_type.add(name=own_name)
        for number, value in enumerate(values):
            enum.value.add(name=value, number=number)
    return file


def _set_type(
    field: descriptor_pb2.FieldDescriptorProto, type_name: str, package: str, enums: Enums
) -> None:
    single = type_name.removeprefix("*")
    field.label = _Proto.LABEL_REPEATED if type_name.startswith("*") else _Proto.LABEL_OPTIONAL
    if single in _SCALARS:
        field.type = _SCALARS[single]
    else:
        field.type = _Proto.TYPE_ENUM if single in enums else _Proto.TYPE_MESSAGE
        field.type_name = f".{package}.{single}"


def message_class(file: descriptor_pb2.FileDescriptorProto, name: str) -> Any:
    """The class of one message of the file; others hang on its fields. Untyped."""
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.{name}"))
