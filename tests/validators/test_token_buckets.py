"""The table of buckets: exact while it has room, and hard to flush when it is full."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gossipsub.validators.token_buckets import TokenBuckets


class Clock:
    def __init__(self):
        self.now = 1e6

    def __call__(self):
        return self.now


def buckets(clock, rate=1.0, burst=3, *, capacity=100, **limits):
    byte_limits = {"bytes_per_second": None, "burst_bytes": None} | limits
    return TokenBuckets(rate, burst, capacity=capacity, clock=clock, **byte_limits)


def test_a_burst_passes_at_once_and_then_as_much_as_the_rate_gives():
    clock = Clock()
    table = buckets(clock, 2.0, 3)
    assert [table.take(b"a", 0) for _ in range(5)] == [True, True, True, False, False]
    clock.now += 0.5
    assert [table.take(b"a", 0) for _ in range(2)] == [True, False]
    clock.now += 1000
    assert [table.take(b"a", 0) for _ in range(4)] == [True, True, True, False]


def test_bytes_are_limited_beside_messages():
    clock = Clock()
    table = buckets(clock, 1.0, 3, bytes_per_second=10.0, burst_bytes=100)
    assert not table.take(b"a", 101)
    assert table.take(b"a", 100)
    assert not table.take(b"a", 1)
    assert [table.take(b"a", 0) for _ in range(3)] == [True, True, False]
    clock.now += 1
    assert not table.take(b"a", 11)
    assert table.take(b"a", 10)


def test_what_is_refused_takes_nothing():
    table = buckets(Clock(), burst=2, bytes_per_second=1.0, burst_bytes=10)
    assert [table.take(b"a", size) for size in (8, 3, 3, 2, 0)] == [True, False, False, True, False]


def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing():
    clock = Clock()
    table = buckets(clock, burst=2)
    assert table.take(b"a", 0)
    clock.now -= 100
    assert [table.take(b"a", 0) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("capacity", [1 + 8, 100])
def test_ever_new_keys_do_not_make_a_heavy_one_forgotten(capacity):
    table = buckets(Clock(), burst=5, capacity=capacity)
    for _ in range(5):
        assert table.take(b"heavy", 0)
    for number in range(5000):
        assert table.take(b"%d" % number, 0)  # nor are they kept out
        assert len(table) <= capacity
    assert not table.take(b"heavy", 0)


def test_who_took_many_bytes_is_not_forgotten_for_those_who_took_few():
    table = buckets(Clock(), burst=1000, capacity=20, bytes_per_second=1.0, burst_bytes=100)
    assert table.take(b"heavy", 100)
    for number in range(500):
        assert table.take(b"%d" % number, 1)
    assert not table.take(b"heavy", 1)


def take_all(table, key, burst=10):
    assert [table.take(key, 0) for _ in range(burst + 1)] == [True] * burst + [False]


def test_buckets_that_are_full_again_are_the_first_to_be_forgotten():
    clock = Clock()
    table = buckets(clock, burst=10, capacity=8)
    for number in range(8):
        take_all(table, b"old %d" % number)
    clock.now += 10
    take_all(table, b"old 7")
    for number in range(7):
        assert [table.take(b"new %d" % number, 0) for _ in range(5)] == [True] * 5
    assert not table.take(b"old 7", 0)
    for number in range(7):
        take_all(table, b"new %d" % number, 5)


def test_heavy_keys_side_by_side_are_not_forgotten_while_there_are_others():
    table = buckets(Clock(), burst=10, capacity=40)
    for number in range(40):
        if 4 <= number < 12:
            take_all(table, b"%d" % number)
        assert table.take(b"%d" % number, 0) is not (4 <= number < 12)
    for number in range(10):
        assert table.take(b"new %d" % number, 0)
    assert not any(table.take(b"%d" % number, 0) for number in range(4, 12))


class Buckets(RuleBasedStateMachine):
    """With room for all keys, the table does what endless exact arithmetic would."""

    KEYS = (b"a", b"b", b"c")

    @initialize(
        rate=st.sampled_from([0.25, 1.0, 8.0]),
        burst=st.integers(1, 6),
        limit=st.none() | st.tuples(st.sampled_from([0.5, 16.0]), st.integers(1, 64)),
    )
    def build(self, rate, burst, limit):
        self.clock = Clock()
        self.rates = [Fraction(rate)]
        self.bursts = [burst]
        options = {}
        if limit is not None:
            self.rates.append(Fraction(limit[0]))
            self.bursts.append(limit[1])
            options = {"bytes_per_second": limit[0], "burst_bytes": limit[1]}
        self.table = buckets(self.clock, rate, burst, **options)
        self.left = {key: list(map(Fraction, self.bursts)) for key in self.KEYS}

    @rule(eighths=st.integers(0, 100))
    def wait(self, eighths):
        self.clock.now += eighths / 8
        for left in self.left.values():
            for number, (rate, burst) in enumerate(zip(self.rates, self.bursts, strict=True)):
                left[number] = min(left[number] + rate * Fraction(eighths, 8), Fraction(burst))

    @rule(key=st.sampled_from(KEYS), size=st.integers(0, 70))
    def take(self, key, size):
        left = self.left[key]
        costs = [1, size][: len(left)]
        fits = all(cost <= there for cost, there in zip(costs, left, strict=True))
        assert self.table.take(key, size) is fits
        if fits:
            self.left[key] = [there - cost for cost, there in zip(costs, left, strict=True)]


class CrowdedBuckets(RuleBasedStateMachine):
    """Without room, the table may give a forgotten key too much, and never too little."""

    @initialize(capacity=st.integers(1, 12))
    def build(self, capacity):
        self.clock, self.capacity = Clock(), capacity
        self.table = buckets(self.clock, 1.0, 3, capacity=capacity)
        self.roomy = buckets(self.clock, 1.0, 3, capacity=1000)

    @rule(seconds=st.integers(0, 4))
    def wait(self, seconds):
        self.clock.now += seconds

    @rule(key=st.integers(0, 30))
    def take(self, key):
        allowed = self.roomy.take(b"%d" % key, 0)
        assert self.table.take(b"%d" % key, 0) or not allowed

    @invariant()
    def it_is_bounded(self):
        assert not hasattr(self, "table") or len(self.table) <= self.capacity


TestBuckets = Buckets.TestCase
TestBuckets.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestCrowdedBuckets = CrowdedBuckets.TestCase
TestCrowdedBuckets.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
