from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from gossipsub.tracing.errors import TraceUnreadable
from gossipsub.tracing.event import TraceEvent
from gossipsub.tracing.trace_codec import encode_delimited, encode_json_line
from gossipsub.tracing.trace_reader import MAX_EVENT_BYTES, MAX_LINE_BYTES, read_trace


@pytest.mark.parametrize("encode", [encode_delimited, encode_json_line])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_the_format_is_found_by_looking(
    encode: Callable[[TraceEvent], bytes],
    pack: Callable[[bytes], bytes],
    go_events: list[TraceEvent],
    tmp_path: Path,
) -> None:
    (tmp_path / "trace").write_bytes(pack(b"".join(map(encode, go_events))))
    assert list(read_trace(tmp_path / "trace")) == go_events


def test_an_empty_file_is_a_trace_without_events(tmp_path: Path) -> None:
    (tmp_path / "trace").write_bytes(b"")
    assert list(read_trace(tmp_path / "trace")) == []


@pytest.mark.parametrize("encode", [encode_delimited, encode_json_line])
def test_what_came_before_the_damage_is_read(
    encode: Callable[[TraceEvent], bytes], go_events: list[TraceEvent], tmp_path: Path
) -> None:
    whole = b"".join(map(encode, go_events))
    before = b"".join(map(encode, go_events[:-1]))
    (tmp_path / "trace").write_bytes(whole[: len(before) + 3])
    found = []
    with pytest.raises(TraceUnreadable, match=rf"trace, event {len(go_events)}: "):
        found.extend(read_trace(tmp_path / "trace"))
    assert found == go_events[:-1]


def test_truncated_gzip_is_told(go_events: list[TraceEvent], tmp_path: Path) -> None:
    data = gzip.compress(b"".join(map(encode_delimited, go_events * 50)))
    (tmp_path / "trace").write_bytes(data[:-20])
    with pytest.raises(TraceUnreadable, match="damaged gzip"):
        list(read_trace(tmp_path / "trace"))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"\x80", "no length of an event"),
        (b"\xff" * 10, "no length of an event"),
        (b"\x81\x80\x40", f"an event of {MAX_EVENT_BYTES + 1} bytes, the limit is"),
        (b"\x05\x01", "the file ends within an event"),
        (b"\x02\xff\xff", "not a trace event"),
        (b'{"' + b" " * MAX_LINE_BYTES, f"a line of more than {MAX_LINE_BYTES} bytes"),
    ],
    ids=["cut length", "endless length", "too long", "cut", "garbage", "endless line"],
)
def test_no_more_is_read_than_an_event_may_have(
    data: bytes, complaint: str, tmp_path: Path
) -> None:
    (tmp_path / "trace").write_bytes(data)
    with pytest.raises(TraceUnreadable, match=f"event 1: {complaint}"):
        list(read_trace(tmp_path / "trace"))
