"""The library's values as what JSON can say."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import partial

import pytest

from gossipsub import GossipParams, HostConfig, PrivateKey
from gossipsub.plain_values import MOST_KEYS, plain
from gossipsub.router.effects import Lane, Verdict

PEER = PrivateKey.from_seed(bytes(32)).peer_id()


@dataclass
class Pair:
    first: object
    second: object


class Secret:
    def __repr__(self) -> str:
        return "password"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (3, 3),
        ("text", "text"),
        (1.5, 1.5),
        (math.inf, None),
        (math.nan, None),
        (b"\x00\xff", "00ff"),
        (PEER, str(PEER)),
        (Verdict.ACCEPT, "accept"),
        (Lane.OWN, "own"),
        ((1, {2}), [1, [2]]),
        ({PEER: b"", "a": 1}, {str(PEER): "", "a": 1}),
        (Pair(1, Pair((), None)), {"first": 1, "second": {"first": [], "second": None}}),
        (len, "len"),
        (Secret(), "Secret"),
        (partial(len), "partial"),
    ],
)
def test_a_value_becomes_plain(value: object, expected: object) -> None:
    assert plain(value) == expected


def test_parameters_become_plain() -> None:
    assert plain(GossipParams())["mesh"]["d"] == 6
    assert plain(GossipParams())["message_id"] == "origin_id"
    assert plain(HostConfig())["max_connections"] == 1024
    json.dumps([plain(GossipParams()), plain(HostConfig())], allow_nan=False)


def test_a_huge_mapping_is_cut_short() -> None:
    table = {str(number): number for number in range(MOST_KEYS + 5)}
    assert len(plain(table)) == MOST_KEYS + 1
    assert plain(table)["…"] == "5 more"
