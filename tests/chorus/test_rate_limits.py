from __future__ import annotations

from typing import Any

import pytest

from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.errors import MalformedEnvelope, RefusalReason
from gossipsub.chorus.rate_limits import RateLimit, RateLimits
from gossipsub.chorus.timestamp import Timestamp
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.message import ReceivedMessage
from gossipsub.router.effects import Verdict
from gossipsub.wire.errors import LocalProtocolError

ANN, BEN, CAT = (PrivateKey.from_seed(bytes([n]) * 32).public_key.peer_id() for n in range(3))
NOW = Timestamp("2025-01-02T03:04:05Z")
TWO = RateLimit(messages_per_second=1, burst=2)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def passes(
    limits: RateLimits,
    agent: PeerId = ANN,
    kind: str = "task_claim",
    topic: str = "t",
    *,
    via: PeerId | None = None,
    text: str = "",
) -> bool:
    envelope = Envelope(kind, str(agent), NOW, {"text": text})
    message = ReceivedMessage(topic, envelope.encode(), agent, via or agent, b"id", bytes(8))
    try:
        limits.check(envelope, message)
    except MalformedEnvelope:
        return False
    return True


def test_an_agent_may_say_its_burst_and_then_its_rate() -> None:
    clock = Clock()
    limits = RateLimits(TWO, clock=clock)
    assert [passes(limits) for _ in range(4)] == [True, True, False, False]
    clock.now += 1
    assert [passes(limits) for _ in range(2)] == [True, False]
    clock.now += 60
    assert [passes(limits) for _ in range(3)] == [True, True, False]


def test_in_raw_topics_the_same_limits_make_a_validator() -> None:
    def judge(agent: PeerId | None, topic: str, *, via: PeerId = CAT) -> Verdict:
        return validator(ReceivedMessage(topic, b"{}", agent, via, b"id", bytes(8)))

    limits = RateLimits(topics={"rooms/*": TWO}, types={"": TWO}, clock=Clock())
    validator = limits.raw_validator(["rooms/*", "other"])
    assert [judge(ANN, "rooms/1", via=via) for via in (ANN, BEN, CAT)] == [
        Verdict.ACCEPT, Verdict.ACCEPT, Verdict.IGNORE
    ]  # fmt: skip
    assert judge(ANN, "rooms/2") is Verdict.ACCEPT
    assert judge(BEN, "rooms/1") is Verdict.ACCEPT
    for _ in range(3):
        assert judge(None, "rooms/1") is Verdict.ACCEPT
        assert judge(ANN, "other") is Verdict.ACCEPT
        assert judge(ANN, "elsewhere") is Verdict.ACCEPT
    with pytest.raises(LocalProtocolError, match=r"^topics is a list"):
        limits.raw_validator("rooms/*")


def test_each_agent_in_each_topic_counts_for_itself_whoever_relays() -> None:
    limits = RateLimits(TWO, clock=Clock())
    assert [passes(limits, ANN, via=via) for via in (ANN, BEN, CAT)] == [True, True, False]
    assert passes(limits, BEN, via=ANN)
    assert passes(limits, ANN, topic="u")
    assert not passes(limits, ANN)


def test_bytes_are_limited_where_asked_for() -> None:
    clock = Clock()
    limit = RateLimit(messages_per_second=9, burst=9, bytes_per_second=100, burst_bytes=1000)
    limits = RateLimits(limit, clock=clock)
    assert not passes(limits, text="x" * 1000)
    assert passes(limits, text="x" * 600)
    assert not passes(limits, text="x" * 600)
    clock.now += 10
    assert passes(limits, text="x" * 600)


def test_a_topic_has_the_first_limit_whose_name_matches_instead_of_the_default() -> None:
    one = RateLimit(messages_per_second=1, burst=1)
    limits = RateLimits(
        TWO, topics={"a/b": one, "a/*": RateLimit(messages_per_second=1, burst=3)}, clock=Clock()
    )
    counts = {
        topic: sum(passes(limits, topic=topic) for _ in range(5))
        for topic in ("a/b", "a/c", "a/d", "c")
    }
    assert counts == {"a/b": 1, "a/c": 3, "a/d": 3, "c": 2}


def test_a_type_with_a_limit_of_its_own_takes_nothing_from_the_others() -> None:
    one = RateLimit(messages_per_second=1, burst=1)
    limits = RateLimits(TWO, types={"availability_broadcast": one}, clock=Clock())
    kinds = ["availability_broadcast", "availability_broadcast", "a", "b", "c"]
    assert [passes(limits, kind=kind) for kind in kinds] == [True, False, True, True, False]


def test_without_a_default_only_what_is_named_is_limited() -> None:
    limits = RateLimits(types={"x": RateLimit(messages_per_second=1, burst=1)}, clock=Clock())
    assert all(passes(limits) for _ in range(100))
    assert [passes(limits, kind="x") for _ in range(2)] == [True, False]


def test_new_identities_do_not_make_a_flooding_agent_forgotten() -> None:
    limits = RateLimits(RateLimit(messages_per_second=0.001, burst=3), capacity=16, clock=Clock())
    assert [passes(limits) for _ in range(4)] == [True, True, True, False]
    for number in range(1000):
        assert passes(limits, PeerId(b"\x00\x02" + number.to_bytes(2, "big")))
        assert number % 100 or not passes(limits)


def test_a_refusal_says_what_there_was_too_much_of() -> None:
    one = RateLimit(messages_per_second=1, burst=1)
    limits = RateLimits(one, types={"x": one}, clock=Clock())
    for kind, what in (("x", "x"), ("y", "messages")):
        envelope = Envelope(kind, str(ANN), NOW, {})
        message = ReceivedMessage("t", b"", ANN, ANN, b"id", bytes(8))
        limits.check(envelope, message)
        with pytest.raises(MalformedEnvelope) as raised:
            limits.check(envelope, message)
        assert str(raised.value) == f"more {what} than this agent may send"
        assert raised.value.reason is RefusalReason.RATE_LIMIT
        assert raised.value.reason.is_local


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"default": RateLimit(messages_per_second=0, burst=1)},
            "default: messages_per_second must be a finite number above 0: 0",
        ),
        (
            {"topics": {"t": RateLimit(messages_per_second=1, burst=0)}},
            "topics['t']: burst must be a whole number above 0: 0",
        ),
        (
            {"types": {"x": RateLimit(messages_per_second=1, burst=1, burst_bytes=5)}},
            "types['x']: bytes_per_second and burst_bytes go together",
        ),
        ({"default": 5}, "default: not a RateLimit: 5"),
    ],
)
def test_limits_that_cannot_be_meant_are_an_error(arguments: Any, message: str) -> None:
    with pytest.raises(LocalProtocolError) as raised:
        RateLimits(**arguments)
    assert str(raised.value) == message
