from __future__ import annotations

import re
from typing import Any

import pytest

from gossipsub.chorus.redaction.rule import RedactionRule


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"name": "Bad Name", "pattern": "x"}, "a rule's name is lower case"),
        ({"name": "a" * 65, "pattern": "x"}, "a rule's name is lower case"),
        ({"name": "a"}, "rule a: either pattern or search"),
        ({"name": "a", "pattern": "x", "search": lambda text: []}, "either pattern or search"),
        ({"name": "a", "pattern": "("}, "rule a: missing )"),
        ({"name": "a", "pattern": "x", "literals": ("",)}, "a literal is ASCII, not empty: ''"),
        ({"name": "a", "pattern": "x", "literals": ("é",)}, "a literal is ASCII, not empty"),
    ],
)
def test_a_rule_that_cannot_work_is_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        RedactionRule(**settings)


def test_the_group_secret_is_what_is_cut_and_accept_has_the_last_word() -> None:
    rule = RedactionRule(
        name="even",
        pattern=r"n=(?P<secret>\d+)",
        accept=lambda match: int(match["secret"]) % 2 == 0,
    )
    assert list(rule.spans("n=12 n=13 n=14")) == [(2, 4), (12, 14)]
    assert rule.marker == "[REDACTED:even]"
