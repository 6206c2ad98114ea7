"""Copies of a message under validation."""

from __future__ import annotations

from gossipsub.router.pending import Pending, PendingTable
from gossipsub.wire.rpc import Message


def copy(name: bytes) -> Message:
    return Message("t", encoding=name)


def test_a_ticket_is_taken_once() -> None:
    table = PendingTable(limit=2, max_copies=3)
    pending = table.add(b"id", copy(b"1"), b"one")
    assert (pending.ticket, pending.peer, pending.senders) == (1, b"one", {b"one": None})
    assert table.take(1) is pending
    assert table.take(1) is None
    assert table.discard(b"id") is None
    assert len(table) == 0


def test_equal_bytes_add_a_sender_and_others_are_kept_up_to_the_limit() -> None:
    table = PendingTable(limit=2, max_copies=3)
    pending = table.add(b"id", copy(b"1"), b"one")
    for name, peer in [(b"1", b"two"), (b"2", b"three"), (b"2", b"four"), (b"3", b"five"),
                       (b"4", b"six")]:  # fmt: skip
        table.add_copy(pending, copy(name), peer)
    assert pending.senders == {b"one": None, b"two": None}
    others = [(other.message.encoding, list(other.senders)) for other in pending.others or ()]
    assert others == [(b"2", [b"three", b"four"]), (b"3", [b"five"])]


def test_copies_take_their_turn_with_a_ticket_each() -> None:
    table = PendingTable(limit=2, max_copies=3)
    first = table.add(b"id", copy(b"1"), b"one")
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
    table = PendingTable(limit=2, max_copies=3)
    pending = table.add(b"id", Message("t", b"data"), b"one")
    table.add_copy(pending, Message("t", b"data"), b"two")
    table.add_copy(pending, Message("t", b"other"), b"three")
    assert pending.senders == {b"one": None, b"two": None}
    assert [list(other.senders) for other in pending.others or ()] == [[b"three"]]


def test_a_full_table_says_so() -> None:
    table = PendingTable(limit=2, max_copies=3)
    table.add(b"a", copy(b"1"), b"one")
    assert not table.is_full()
    table.add(b"b", copy(b"1"), b"one")
    assert table.is_full()
    assert table.discard(b"a") is not None
    assert not table.is_full()


def test_one_peer_cannot_fill_the_places_with_copies_of_its_own() -> None:
    table = PendingTable(limit=2, max_copies=3)
    pending = table.add(b"id", copy(b"forged 1"), b"one")
    for number in range(2, 9):
        table.add_copy(pending, copy(b"forged %d" % number), b"one")
        table.add_copy(pending, copy(b"forged %d" % number), b"two")
    table.add_copy(pending, copy(b"genuine"), b"three")
    others = [(other.message.encoding, list(other.senders)) for other in pending.others or ()]
    assert others == [(b"forged 2", [b"two"]), (b"genuine", [b"three"])]
