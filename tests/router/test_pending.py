"""Copies of a message under validation."""

from __future__ import annotations

from gossipsub.router.pending import Pending, PendingTable
from gossipsub.wire.rpc import Message


def table_of(limit: int, *, max_bytes: int = 10_000) -> PendingTable:
    return PendingTable(limit=limit, max_bytes=max_bytes, max_copies=3)


def begin(table: PendingTable, message_id: bytes, message: Message, peer: bytes) -> Pending:
    pending = table.add(message_id, message, peer)
    assert pending is not None
    return pending


def copy(name: bytes) -> Message:
    return Message("t", encoding=name)


def test_a_ticket_is_taken_once() -> None:
    table = table_of(8)
    pending = begin(table, b"id", copy(b"1"), b"one")
    assert (pending.ticket, pending.peer, pending.senders) == (1, b"one", {b"one": None})
    assert table.take(1) is pending
    assert table.take(1) is None
    assert table.discard(b"id") is None
    assert len(table) == 0


def test_equal_bytes_add_a_sender_and_others_are_kept_up_to_the_limit() -> None:
    table = table_of(8)
    pending = begin(table, b"id", copy(b"1"), b"one")
    for name, peer in [(b"1", b"two"), (b"2", b"three"), (b"2", b"four"), (b"3", b"five"),
                       (b"4", b"six")]:  # fmt: skip
        table.add_copy(pending, copy(name), peer)
    assert pending.senders == {b"one": None, b"two": None}
    others = [(other.message.encoding, list(other.senders)) for other in pending.others or ()]
    assert others == [(b"2", [b"three", b"four"]), (b"3", [b"five"])]


def test_copies_take_their_turn_with_a_ticket_each() -> None:
    table = table_of(8)
    first = begin(table, b"id", copy(b"1"), b"one")
    table.add_copy(first, copy(b"2"), b"two")
    table.add_copy(first, copy(b"3"), b"three")
    tried = []
    failed: Pending | None = table.take(first.ticket)
    while failed is not None and (following := table.next_copy(failed)) is not None:
        tried.append((following.ticket, following.peer, following.message.encoding))
        failed = table.take(following.ticket)
    assert tried == [(2, b"two", b"2"), (3, b"three", b"3")]
    assert len(table) == 0


def test_copies_without_an_encoding_are_compared_by_their_fields() -> None:
    table = table_of(8)
    pending = begin(table, b"id", Message("t", b"data"), b"one")
    table.add_copy(pending, Message("t", b"data"), b"two")
    table.add_copy(pending, Message("t", b"other"), b"three")
    assert pending.senders == {b"one": None, b"two": None}
    assert [list(other.senders) for other in pending.others or ()] == [[b"three"]]


def test_a_full_table_takes_nothing_until_something_went() -> None:
    table = table_of(2)
    assert table.add(b"a", copy(b"1"), b"one") is not None
    assert table.add(b"b", copy(b"1"), b"one") is not None
    assert table.add(b"c", copy(b"1"), b"two") is None
    assert table.discard(b"a") is not None
    assert table.add(b"c", copy(b"1"), b"two") is not None


def test_one_peer_cannot_fill_the_places_with_copies_of_its_own() -> None:
    table = table_of(8)
    pending = begin(table, b"id", copy(b"forged 1"), b"one")
    for number in range(2, 9):
        table.add_copy(pending, copy(b"forged %d" % number), b"one")
        table.add_copy(pending, copy(b"forged %d" % number), b"two")
    table.add_copy(pending, copy(b"genuine"), b"three")
    others = [(other.message.encoding, list(other.senders)) for other in pending.others or ()]
    assert others == [(b"forged 2", [b"two"]), (b"genuine", [b"three"])]


def test_large_messages_count_with_their_memory_and_small_ones_with_their_part() -> None:
    table = table_of(10, max_bytes=1000)
    begin(table, b"small", copy(bytes(5)), b"one")
    assert table.held_bytes == 100
    large = begin(table, b"large", copy(bytes(300)), b"two")  # kept encoded and in fields
    assert table.held_bytes == 700
    begin(table, b"plain", Message("t", bytes(200)), b"three")
    assert table.held_bytes == 900
    assert table.add(b"too large", copy(bytes(51)), b"four") is None
    begin(table, b"fits", copy(bytes(50)), b"four")
    table.take(large.ticket)
    assert table.held_bytes == 400


def test_one_peer_has_two_thirds_and_the_others_the_rest() -> None:
    table = table_of(300)
    for number in range(300):
        table.add(b"flood %d" % number, copy(b"1"), b"flooder")
    assert len(table) == 200
    for number in range(50):
        assert table.add(b"honest %d" % number, copy(b"1"), b"honest") is not None


def test_many_that_flood_leave_some_room_for_another() -> None:
    table = table_of(1000)
    for number in range(1000):
        for sybil in range(20):
            table.add(b"%d by %d" % (number, sybil), copy(b"1"), b"sybil %d" % sybil)
    assert table.add(b"honest", copy(b"1"), b"honest") is not None
    assert 950 < len(table) < 1000


def test_copies_count_for_who_sent_them_first_and_go_together() -> None:
    table = table_of(10, max_bytes=1000)
    first = begin(table, b"id", copy(b"forged"), b"one")
    assert table.add_copy(first, copy(bytes(400)), b"two")
    assert table.add_copy(first, copy(bytes(400)), b"three")  # the same: nothing more is kept
    assert table.held_bytes == 900
    assert not table.add_copy(first, copy(bytes(200)), b"four")
    assert [list(other.senders) for other in first.others or ()] == [[b"two", b"three"]]
    failed = table.take(first.ticket)
    assert table.held_bytes == 0
    assert failed is not None
    second = table.next_copy(failed)
    assert second is not None
    assert table.held_bytes == 800
    table.take(second.ticket)
    assert table.held_bytes == 0


def test_a_peer_without_room_is_told_from_one_that_only_repeats_itself() -> None:
    table = table_of(8)
    first = begin(table, b"id", copy(b"1"), b"one")
    assert table.add_copy(first, copy(b"another"), b"one")
    assert table.add_copy(first, copy(b"2"), b"two")
    assert table.add_copy(first, copy(b"3"), b"three")
    assert not table.add_copy(first, copy(b"4"), b"four")
