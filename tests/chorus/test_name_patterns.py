from __future__ import annotations

import fnmatch
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.chorus.name_patterns import NamePatterns


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("a/b", ["a/b"], ["a/b/", "a", "A/B", ""]),
        ("*", ["", "a", "a/b"], []),
        ("a/*", ["a/", "a/b", "a/b/c"], ["a", "b/a/"]),
        ("*/v1", ["/v1", "a/b/v1"], ["a/v1/x", "v1"]),
        ("a/*/v1", ["a//v1", "a/b/v1", "a/b/c/v1"], ["a/v1"]),
        ("ab*ba", ["abba", "abxba"], ["aba"]),
        ("a*b*c", ["abc", "aXbXbXc"], ["acb", "ab"]),
        ("a[bc]?.+", ["a[bc]?.+"], ["ab", "abx"]),
    ],
)
def test_a_star_stands_for_any_text(pattern: str, matching: list[str], others: list[str]) -> None:
    patterns = NamePatterns([pattern])
    assert [name for name in matching + others if patterns.match(name)] == matching


def test_one_of_the_patterns_is_enough() -> None:
    patterns = NamePatterns(["a", "b*"])
    assert [patterns.match(name) for name in ("a", "b", "bc", "ac")] == [True, True, True, False]


@given(st.text("ab*", max_size=8), st.text("ab", max_size=8))
def test_it_agrees_with_the_shell(pattern: str, name: str) -> None:
    expected = re.fullmatch(fnmatch.translate(pattern), name) is not None
    assert NamePatterns([pattern]).match(name) == expected


def test_a_hostile_name_costs_no_more_than_its_length() -> None:
    patterns = NamePatterns(["*a*a*a*a*a*a*a*a*b"])
    start = time.process_time()
    assert not patterns.match("a" * 262_144 + "c")
    assert time.process_time() - start < 0.05
