from __future__ import annotations

import pytest

from gossipsub.conformance.events import EventBuffer, LineReader

TEXT = b'{"a":1}\n\n{"b":2}\r\n  \nlast\nunfinished'
LINES = [b'{"a":1}', b'{"b":2}\r', b"last"]


@pytest.mark.parametrize("step", [1, 2, 7, len(TEXT)])
def test_lines_come_out_whole_however_the_bytes_were_cut(step: int) -> None:
    reader = LineReader()
    lines = [
        line
        for start in range(0, len(TEXT), step)
        for line in reader.receive_data(TEXT[start : start + step])
    ]
    assert lines == LINES


def test_an_endless_line_is_refused_once_it_is_above_the_limit() -> None:
    reader = LineReader(max_line_bytes=10)
    assert reader.receive_data(b"0123456789") == []
    with pytest.raises(ValueError, match="a line of more than 10 bytes"):
        reader.receive_data(b"x")


def test_events_are_taken_oldest_first_and_by_kind() -> None:
    buffer = EventBuffer()
    for number in (1, 2, 3):
        buffer.add("message", {"n": number}, 10)
    buffer.add("progress", {"n": 4}, 10)
    assert buffer.take("message", lambda event: event["n"] > 1) == {"n": 2}
    assert buffer.take("message") == {"n": 1}
    assert buffer.take_all("message") == [{"n": 3}]
    assert buffer.take("message") is None
    assert buffer.take_all("progress") == [{"n": 4}]


def test_a_search_can_start_where_the_last_one_ended() -> None:
    buffer = EventBuffer()
    buffer.add("message", {"n": 1}, 10)
    seen = buffer.total
    assert buffer.take("message", since=seen) is None
    buffer.add("message", {"n": 2}, 10)
    assert buffer.take("message", since=seen) == {"n": 2}


def test_the_oldest_events_go_when_there_are_too_many_of_a_kind() -> None:
    buffer = EventBuffer(max_events=2)
    buffer.add("progress", {"n": 0}, 1)
    for number in (1, 2, 3):
        buffer.add("message", {"n": number}, 1)
    assert buffer.dropped == {"message": 1}
    assert buffer.take_all("message") == [{"n": 2}, {"n": 3}]
    assert buffer.take_all("progress") == [{"n": 0}]


def test_the_oldest_events_go_when_a_kind_takes_too_much_memory() -> None:
    buffer = EventBuffer(max_bytes=100)
    buffer.add("message", {"n": 1}, 60)
    assert buffer.take("message") == {"n": 1}  # what was taken no longer counts
    for number in (2, 3, 4):
        buffer.add("message", {"n": number}, 50)
    assert buffer.take_all("message") == [{"n": 3}, {"n": 4}]
    assert buffer.dropped == {"message": 1}


def test_kinds_without_end_are_refused_and_those_that_are_there_go_on() -> None:
    buffer = EventBuffer(max_kinds=2)
    buffer.add("message", {"n": 1}, 10)
    buffer.add("progress", {"n": 2}, 10)
    assert buffer.take_all("progress") == [{"n": 2}]
    for kind in ("new", "newer"):
        with pytest.raises(ValueError, match=r"^more than 2 kinds of events$"):
            buffer.add(kind, {}, 1)
    buffer.add("message", {"n": 3}, 10)
    buffer.add("progress", {"n": 4}, 10)
    assert buffer.take_all("message") == [{"n": 1}, {"n": 3}]
    assert buffer.take_all("progress") == [{"n": 4}]
