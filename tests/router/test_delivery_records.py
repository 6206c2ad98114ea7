"""What copies of a message cost and earn, by what became of the message."""

from __future__ import annotations

import pytest

from gossipsub.router.score.delivery_records import MAX_SENDERS, DeliveryRecords
from gossipsub.router.score.params import PeerScoreParams, TopicScoreParams
from gossipsub.router.score.peer_scores import PeerScores
from gossipsub.wire.rpc import Message

A, B, C, D = b"a", b"b", b"c", b"d"
MESSAGE = Message("t", b"data", b"author", bytes(8))


class Desk:
    """Records above an engine whose peers are all in the mesh of t."""

    def __init__(self, *peers: bytes, limit: int = 100_000) -> None:
        topic = TopicScoreParams(
            first_message_deliveries_weight=1.0, invalid_message_deliveries_weight=-1.0
        )
        params = PeerScoreParams(topics={"t": topic, "u": topic})
        self.scores = PeerScores(params, max_retained=10, now=0.0)
        self.records = DeliveryRecords(self.scores, ttl=120.0, limit=limit)
        for peer in peers:
            self.scores.add_peer(peer, ())
            self.scores.graft(peer, "t", 0.0)

    def duplicates(self, now: float, *peers: bytes, message: Message = MESSAGE) -> None:
        for peer in peers:
            self.records.duplicate(peer, b"id", message, now)

    def counters(self, name: str, *peers: bytes, topic: str = "t") -> list[float]:
        found = []
        for peer in peers:
            snapshot = self.scores.snapshot(peer)
            assert snapshot is not None
            entry = snapshot.topics.get(topic)
            found.append(0.0 if entry is None else getattr(entry, name))
        return found


@pytest.mark.rule("SCORE-11", "SCORE-08")
def test_mesh_peers_are_credited_for_copies_until_the_window_closes() -> None:
    desk = Desk(A, B, C, D, b"e")
    desk.scores.prune(b"e", "t")
    desk.records.accepted(b"id", MESSAGE, A, [A, B, b"e"], 1.0)
    desk.duplicates(1.005, A, B, C, C, b"e", b"stranger")
    desk.duplicates(1.02, D)
    assert desk.counters("mesh_message_deliveries", A, B, C, D, b"e") == [1, 1, 1, 0, 0]
    assert desk.counters("first_message_deliveries", A, B, C, D, b"e") == [1, 0, 0, 0, 0]


@pytest.mark.rule("SCORE-08")
def test_the_first_to_deliver_is_credited_outside_the_mesh_too() -> None:
    desk = Desk(A)
    desk.scores.prune(A, "t")
    desk.records.accepted(b"id", MESSAGE, A, [], 1.0)
    assert desk.counters("first_message_deliveries", A) == [1]
    assert desk.counters("mesh_message_deliveries", A) == [0]


@pytest.mark.rule("SCORE-11")
def test_an_id_without_the_message_earns_nothing() -> None:
    desk = Desk(A, B, C)
    desk.records.accepted(b"id", MESSAGE, A, [], 1.0)
    desk.duplicates(1.0, B, message=Message("t", b"made up", b"author", bytes(8)))
    desk.duplicates(1.0, C, message=Message("u", b"data", b"author", bytes(8)))
    assert desk.counters("mesh_message_deliveries", B, C) == [0, 0]
    assert desk.counters("mesh_message_deliveries", C, topic="u") == [0]


@pytest.mark.rule("SCORE-18", "SCORE-19")
def test_an_invalid_message_costs_each_sender_once_however_late() -> None:
    desk = Desk(A, B, C)
    desk.records.rejected(b"id", MESSAGE, [A, B], 1.0)
    desk.duplicates(1.5, A, B)
    assert desk.counters("invalid_message_deliveries", A, B, C) == [1, 1, 0]
    assert [desk.scores.score(peer) for peer in (A, B, C)] == [-1, -1, 0]
    desk.duplicates(120.0, C, C)
    assert desk.counters("invalid_message_deliveries", A, B, C) == [1, 1, 1]


@pytest.mark.rule("SCORE-18")
def test_a_good_message_with_the_id_of_an_invalid_one_costs_nothing() -> None:
    desk = Desk(A, B, C)
    desk.records.rejected(b"id", MESSAGE, [A], 1.0)
    desk.duplicates(1.0, B, message=Message("t", b"other", b"author", bytes(8)))
    desk.duplicates(1.0, C, message=Message("u", b"data", b"author", bytes(8)))
    assert desk.counters("invalid_message_deliveries", A, B, C) == [1, 0, 0]


def test_a_message_published_here_after_all_costs_nobody_anything() -> None:
    desk = Desk(A, B)
    desk.records.rejected(b"id", MESSAGE, [A], 1.0)
    desk.records.published(b"id")
    desk.duplicates(1.0, B)
    assert desk.counters("invalid_message_deliveries", B) == [0]


@pytest.mark.rule("SCORE-02")
def test_a_topic_without_parameters_is_not_recorded() -> None:
    desk = Desk(A)
    message = Message("elsewhere", b"data")
    desk.records.accepted(b"id", message, A, [], 1.0)
    desk.records.rejected(b"id", message, [A], 1.0)
    desk.records.blame([A], "elsewhere", "validation failed")
    assert len(desk.records) == 0
    assert desk.counters("invalid_message_deliveries", A, topic="elsewhere") == [0]


@pytest.mark.rule("SCORE-38")
def test_records_are_collected_when_the_seen_time_is_over() -> None:
    desk = Desk(A)
    for number in range(100_000):
        desk.records.rejected(number.to_bytes(4, "big"), MESSAGE, [A], 0.0)
    assert len(desk.records) == 100_000
    desk.records.sweep(120.0)
    assert len(desk.records) == 100_000
    desk.records.sweep(121.0)
    assert len(desk.records) == 0


def test_records_of_valid_messages_go_with_the_window() -> None:
    desk = Desk(A)
    for number in range(1000):
        desk.records.accepted(b"%d" % number, MESSAGE, A, [], number / 100 + 0.001)
    assert len(desk.records) <= 3
    desk.records.sweep(99.0)
    assert len(desk.records) == 0


def test_records_are_bounded() -> None:
    desk = Desk(A, limit=5)
    for number in range(20):
        desk.records.accepted(b"v%d" % number, MESSAGE, A, [], 1.0)
        desk.records.rejected(b"i%d" % number, MESSAGE, [A], 1.0)
    assert len(desk.records) == 10
    peers = [b"%d" % number for number in range(MAX_SENDERS + 5)]
    for peer in peers:
        desk.scores.add_peer(peer, ())
        desk.records.duplicate(peer, b"i19", MESSAGE, 1.0)
    assert sum(desk.counters("invalid_message_deliveries", *peers)) == MAX_SENDERS - 1


def test_an_id_that_came_back_keeps_its_new_record() -> None:
    desk = Desk(A, B)
    desk.records.rejected(b"id", MESSAGE, [A], 1.0)
    desk.records.rejected(b"id", MESSAGE, [A], 100.0)
    desk.records.sweep(130.0)
    desk.duplicates(130.0, B)
    assert desk.counters("invalid_message_deliveries", A, B) == [2, 1]
