from __future__ import annotations

import pytest

from gossipsub import PrivateKey, ReceivedMessage, Verdict
from gossipsub.validators import RatePerAuthor, RatePerPeer

ALICE, BOB, CAROL = (PrivateKey.from_seed(bytes(31) + bytes([n])).peer_id() for n in (1, 2, 3))


def message(sender, received_from, data=b""):
    return ReceivedMessage("news", data, sender, received_from, b"id", bytes(8))


def at_once():
    return 0.0


def test_a_neighbour_is_limited_whoever_wrote_the_messages():
    validator = RatePerPeer(1, 2, clock=at_once)
    said = [validator(message(author, ALICE)) for author in (ALICE, BOB, CAROL)]
    assert said == [Verdict.ACCEPT, Verdict.ACCEPT, Verdict.THROTTLED]
    assert validator(message(CAROL, BOB)) is Verdict.ACCEPT


def test_an_author_is_limited_whoever_hands_the_messages_over():
    validator = RatePerAuthor(1, 2, clock=at_once)
    said = [validator(message(ALICE, neighbour)) for neighbour in (ALICE, BOB, CAROL)]
    assert said == [Verdict.ACCEPT, Verdict.ACCEPT, Verdict.IGNORE]
    assert validator(message(BOB, ALICE)) is Verdict.ACCEPT


def test_unsigned_messages_are_limited_together():
    validator = RatePerAuthor(1, 2, clock=at_once)
    said = [validator(message(None, neighbour)) for neighbour in (ALICE, BOB, CAROL)]
    assert said == [Verdict.ACCEPT, Verdict.ACCEPT, Verdict.IGNORE]


@pytest.mark.parametrize("kind", [RatePerPeer, RatePerAuthor])
def test_the_verdict_beyond_the_rate_and_a_limit_of_bytes_can_be_chosen(kind):
    validator = kind(
        5, 5, bytes_per_second=10, burst_bytes=4, otherwise=Verdict.REJECT, clock=at_once
    )
    said = [validator(message(ALICE, ALICE, data)) for data in (b"12345", b"1234", b"", b"1")]
    assert said == [Verdict.REJECT, Verdict.ACCEPT, Verdict.ACCEPT, Verdict.REJECT]
    assert repr(validator) == (f"{kind.__name__}(5 messages/s, burst=5, 10 bytes/s, burst_bytes=4)")


@pytest.mark.parametrize("kind", [RatePerPeer, RatePerAuthor])
def test_the_rate_is_one_of_real_time(kind):
    now = 5.0
    validator = kind(2, 1, clock=lambda: now)
    assert validator(message(ALICE, ALICE)) is Verdict.ACCEPT
    now = 5.25
    assert validator(message(ALICE, ALICE)) is not Verdict.ACCEPT
    now = 5.5
    assert validator(message(ALICE, ALICE)) is Verdict.ACCEPT
