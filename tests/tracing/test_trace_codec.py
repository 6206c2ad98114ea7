from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.router.effects import TraceKind
from gossipsub.tracing.errors import TraceUnreadable
from gossipsub.tracing.event import TraceEvent
from gossipsub.tracing.trace_codec import (
    decode_event,
    decode_json_line,
    encode_delimited,
    encode_json_line,
)
from gossipsub.tracing.trace_reader import read_trace


def test_json_is_byte_for_byte_what_gos_json_tracer_writes(
    go_events: list[TraceEvent], go_traces: dict[str, bytes]
) -> None:
    assert b"".join(map(encode_json_line, go_events)) == go_traces["json"]


def test_protobuf_is_byte_for_byte_what_gos_protobuf_tracer_writes(
    go_events: list[TraceEvent], go_traces: dict[str, bytes]
) -> None:
    assert b"".join(map(encode_delimited, go_events)) == go_traces["protobuf"]


@pytest.mark.parametrize("format", ["json", "protobuf"])
def test_what_gos_tracers_write_is_read(
    format: str, go_events: list[TraceEvent], go_traces: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "trace").write_bytes(go_traces[format])
    assert list(read_trace(tmp_path / "trace")) == go_events


def test_the_names_go_had_before_v0_19_are_read() -> None:
    line = b'{"type":4,"timestamp":1,"addPeer":{"peerID":"AA==","proto":"/meshsub/1.1.0"}}'
    added = TraceEvent(
        kind=TraceKind.ADD_PEER, node=b"", timestamp=1, peer=b"\0", protocol="/meshsub/1.1.0"
    )
    assert decode_json_line(line) == added
    removed = TraceEvent(kind=TraceKind.REMOVE_PEER, node=b"", timestamp=1, peer=b"\0")
    line = b'{"type":5,"timestamp":1,"removePeer":{"peerID":"AA=="}}'
    assert decode_json_line(line) == removed


def test_a_kind_that_go_does_not_have_is_left_out() -> None:
    event = TraceEvent(kind=TraceKind.THROTTLE_PEER, node=b"n", timestamp=1, peer=b"p")
    assert (encode_json_line(event), encode_delimited(event)) == (b"", b"")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"7",
        b"{",
        b"{}",
        b'{"type":0}',
        b'{"type":99,"timestamp":1}',
        b'{"type":"0","timestamp":1}',
        b'{"type":0,"timestamp":99999999999999999999}',
        b'{"type":0,"timestamp":1,"peerID":"%"}',
        b'{"type":0,"timestamp":1,"peerID":5}',
        b'{"type":0,"timestamp":1,"publishMessage":[]}',
        b'{"type":0,"timestamp":1,"publishMessage":{"topic":{}}}',
        b'{"type":6,"timestamp":1,"recvRPC":{"meta":{"messages":{}}}}',
        b'{"type":6,"timestamp":1,"recvRPC":{"meta":{"messages":[1]}}}',
        b"[" * 100_000,
        b'{"type":' + b"1" * 5000 + b"}",
        b'{"type":0,"timestamp":1,"peerID":"\xff"}',
    ],
    ids=lambda line: line[:40].decode("latin-1"),
)
def test_a_line_that_is_no_event_is_refused(line: bytes) -> None:
    with pytest.raises(TraceUnreadable, match="not a trace event"):
        decode_json_line(line)


@given(st.binary())
def test_bytes_that_are_no_event_are_refused(data: bytes) -> None:
    with contextlib.suppress(TraceUnreadable):
        decode_event(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary().map(repr),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
bodies = st.fixed_dictionaries(
    {"type": st.sampled_from([6, 0, 12]) | json_values, "timestamp": st.just(1) | json_values},
    optional={
        "recvRPC": st.fixed_dictionaries(
            {},
            optional={
                "receivedFrom": json_values,
                "meta": json_values | st.fixed_dictionaries({"control": json_values}),
            },
        )
    },
)


@given(bodies)
def test_json_of_any_shape_is_read_or_refused(value: object) -> None:
    with contextlib.suppress(TraceUnreadable):
        decode_json_line(json.dumps(value).encode())
