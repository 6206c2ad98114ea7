"""The message cache."""

from __future__ import annotations

import pytest

from gossipsub.router.mcache import MessageCache
from gossipsub.wire.rpc import Message


def put(cache: MessageCache, name: str, *, topic: str = "t", size: int = 1) -> Message:
    message = Message(topic, b"x" * size, b"author")
    cache.put(name.encode(), message)
    return message


@pytest.mark.rule("CACHE-01")
def test_of_sixty_messages_in_six_windows_the_newest_thirty_are_gossiped() -> None:
    cache = MessageCache(length=5, gossip=3, max_bytes=1000)
    for window in range(6):
        if window:
            cache.shift()
        for number in range(10):
            put(cache, f"{window}.{number}")
    expected = [f"{window}.{number}".encode() for window in (5, 4, 3) for number in range(10)]
    assert cache.gossip_ids("t") == expected
    assert len(cache) == 50
    assert cache.take_for(b"0.0", b"p", 3) is None
    assert cache.take_for(b"1.0", b"p", 3) is not None


@pytest.mark.rule("CACHE-02")
def test_gossip_ids_are_of_one_topic_newest_window_first() -> None:
    cache = MessageCache(length=5, gossip=2, max_bytes=1000)
    put(cache, "a1", topic="a")
    put(cache, "b1", topic="b")
    cache.shift()
    put(cache, "a2", topic="a")
    put(cache, "b2", topic="b")
    assert cache.gossip_ids("a") == [b"a2", b"a1"]
    assert cache.gossip_ids("b") == [b"b2", b"b1"]
    assert cache.gossip_ids("c") == []
    cache.shift()
    assert cache.gossip_ids("a") == [b"a2"]


@pytest.mark.rule("GOS-12")
def test_each_peer_gets_a_message_a_limited_number_of_times() -> None:
    cache = MessageCache(length=5, gossip=3, max_bytes=1000)
    message = put(cache, "a")
    answers = [cache.take_for(b"a", b"one", 3) for _ in range(5)]
    assert answers == [message, message, message, None, None]
    assert cache.take_for(b"a", b"two", 3) is message


def test_the_same_message_put_twice_stays_where_it_is() -> None:
    cache = MessageCache(length=2, gossip=2, max_bytes=1000)
    put(cache, "a")
    cache.shift()
    put(cache, "a")
    assert cache.gossip_ids("t") == [b"a"]
    cache.shift()
    assert len(cache) == 0


@pytest.mark.rule("CACHE-09")
def test_above_the_limit_of_bytes_the_oldest_windows_are_emptied() -> None:
    cache = MessageCache(length=3, gossip=3, max_bytes=100)
    put(cache, "old", size=40)
    cache.shift()
    put(cache, "middle", size=40)
    cache.shift()
    put(cache, "new", size=40)
    assert cache.gossip_ids("t") == [b"new", b"middle"]
    put(cache, "huge", size=101)
    assert cache.gossip_ids("t") == [b"new", b"middle"]
    put(cache, "large", size=100)
    assert cache.gossip_ids("t") == [b"large"]
    for _ in range(3):
        cache.shift()
    assert len(cache) == 0
    put(cache, "again", size=100)
    assert cache.gossip_ids("t") == [b"again"]


@pytest.mark.rule("CACHE-09")
def test_bytes_of_unknown_fields_and_keys_count_as_well() -> None:
    cache = MessageCache(length=3, gossip=3, max_bytes=100)
    cache.put(b"unknown", Message("t", None, b"author", unknown=bytes(60)))
    cache.shift()
    cache.put(b"key", Message("t", b"x" * 20, b"author", key=bytes(40)))
    assert cache.gossip_ids("t") == [b"key"]
    cache.put(b"huge", Message("t", b"x", unknown=bytes(100)))
    assert cache.gossip_ids("t") == [b"key"]
    cache.put(b"small", Message("t", b"x" * 40))
    assert cache.gossip_ids("t") == [b"key", b"small"]
