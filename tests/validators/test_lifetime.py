from __future__ import annotations

import json
import math
import time

import pytest

from gossipsub import PeerId, ReceivedMessage, Verdict
from gossipsub.validators import Lifetime

NOW = 1_000_000.0


def holding(data):
    return ReceivedMessage("news", data, None, PeerId(b"neighbour"), b"id", None)


def time_of(message):
    return json.loads(message.data)["at"]


def validator(**options):
    return Lifetime(60, time_of, ahead=5, clock=lambda: NOW, **options)


@pytest.mark.parametrize(
    ("at", "verdict"),
    [
        (NOW, Verdict.ACCEPT),
        (NOW - 60, Verdict.ACCEPT),
        (NOW - 60.1, Verdict.IGNORE),
        (NOW + 5, Verdict.ACCEPT),
        (NOW + 5.1, Verdict.IGNORE),
        (-1e300, Verdict.IGNORE),
        (1e300, Verdict.IGNORE),
        (0, Verdict.IGNORE),
    ],
)
def test_a_message_is_of_use_from_its_publication_until_its_lifetime_is_over(at, verdict):
    assert validator()(holding(json.dumps({"at": at}).encode())) is verdict


def test_the_verdict_on_old_and_early_messages_can_be_chosen():
    strict = validator(otherwise=Verdict.REJECT)
    assert strict(holding(b'{"at": 0}')) is Verdict.REJECT
    assert strict(holding(b'{"at": 1e9}')) is Verdict.REJECT
    assert strict(holding(b"{}")) is Verdict.IGNORE


UNDATED = [
    b'{"at": null}',
    b'{"at": NaN}',
    b'{"at": Infinity}',
    b'{"at": 1e999}',
    b'{"at": ' + b"9" * 400 + b"}",
    b'{"at": "noon"}',
    b'{"at": {}}',
    b"{}",
    b"[]",
    b"",
]


@pytest.mark.parametrize("data", UNDATED)
@pytest.mark.parametrize("undated", [Verdict.ACCEPT, Verdict.IGNORE, Verdict.REJECT])
def test_a_message_without_a_time_is_judged_as_was_said_whatever_is_there_instead(
    data, undated, caplog
):
    assert validator(undated=undated)(holding(data)) is undated
    assert caplog.records == []


def test_without_a_clock_it_is_the_time_of_day():
    now = time.time()
    plain = Lifetime(3600, lambda message: float(message.data))
    said = [now, now - 7200, now + 7200, math.floor(now) - 60]
    assert [plain(holding(repr(at).encode())) for at in said] == [
        Verdict.ACCEPT,
        Verdict.IGNORE,
        Verdict.IGNORE,
        Verdict.ACCEPT,
    ]
