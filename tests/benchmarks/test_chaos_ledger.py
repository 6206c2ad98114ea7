"""What counts as lost in a network whose nodes come and go."""

from __future__ import annotations

from gossipsub.benchmarks.chaos_ledger import Ledger


def ledger() -> Ledger:
    return Ledger(settle=2.0, grace=3.0)


def test_a_message_is_due_at_all_others_that_were_up_before_and_live_on() -> None:
    books = ledger()
    author, steady, late, short = (books.begin(node, 0.0) for node in range(4))
    late.began, short.ended = 8.5, 12.5
    sent = books.publish(author, 10.0)
    assert books.due(sent) == [steady]


def test_nothing_is_due_of_an_author_that_died_soon_after() -> None:
    books = ledger()
    author, _ = books.begin(0, 0.0), books.begin(1, 0.0)
    sent = books.publish(author, 10.0)
    author.ended = 12.9
    assert books.due(sent) == []


def test_what_is_due_and_does_not_come_is_lost_and_tells_how_long_recovery_took() -> None:
    books = ledger()
    author, other = books.begin(0, 0.0), books.begin(1, 0.0)
    books.disturbances += [9.0, 20.0]
    for at in (10.0, 11.5, 13.0, 21.0):
        books.publish(author, at)
    for number, at in ((0, 10.25), (3, 21.5)):
        books.arrive(other, number, at)
    told = books.figures()
    assert (told["published"], told["deliveries_due"], told["deliveries_lost"]) == (4, 4, 2)
    assert told["delay_s"] == {"median": 0.375, "p99": 0.5, "max": 0.5}
    assert told["recovery_s"] == {"median": 2.0, "p99": 4.0, "max": 4.0}


def test_a_delivery_counts_once_and_its_repetition_is_told() -> None:
    books = ledger()
    author, other = books.begin(0, 0.0), books.begin(1, 0.0)
    books.publish(author, 10.0)
    books.arrive(other, 0, 10.5)
    books.arrive(other, 0, 11.5)
    told = books.figures()
    assert (told["delivered_twice"], told["delay_s"]["max"]) == (1, 0.5)


def test_a_restarted_process_tells_when_it_heard_the_first_message() -> None:
    books = ledger()
    author, first = books.begin(0, 0.0), books.begin(1, 0.0)
    first.ended = 5.0
    second = books.begin(1, 7.0)
    books.publish(author, 7.5)
    books.arrive(second, 0, 7.75)
    assert books.figures()["rejoin_s"] == {"median": 0.75, "p99": 0.75, "max": 0.75}


def test_missing_deliveries_are_those_to_whoever_lives_now() -> None:
    books = ledger()
    author, other, dead = (books.begin(node, 0.0) for node in range(3))
    dead.ended = 1.0
    sent = [books.publish(author, 10.0), books.publish(other, 10.0)]
    books.arrive(author, 1, 10.5)
    assert books.missing(sent) == 1
    books.arrive(other, 0, 10.5)
    assert books.missing(sent) == 0


def test_nothing_measured_is_told_as_none() -> None:
    told = ledger().figures()
    assert (told["delay_s"], told["recovery_s"], told["rejoin_s"]) == (None, None, None)
