"""Counting and timing what passes."""

from __future__ import annotations

from gossipsub.pubsub.measures import MAX_TIMED, SAMPLE_MASK, Distribution, Histogram, Measures
from gossipsub.wire.rpc import (
    Control,
    Graft,
    IDontWant,
    IHave,
    IWant,
    Message,
    PartialMessagesExtension,
    Prune,
    Rpc,
    SubOpts,
)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_value_counts_at_the_first_bound_not_below_it() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 3.0):
        histogram.observe(value)
    assert histogram.read() == Distribution((1.0, 2.0), (2, 1, 1), 6.0)


def test_what_is_in_rpcs_is_counted_by_kind() -> None:
    measures = Measures(Clock())
    measures.sent.add(Rpc(publish=[Message("t"), Message("t")]))
    measures.sent.add(Rpc([SubOpts("a"), SubOpts("b"), SubOpts("c", False)]))
    measures.sent.add(
        Rpc(
            control=Control(
                ihave=[IHave("t", [b"1", b"2"])],
                iwant=[IWant([b"1"])],
                graft=[Graft("t"), Graft("u")],
                prune=[Prune("v")],
                idontwant=[IDontWant([b"1"])],
            ),
            partial=PartialMessagesExtension("t"),
        )
    )
    assert measures.sent.rpcs == 3
    assert measures.sent.by_type() == {
        "publish": 2,
        "subscribe": 2,
        "unsubscribe": 1,
        "graft": 2,
        "prune": 1,
        "ihave": 1,
        "iwant": 1,
        "idontwant": 1,
        "partial": 1,
    }
    assert measures.received.rpcs == 0


def test_a_heartbeat_is_timed_from_its_beginning_and_late_since_it_was_due() -> None:
    clock = Clock()
    measures = Measures(clock)
    clock.now = 100.5
    measures.heartbeat(due=99.75, began=100.0)
    assert measures.heartbeat_duration.read().sum == 0.5
    assert measures.heartbeat_lateness.read().sum == 0.25


def test_one_of_sixteen_messages_is_timed() -> None:
    clock = Clock()
    measures = Measures(clock)
    for ticket in range(1, 65):
        measures.validation_began(ticket)
    clock.now += 0.25
    for ticket in range(1, 65):
        measures.validation_ended(ticket)
        measures.validation_ended(ticket)
    assert sum(measures.validation.read().counts) == 4
    assert measures.validation.read().sum == 1.0


def test_messages_whose_verdict_never_comes_take_bounded_memory() -> None:
    measures = Measures(Clock())
    for number in range(MAX_TIMED + 10):
        measures.validation_began(number * (SAMPLE_MASK + 1))
    for number in range(MAX_TIMED + 10):
        measures.validation_ended(number * (SAMPLE_MASK + 1))
    assert sum(measures.validation.read().counts) == MAX_TIMED
