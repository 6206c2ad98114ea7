"""Deliveries: latencies, who missed what, and what excuses."""

from __future__ import annotations

import pytest

from gossipsub.testing.deliveries import Deliveries, Publication, percentiles


def published(*, audience: tuple[int, ...] = (0, 1, 2), nodes: int = 3) -> Deliveries:
    deliveries = Deliveries()
    deliveries.published(Publication(b"id", "t", 0, 10.0, audience), nodes)
    deliveries.delivered(b"id", 0, 10.0)
    return deliveries


def test_the_publishers_own_delivery_has_no_latency() -> None:
    deliveries = published()
    deliveries.delivered(b"id", 2, 10.5)
    assert list(deliveries.publications[b"id"].latencies()) == [0.5]


def test_the_first_delivery_counts_and_others_are_counted_apart() -> None:
    deliveries = published()
    deliveries.delivered(b"id", 1, 11.0)
    deliveries.delivered(b"id", 1, 12.0)
    assert list(deliveries.publications[b"id"].latencies()) == [1.0]
    assert deliveries.repeated == 1


def test_a_node_added_later_can_still_get_a_message() -> None:
    deliveries = published()
    deliveries.delivered(b"id", 7, 13.0)
    assert list(deliveries.publications[b"id"].latencies()) == [3.0]


def test_a_message_from_before_the_report_is_not_counted() -> None:
    deliveries = published()
    deliveries.delivered(b"older", 1, 11.0)
    assert deliveries.repeated == 0
    assert list(deliveries.publications) == [b"id"]


@pytest.mark.parametrize(
    ("node", "topic", "time", "missed"),
    [
        (1, None, 12.0, [2]),
        (1, "t", 15.0, [2]),
        (1, "other", 12.0, [1, 2]),
        (1, None, 9.0, [1, 2]),
        (1, None, 15.1, [1, 2]),
        (2, None, 12.0, [1]),
    ],
)
def test_only_who_leaves_in_time_is_excused(
    node: int, topic: str | None, time: float, missed: list[int]
) -> None:
    deliveries = published()
    deliveries.departed(node, topic, time)
    publication = deliveries.publications[b"id"]
    assert deliveries.missed_by(publication, patience=5.0) == missed


def test_the_digest_tells_who_when_and_which() -> None:
    digests = {published().digest(), published(nodes=4).digest(), Deliveries().digest()}
    for node, time in ((1, 11.0), (2, 11.0), (1, 11.5)):
        deliveries = published()
        deliveries.delivered(b"id", node, time)
        digests.add(deliveries.digest())
    assert len(digests) == 6
    assert published().digest() == published().digest()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], [0.0, 0.0, 0.0]),
        ([7.0], [7.0, 7.0, 7.0]),
        ([float(n) for n in range(100, 0, -1)], [50.0, 99.0, 100.0]),
        ([1.0, 2.0, 3.0], [2.0, 3.0, 3.0]),
    ],
)
def test_percentiles_are_values_that_occurred(values: list[float], expected: list[float]) -> None:
    assert percentiles(values, (0.5, 0.99, 1.0)) == expected


def test_a_percentile_is_not_off_by_a_rounding_error() -> None:
    assert percentiles([float(n) for n in range(1, 101)], (0.07, 0.29, 0.57)) == [7.0, 29.0, 57.0]
