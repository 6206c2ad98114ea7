from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from gossipsub.chorus.catch_up.holdings import Holdings, minute_of

TEXT = "t"


def test_digests_are_those_of_the_document() -> None:
    holdings = Holdings(100)
    for origin in (b"bb", b"a", b"bb"):
        holdings.add(TEXT, 61, origin)
    holdings.add(TEXT, 119, b"c" * 200)
    holdings.add(TEXT, 120, b"d")
    of_61 = hashlib.sha256(b"\x01a\x02bb").digest()[:16]
    of_119 = hashlib.sha256(b"\xc8\x01" + b"c" * 200).digest()[:16]
    assert holdings.minutes(TEXT, 0, 119) == {61: of_61, 119: of_119}
    of_hour_1 = hashlib.sha256(
        (61).to_bytes(8, "big") + of_61 + (119).to_bytes(8, "big") + of_119
    ).digest()[:16]
    assert holdings.hours(TEXT, 0, 119) == {1: of_hour_1}
    assert list(holdings.hours(TEXT, 0, 1000)) == [1, 2]
    assert (len(holdings), holdings.origins(TEXT, 61)) == (4, (b"bb", b"a"))
    assert holdings.minutes("other", 0, 1000) == {}


def test_a_digest_changes_with_what_is_held() -> None:
    holdings = Holdings(100)
    holdings.add(TEXT, 5, b"a")
    before = holdings.minutes(TEXT, 0, 9)
    holdings.add(TEXT, 5, b"b")
    assert holdings.minutes(TEXT, 0, 9) != before
    assert holdings.minutes_held == 1
    holdings.forget_before(6)
    assert (holdings.minutes(TEXT, 0, 9), len(holdings), holdings.minutes_held) == ({}, 0, 0)
    holdings.add(TEXT, 5, b"a")  # a clock was ahead
    assert holdings.minutes(TEXT, 0, 9) == before


def test_what_is_withheld_is_held_and_not_named() -> None:
    holdings = Holdings(100)
    for origin in (b"a", b"b"):
        holdings.add(TEXT, 5, origin)
    before = holdings.minutes(TEXT, 0, 9)
    for minute, origin in ((5, b"a"), (6, b"a"), (5, b"c")):
        holdings.withhold(TEXT, minute, origin)
    assert holdings.minutes(TEXT, 0, 9) == before
    assert (holdings.origins(TEXT, 5), len(holdings)) == ((b"b",), 2)
    assert holdings.has(TEXT, 5, b"a")
    assert [holdings.gives(TEXT, 5, origin) for origin in (b"a", b"b", b"c")] == [0, 1, 0]


def test_the_oldest_minute_is_forgotten_where_there_are_too_many() -> None:
    holdings = Holdings(3)
    for minute, origin in ((10, b"a"), (11, b"b"), (10, b"c"), (12, b"d")):
        holdings.add(TEXT, minute, origin)
    assert [holdings.origins(TEXT, minute) for minute in (10, 11, 12)] == [(), (b"b",), (b"d",)]
    assert holdings.horizon == 11
    holdings.add(TEXT, 10, b"e")
    assert len(holdings) == 2


def test_a_minute_with_too_many_is_not_remembered_at_all() -> None:
    holdings = Holdings(3)
    for number in range(10):
        holdings.add(TEXT, 10, bytes([number]))
    assert (len(holdings), holdings.horizon) == (0, 11)


def test_a_moment_before_1970_has_a_minute() -> None:
    assert (minute_of(-1), minute_of(0), minute_of(60 * 10**9)) == (-1, 0, 1)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("xy"),
            st.integers(0, 200),
            st.binary(min_size=1, max_size=2),
            st.booleans(),
        )
    ),
    st.integers(1, 50),
    st.integers(0, 200),
)
def test_it_is_a_bounded_set(
    changes: list[tuple[str, int, bytes, bool]], limit: int, forgotten: int
) -> None:
    holdings = Holdings(limit)
    for topic, minute, origin, is_added in changes:
        (holdings.add if is_added else holdings.withhold)(topic, minute, origin)
        assert len(holdings) <= limit
        assert holdings.has(topic, minute, origin) <= (minute >= holdings.horizon)
    holdings.forget_before(forgotten)
    named = [(t, m, o) for t in "xy" for m in range(201) for o in holdings.origins(t, m)]
    assert len(named) <= len(holdings)
    assert all(holdings.gives(*each) and holdings.has(*each) for each in named)
    assert all(m >= forgotten for t in "xy" for m in holdings.minutes(t, 0, 200))
