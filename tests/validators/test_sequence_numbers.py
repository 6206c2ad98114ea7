from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from gossipsub import PeerId, PrivateKey, ReceivedMessage, Verdict
from gossipsub.validators import IncreasingSequenceNumbers, SequenceNumberTable

ALICE, BOB = (PrivateKey.from_seed(bytes(31) + bytes([n])).peer_id() for n in (1, 2))
LARGEST = 2**64 - 1


def numbered(number, sender=ALICE, received_from=BOB):
    seqno = number if number is None or isinstance(number, bytes) else number.to_bytes(8, "big")
    return ReceivedMessage("news", b"", sender, received_from, b"id", seqno)


def accepted(validator, *numbers, sender=ALICE):
    return [n for n in numbers if validator(numbered(n, sender)) is Verdict.ACCEPT]


@pytest.mark.rule("VAL-14")
def test_each_number_of_an_author_must_be_above_all_before():
    validator = IncreasingSequenceNumbers()
    said = [validator(numbered(number)) for number in (1, 2, 2, 1, 3)]
    assert said == [
        Verdict.ACCEPT,
        Verdict.ACCEPT,
        Verdict.IGNORE,
        Verdict.IGNORE,
        Verdict.ACCEPT,
    ]


def test_authors_count_for_themselves():
    validator = IncreasingSequenceNumbers()
    assert accepted(validator, 5) == [5]
    assert accepted(validator, 4, 5, sender=BOB) == [4, 5]


def test_all_of_64_bits_count_without_a_sign():
    numbers = (0, 2**63 - 1, 2**63, LARGEST)
    assert accepted(IncreasingSequenceNumbers(), *numbers, LARGEST, 2**63) == list(numbers)


@pytest.mark.parametrize(
    "message",
    [
        numbered(1, sender=None),
        numbered(None),
        numbered(b""),
        numbered(b"\x01"),
        numbered(bytes(9)),
    ],
)
def test_a_message_that_cannot_be_told_from_a_replay_is_ignored(message):
    store = SequenceNumberTable()
    assert IncreasingSequenceNumbers(store)(message) is Verdict.IGNORE
    assert len(store) == 0


def test_any_store_will_do_and_is_asked_for_authors():
    class Store:
        def __init__(self):
            self.calls = []

        def get(self, author):
            self.calls.append(("get", author))
            return 7

        def put(self, author, seqno):
            self.calls.append(("put", author, seqno))

    store = Store()
    validator = IncreasingSequenceNumbers(store)
    assert accepted(validator, 7, 8) == [8]
    assert store.calls == [("get", ALICE), ("get", ALICE), ("put", ALICE, 8)]
    assert repr(validator) == "IncreasingSequenceNumbers(Store)"


def author(number):
    return PeerId(b"author %d" % number)


@pytest.mark.parametrize("capacity", [9, 100])
def test_ever_new_authors_do_not_make_one_forgotten_that_published_before(capacity):
    store = SequenceNumberTable(capacity=capacity)
    validator = IncreasingSequenceNumbers(store)
    assert accepted(validator, 1, 2) == [1, 2]
    for number in range(5000):
        assert accepted(validator, 1, sender=author(number)) == [1]
        assert len(store) <= capacity
    assert accepted(validator, 1, 2, 3) == [3]


class Numbers(RuleBasedStateMachine):
    """In whatever order messages come: what is accepted rises, and nothing that rises is lost,
    except for authors that were forgotten."""

    @initialize(capacity=st.sampled_from([1, 3, 100]))
    def build(self, capacity):
        self.store = SequenceNumberTable(capacity=capacity)
        self.capacity = capacity
        self.validator = IncreasingSequenceNumbers(self.store)
        self.highest = {}

    @rule(number=st.integers(0, 10) | st.integers(0, LARGEST), whose=st.integers(0, 5))
    def offer(self, number, whose):
        sender = author(whose)
        rises = number > self.highest.get(sender, -1)
        was_known = self.store.get(sender) is not None
        is_accepted = accepted(self.validator, number, sender=sender) == [number]
        assert is_accepted if rises or not was_known else not is_accepted
        if is_accepted:
            self.highest[sender] = number
            assert self.store.get(sender) == number
        assert len(self.store) <= self.capacity
        assert self.capacity < 6 or was_known or sender in self.highest


TestNumbers = Numbers.TestCase
TestNumbers.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
