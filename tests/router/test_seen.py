"""The seen cache."""

from __future__ import annotations

import pytest

from gossipsub.router.seen import SeenCache


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
