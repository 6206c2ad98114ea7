"""The seen cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gossipsub.router.params import SeenStrategy
from gossipsub.router.seen import LastSeenCache, SeenCache


@pytest.mark.rule("CACHE-05")
def test_an_id_is_seen_for_its_time_from_first_sight_and_then_forgotten() -> None:
    seen = SeenCache(ttl=120.0, limit=10)
    seen.put(b"a", 0.0, accepted=True)
    seen.put(b"a", 60.0, accepted=True)
    assert seen.contains(b"a", 119.9)
    assert not seen.contains(b"a", 120.0)
    seen.put(b"a", 130.0, accepted=True)
    assert seen.contains(b"a", 249.9)
    assert len(seen) == 1


@pytest.mark.rule("CACHE-09")
def test_a_full_cache_forgets_the_oldest_id() -> None:
    seen = SeenCache(ttl=120.0, limit=3)
    for number in range(5):
        seen.put(bytes([number]), 0.0, accepted=number % 2 == 0)
    assert [seen.contains(bytes([number]), 0.0) for number in range(5)] == [
        False, False, True, True, True,
    ]  # fmt: skip
    assert len(seen) == 3


def test_expired_ids_free_their_memory() -> None:
    seen = SeenCache(ttl=1.0, limit=1000)
    for number in range(500):
        seen.put(number.to_bytes(2, "big"), number * 0.01, accepted=False)
    assert len(seen) == 100
    seen.sweep(100.0)
    assert len(seen) == 0


@pytest.mark.rule("VAL-19")
def test_seen_and_accepted_are_kept_apart() -> None:
    seen = SeenCache(ttl=120.0, limit=10)
    seen.put(b"ignored", 0.0, accepted=False)
    assert seen.contains(b"ignored", 1.0)
    assert not seen.was_accepted(b"ignored", 1.0)
    seen.put(b"ignored", 1.0, accepted=True)
    assert seen.was_accepted(b"ignored", 2.0)
    assert not seen.was_accepted(b"ignored", 120.0)
    assert not seen.was_accepted(b"unknown", 2.0)


@pytest.mark.rule("CACHE-06")
def test_by_the_last_seen_strategy_each_look_restarts_the_time() -> None:
    seen = LastSeenCache(ttl=120.0, limit=10)
    seen.put(b"asked about", 0.0, accepted=True)
    seen.put(b"left alone", 0.0, accepted=False)
    for minute in range(1, 11):
        assert seen.contains(b"asked about", minute * 60.0)
    assert seen.was_accepted(b"asked about", 719.9)
    seen.sweep(719.9)
    assert len(seen) == 1
    assert not seen.contains(b"left alone", 719.9)
    assert not seen.contains(b"asked about", 839.9)
    seen.sweep(839.9)
    assert len(seen) == 0


def test_by_the_last_seen_strategy_the_one_not_asked_about_for_longest_gives_way() -> None:
    seen = LastSeenCache(ttl=120.0, limit=2)
    seen.put(b"1", 0.0, accepted=False)
    seen.put(b"2", 1.0, accepted=True)
    assert seen.contains(b"1", 2.0)
    seen.put(b"3", 3.0, accepted=True)
    assert [seen.contains(each, 4.0) for each in (b"1", b"2", b"3")] == [True, False, True]
    assert not seen.was_accepted(b"1", 5.0)
    seen.put(b"1", 6.0, accepted=True)
    assert seen.was_accepted(b"1", 7.0)


@pytest.mark.rule("CACHE-06")
@pytest.mark.parametrize("strategy", SeenStrategy)
def test_a_message_that_comes_again_every_minute_stays_seen_if_the_strategy_says_so(
    make_node: Callable[..., Any], strategy: SeenStrategy
) -> None:
    node = make_node(seen_strategy=strategy)
    node.join("t")
    node.connect([b"w"], topics=())
    node.accept(b"w", node.message())
    new = []
    for minute in range(1, 11):
        node.now = minute * 60.0
        new += node.receive(b"w", publish=[node.message()])
    assert bool(new) is (strategy is SeenStrategy.FIRST_SEEN)
