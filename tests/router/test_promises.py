"""Who promised a message and did not deliver it."""

from __future__ import annotations

import pytest

from gossipsub.router.score.promises import Promises


def broken(promises: Promises, now: float, *pending: bytes) -> dict[bytes, int]:
    return promises.take_broken(joined={"t"}, pending=pending, now=now)


@pytest.fixture
def promises() -> Promises:
    return Promises(follow_up=3.0, limit=4)


@pytest.mark.rule("SPAM-03")
def test_a_promise_is_broken_once_when_its_time_is_over(promises: Promises) -> None:
    promises.add(b"a", b"one", "t", 0.0)
    promises.add(b"a", b"two", "t", 0.0)
    promises.add(b"b", b"two", "t", 1.0)
    assert broken(promises, 3.0) == {}
    assert broken(promises, 3.1) == {b"a": 2}
    assert broken(promises, 4.1) == {b"b": 1}
    assert (broken(promises, 9.9), len(promises)) == ({}, 0)


def test_asking_again_does_not_prolong_a_promise(promises: Promises) -> None:
    promises.add(b"a", b"one", "t", 0.0)
    promises.add(b"a", b"one", "t", 2.0)
    assert len(promises) == 1
    assert broken(promises, 3.1) == {b"a": 1}


@pytest.mark.rule("SPAM-04")
def test_one_delivery_keeps_the_promises_of_all(promises: Promises) -> None:
    promises.add(b"a", b"one", "t", 0.0)
    promises.add(b"b", b"one", "t", 0.0)
    promises.kept(b"one")
    promises.kept(b"never asked for")
    assert (broken(promises, 9.9), len(promises)) == ({}, 0)


@pytest.mark.rule("SPAM-04")
@pytest.mark.parametrize("message_id", [b"one", b"long" * 99])
def test_a_message_under_validation_is_waited_for(promises: Promises, message_id: bytes) -> None:
    promises.add(b"a", message_id, "t", 0.0)
    assert broken(promises, 3.1, b"other", message_id) == {}
    assert broken(promises, 4.1) == {b"a": 1}
    promises.add(b"a", message_id, "t", 4.1)
    promises.kept(message_id)
    assert len(promises) == 0


def test_a_promise_in_a_topic_left_is_forgotten(promises: Promises) -> None:
    promises.add(b"a", b"one", "left", 0.0)
    assert (broken(promises, 3.1), len(promises)) == ({}, 0)


def test_a_promise_whose_request_was_not_sent_is_withdrawn(promises: Promises) -> None:
    promises.add(b"a", b"one", "t", 0.0)
    promises.add(b"b", b"one", "t", 0.0)
    promises.withdraw(b"a", [b"one", b"other"])
    promises.withdraw(b"a", [b"one"])
    assert len(promises) == 1
    assert broken(promises, 3.1) == {b"b": 1}


@pytest.mark.rule("SPAM-05")
def test_what_was_promised_before_is_forgiven_and_nothing_later(promises: Promises) -> None:
    promises.add(b"a", b"one", "t", 0.0)
    promises.add(b"b", b"one", "t", 0.0)
    promises.forgive(b"a", 0.1)
    promises.add(b"a", b"two", "t", 0.2)
    assert broken(promises, 3.1) == {b"b": 1}
    assert broken(promises, 3.3) == {b"a": 1}


def test_beyond_the_limit_promises_are_not_noted(promises: Promises) -> None:
    for number in range(9):
        promises.add(b"a", b"%d" % number, "t", 0.0)
    assert len(promises) == 4
    assert broken(promises, 3.1) == {b"a": 4}
