"""Faults in reading RPCs."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.pubsub import driver, streams
from gossipsub.wire import rpc_codec
from gossipsub.wire.errors import RemoteProtocolError
from gossipsub.wire.framing import FrameReader
from gossipsub.wire.message_codec import decode_message
from gossipsub.wire.protobuf import iter_fields
from gossipsub.wire.rpc import Message, Rpc
from gossipsub.wire.rpc_codec import RpcLimits, decode_rpc

RPC_FIELDS = (1, 2, 3, 10)


def _check_rpcs(is_bad: Callable[[bytes, Rpc], bool], fatal_to: str = "stream") -> None:
    """Refuse RPCs that are good."""

    def decode(frame: bytes, limits: RpcLimits) -> Rpc:
        rpc = decode_rpc(frame, limits)
        if is_bad(frame, rpc):
            raise RemoteProtocolError("refused", fatal_to=fatal_to)
        return rpc

    replace(streams, "decode_rpc", decode)


@fault
def empty_entries_end_the_stream() -> None:
    _check_rpcs(
        lambda _, rpc: rpc.control is not None and any(not g.topic for g in rpc.control.graft)
    )


@fault
def a_message_without_topic_ends_the_connection() -> None:
    _check_rpcs(lambda frame, _: frame == b"\x12\x00", "connection")


@fault
def unknown_fields_are_refused() -> None:
    _check_rpcs(lambda frame, _: any(each[0] not in RPC_FIELDS for each in iter_fields(frame)))


@fault
def what_is_no_rpc_is_skipped() -> None:
    def decode(frame: bytes, limits: RpcLimits) -> Rpc:
        try:
            return decode_rpc(frame, limits)
        except RemoteProtocolError:
            return Rpc()

    replace(streams, "decode_rpc", decode)


@fault
def one_rpc_a_read_is_heard() -> None:
    original = FrameReader.next_frame

    def next_frame(self: FrameReader) -> bytes | None:
        frame = original(self)
        if frame is not None:
            self._offset = len(self._buffer)
        return frame

    replace(FrameReader, "next_frame", next_frame)


@fault
def an_empty_rpc_ends_the_stream() -> None:
    original = FrameReader.next_frame

    def next_frame(self: FrameReader) -> bytes | None:
        frame = original(self)
        if frame == b"":
            raise RemoteProtocolError("an empty RPC", fatal_to="stream")
        return frame

    replace(FrameReader, "next_frame", next_frame)


def _limit_frames(change: Callable[[int], int]) -> None:
    original = FrameReader.__init__

    def __init__(self: FrameReader, max_frame_bytes: int) -> None:
        original(self, change(max_frame_bytes))

    replace(FrameReader, "__init__", __init__)


@fault
def a_byte_above_the_limit_is_taken() -> None:
    _limit_frames(lambda size: size + 1)


@fault
def a_length_of_2_gib_is_waited_for() -> None:
    _limit_frames(lambda _: 1 << 64)


def _change_messages(change: Callable[[Message, bytes], None]) -> None:
    """Read messages otherwise than they are."""

    def decode(encoding: bytes, max_extra_fields: int) -> Message:
        message = decode_message(encoding, max_extra_fields)
        change(message, encoding)
        return message

    replace(rpc_codec, "decode_message", decode)


@fault
def the_first_of_several_topics_counts() -> None:
    def change(message: Message, encoding: bytes) -> None:
        topics = [value for number, _, value, _, _ in iter_fields(encoding) if number == 4]
        if isinstance(topics[0], bytes):
            message.topic, message.encoding = topics[0].decode(), None

    _change_messages(change)


@fault
def unknown_fields_of_messages_are_lost() -> None:
    def change(message: Message, _: bytes) -> None:
        message.unknown, message.encoding = b"", None

    _change_messages(change)


@fault
def control_may_be_as_large_as_an_rpc() -> None:
    replace(driver, "RpcLimits", lambda: RpcLimits(control_bytes=1 << 30))


@fault
def a_large_payload_counts_as_control() -> None:
    def _check_control_bytes(size: int, messages: Iterable[Message], limits: RpcLimits) -> None:
        if size > limits.control_bytes:
            raise RemoteProtocolError("control data")

    replace(rpc_codec, "_check_control_bytes", _check_control_bytes)
