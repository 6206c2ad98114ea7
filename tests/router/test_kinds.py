"""Values of the wrong kind in parameters are refused where they are given."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from math import inf, nan
from typing import Any

import pytest

from gossipsub.router.admission.gater import PeerGaterParams
from gossipsub.router.extension.params import ExtensionParams
from gossipsub.router.kinds import require_kinds
from gossipsub.router.params import (
    BackoffParams,
    GossipParams,
    LazyParams,
    MeshParams,
    RouterLimits,
    TopicParams,
)
from gossipsub.router.score.params import PeerScoreParams, PeerScoreThresholds, TopicScoreParams

CLASSES: list[Callable[..., object]] = [
    BackoffParams,
    ExtensionParams,
    GossipParams,
    LazyParams,
    MeshParams,
    PeerGaterParams,
    PeerScoreParams,
    PeerScoreThresholds,
    RouterLimits,
    TopicParams,
    TopicScoreParams,
]
FIELDS = [(each, field.name) for each in CLASSES for field in fields(each)]  # type: ignore[arg-type]


@pytest.mark.rule("CFG-05")
@pytest.mark.parametrize(("params", "name"), FIELDS)
def test_no_field_of_any_parameter_takes_what_is_nothing_at_all(
    params: Callable[..., object], name: str
) -> None:
    for value in (object(), b"bytes", {1: object()}, [None]):
        with pytest.raises(ValueError, match=f"^{name} must be "):
            params(**{name: value})


@pytest.mark.rule("CFG-05")
@pytest.mark.parametrize(("params", "name"), FIELDS)
def test_no_number_may_be_nan(params: Callable[..., object], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        params(**{name: nan})


@pytest.mark.parametrize(
    ("params", "values", "error"),
    [
        (GossipParams, {"mesh": 3}, "mesh must be MeshParams: 3"),
        (GossipParams, {"mesh": MeshParams}, "mesh must be MeshParams: <class"),
        (MeshParams, {"d": "6"}, "d must be a whole number: '6'"),
        (MeshParams, {"d": 6.0}, "d must be a whole number: 6.0"),
        (MeshParams, {"d_out": True}, "d_out must be a whole number: True"),
        (BackoffParams, {"prune_backoff": True}, "prune_backoff must be a number: True"),
        (GossipParams, {"flood_publish": 1}, "flood_publish must be True or False: 1"),
        (GossipParams, {"score": 1}, "score must be PeerScoreParams or None: 1"),
        (GossipParams, {"message_id": "sha256"}, "message_id must be a function: 'sha256'"),
        (GossipParams, {"inspector": 5}, "inspector must be a function or None: 5"),
        (GossipParams, {"protocols": "/a"}, "protocols must be a tuple of str: '/a'"),
        (GossipParams, {"protocols": ("/a", 1)}, "protocols must be a tuple of str: ('/a', 1)"),
        (
            GossipParams,
            {"topics": {"t": MeshParams()}},
            "topics must be a mapping of str to TopicParams: {'t': MeshParams(",
        ),
        (
            PeerScoreParams,
            {"topics": [("t", TopicScoreParams())]},
            "topics must be a mapping of str to TopicScoreParams: [('t',",
        ),
        (LazyParams, {"max_iwant_messages": inf}, "max_iwant_messages must be a whole number or"),
        (
            GossipParams,
            {"signature_policy": "StrictSign"},
            "signature_policy must be SignaturePolicy: 'StrictSign'",
        ),
    ],
)
def test_the_error_names_the_field_the_kind_and_the_value(
    params: Callable[..., object], values: dict[str, Any], error: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(error)}"):
        params(**values)


def test_whole_numbers_are_numbers_and_none_is_taken_where_it_means_something() -> None:
    assert BackoffParams(prune_backoff=90).prune_backoff == 90
    assert LazyParams(max_iwant_messages=None) == LazyParams()
    assert PeerScoreParams(app_specific_score=None, topics={}).topics == {}


@dataclass
class Example:
    numbers: tuple[float, ...] = ()


def test_every_entry_of_a_tuple_counts() -> None:
    require_kinds(Example((1, 2.5, inf)))
    with pytest.raises(ValueError, match=r"^numbers must be a tuple of a number: \(1, '2'\)$"):
        require_kinds(Example((1, "2")))  # type: ignore[arg-type]
