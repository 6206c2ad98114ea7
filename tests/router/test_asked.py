"""Who was asked for which messages with IWANT."""

from __future__ import annotations

import pytest

from gossipsub.router.asked import Asked


@pytest.mark.rule("IDW-13")
def test_those_asked_for_a_message_are_told_once() -> None:
    asked = Asked(heartbeats=3, limit=10)
    asked.put(b"b", [b"x", b"y"])
    asked.age()
    asked.put(b"c", [b"x"])
    assert asked.take(b"x") == [b"c", b"b"]
    assert asked.take(b"x") == []
    assert asked.take(b"y") == [b"b"]
    assert asked.take(b"z") == []


def test_who_was_asked_is_remembered_for_so_many_heartbeats() -> None:
    asked = Asked(heartbeats=3, limit=10)
    asked.put(b"b", [b"x", b"y"])
    asked.age()
    asked.age()
    assert asked.take(b"x") == [b"b"]
    asked.age()
    assert asked.take(b"y") == []
    assert len(asked) == 0


def test_at_most_so_many_ids_are_noted_per_heartbeat() -> None:
    asked = Asked(heartbeats=2, limit=3)
    for _ in range(5):
        asked.put(b"b", [b"%d" % number for number in range(10)])
    assert len(asked) == 3
    asked.age()
    asked.put(b"b", [b"new", b"0", b"1", b"2"])
    assert len(asked) == 6
    assert asked.take(b"new") == [b"b"]
    assert asked.take(b"2") == [b"b"]
