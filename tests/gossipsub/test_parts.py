"""The exchange of parts of one size, on a topic that is only written down."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gossipsub import PartExchange, PartialMessage, PeerId
from gossipsub.pubsub.partial import PartialHandler

A, B = PeerId(b"a"), PeerId(b"b")
GROUP = b"group"
PARTS = {index: bytes([index]) * 4 for index in range(10)}  # two bytes of bitmap
NOTHING = b"\x00\x00"
FULL = b"\xff\x03"


class Topic:
    """Peers and whether they request parts; what they are sent."""

    def __init__(self, **peers: bool) -> None:
        self.peers = {PeerId(name.encode()): requests for name, requests in peers.items()}
        self.handler: PartialHandler | None = None
        self.sent: list[tuple[PeerId, bytes, PartialMessage]] = []

    def set_partial_handler(self, handler: PartialHandler | None) -> None:
        self.handler = handler

    def publish_partial(
        self, group_id: bytes, message_for: Callable[[PeerId, bool], PartialMessage | None]
    ) -> tuple[PeerId, ...]:
        told: list[PeerId] = []
        for peer, requests in self.peers.items():
            answer = message_for(peer, requests)
            if answer is not None:
                self.sent.append((peer, group_id, answer))
                told.append(peer)
        return tuple(told)

    def send_partial(self, peer: PeerId, group_id: bytes, partial: PartialMessage) -> bool:
        self.sent.append((peer, group_id, partial))
        return True

    def take(self) -> list[tuple[PeerId, bytes, PartialMessage]]:
        sent, self.sent = self.sent, []
        return sent


class Node:
    def __init__(self, *, count: int = 10, peers: dict[str, bool] | None = None, **options) -> None:
        self.topic = Topic(**({"a": True} if peers is None else peers))
        self.complete: list[tuple[bytes, tuple[bytes, ...]]] = []
        self.exchange = PartExchange(
            self.topic,
            parts=count,
            part_bytes=4,
            complete=lambda group, parts: self.complete.append((group, parts)),
            **options,
        )

    def hears(self, peer: PeerId, message: bytes | None = None, metadata: bytes | None = None):
        self.exchange.received(peer, GROUP, message, metadata)
        return self.topic.take()


def message(bitmap: bytes, *indexes: int) -> bytes:
    return bitmap + b"".join(PARTS[index] for index in indexes) + GROUP


def some(*indexes: int) -> dict[int, bytes]:
    return {index: PARTS[index] for index in indexes}


def test_it_becomes_the_handler_of_the_topic():
    node = Node()
    assert node.topic.handler is node.exchange


@pytest.mark.rule("PART-04")
def test_metadata_is_a_bitmap_and_a_message_is_bitmap_parts_and_group():
    node = Node()
    assert node.exchange.add(GROUP, some(0, 9)) == (A,)
    assert node.topic.take() == [(A, GROUP, PartialMessage(metadata=b"\x01\x02"))]
    answer = PartialMessage(message(b"\x01\x02", 0, 9))
    assert node.hears(A, metadata=NOTHING) == [(A, GROUP, answer)]


def test_a_peer_is_sent_what_it_lacks_and_each_part_once():
    node = Node()
    node.exchange.add(GROUP, some(0, 1, 2))
    node.topic.take()
    answer = PartialMessage(message(b"\x05\x00", 0, 2))
    assert node.hears(A, metadata=b"\x02\x00") == [(A, GROUP, answer)]
    assert node.hears(A, metadata=b"\x02\x00") == []  # it crossed with what was sent
    assert node.exchange.publish(GROUP) == ()


def test_parts_that_did_not_arrive_are_sent_again_when_the_peer_says_so_twice():
    node = Node()
    node.exchange.add(GROUP, some(0))
    node.topic.take()
    answer = [(A, GROUP, PartialMessage(message(b"\x01\x00", 0)))]
    assert node.hears(A, metadata=NOTHING) == answer
    assert node.hears(A, metadata=NOTHING) == []
    assert node.hears(A, metadata=NOTHING) == answer


def test_new_parts_are_passed_on_and_not_told_to_those_who_sent_them():
    node = Node(peers={"a": True, "b": True})
    node.exchange.add(GROUP, some(0))
    node.topic.take()
    node.hears(A, metadata=b"\x01\x00")
    node.hears(B, metadata=b"\x01\x00")
    sent = node.hears(A, message=message(b"\x02\x00", 1))
    assert sent == [(B, GROUP, PartialMessage(message(b"\x02\x00", 1)))]
    assert node.exchange.parts(GROUP) == some(0, 1)


def test_who_has_nothing_of_a_group_says_so_once():
    node = Node()
    nothing = [(A, GROUP, PartialMessage(metadata=NOTHING))]
    assert node.hears(A, metadata=FULL) == nothing
    assert node.hears(A, metadata=FULL) == []
    assert node.exchange.groups() == (GROUP,)
    assert node.exchange.publish(b"unknown") == ()


def test_a_peer_that_does_not_request_parts_gets_metadata_alone():
    node = Node(peers={"a": False}, eager=True)
    node.exchange.add(GROUP, some(0))
    assert node.topic.take() == [(A, GROUP, PartialMessage(metadata=b"\x01\x00"))]
    assert node.hears(A, metadata=NOTHING) == []
    node.exchange.add(GROUP, some(1))
    assert node.topic.take() == [(A, GROUP, PartialMessage(metadata=b"\x03\x00"))]


def test_eagerly_parts_go_before_the_peer_spoke():
    node = Node(eager=True)
    node.exchange.add(GROUP, some(0))
    assert node.topic.take() == [
        (A, GROUP, PartialMessage(message(b"\x01\x00", 0), metadata=b"\x01\x00"))
    ]


def test_gossip_is_told_what_is_here():
    node = Node(peers={})
    node.exchange.add(GROUP, some(3))
    node.topic.peers[B] = True
    node.exchange.gossip(GROUP, (B,))
    assert node.topic.take() == [(B, GROUP, PartialMessage(metadata=b"\x08\x00"))]


def test_a_complete_group_is_handed_over_once_with_its_parts_in_order():
    node = Node()
    node.exchange.add(GROUP, some(*range(8)))
    assert node.complete == []
    node.hears(A, message=message(b"\x00\x03", 8, 9))
    node.hears(A, message=message(b"\x00\x03", 8, 9))
    node.exchange.add(GROUP, PARTS)
    assert node.complete == [(GROUP, tuple(PARTS.values()))]
    node.exchange.forget(GROUP)
    assert node.exchange.parts(GROUP) == {}
    node.exchange.add(GROUP, PARTS)
    assert len(node.complete) == 2


@pytest.mark.parametrize(
    ("received", "metadata"),
    [
        (b"", None),
        (b"\x01", None),
        (b"\x01\x00" + PARTS[0], None),  # no group
        (b"\x01\x00" + PARTS[0] + b"other", None),
        (b"\x03\x00" + PARTS[0] + GROUP, None),
        (b"\x01\x00" + PARTS[0] + PARTS[1] + GROUP, None),
        (b"\x00\x04" + PARTS[0] + GROUP, None),  # part 10 of 0 to 9
        (b"\x00\x00" + GROUP, None),
        (None, b"\x00"),
        (None, b"\x00\x00\x00"),
        (None, b"\x00\x04"),
        (None, None),
    ],
)
def test_what_is_malformed_is_ignored(received, metadata):
    node = Node()
    assert node.hears(A, received, metadata) == []
    assert node.exchange.groups() == ()


def test_spoilt_parts_are_not_kept_and_their_sender_is_sent_the_good_ones():
    node = Node(verify=lambda group, index, part: part == PARTS[index])
    node.exchange.add(GROUP, some(0))
    node.topic.take()
    node.hears(A, metadata=b"\x02\x00")
    spoilt = b"\x06\x00" + PARTS[9] + PARTS[2] + GROUP  # part 1 is another one
    node.hears(A, message=spoilt)
    assert node.exchange.parts(GROUP) == some(0, 2)


def test_groups_that_do_not_exist_are_not_taken_up():
    node = Node(accept_group=lambda group: group != GROUP)
    assert node.hears(A, metadata=FULL) == []
    node.exchange.received(A, b"real", None, FULL)
    assert node.exchange.groups() == (b"real",)
    node.exchange.add(GROUP, some(0))  # its own word counts
    node.topic.take()
    assert node.hears(A, metadata=NOTHING) == [(A, GROUP, PartialMessage(message(b"\x01\x00", 0)))]


def test_beyond_the_limit_the_oldest_group_goes_and_own_ones_last():
    node = Node(max_groups=2)
    node.exchange.add(b"own 1", some(0))
    node.exchange.received(A, b"theirs 1", None, FULL)
    node.exchange.received(A, b"theirs 2", None, FULL)
    assert node.exchange.groups() == (b"own 1", b"theirs 2")
    node.exchange.add(b"own 2", some(0))
    node.exchange.add(b"own 3", some(0))
    assert node.exchange.groups() == (b"own 2", b"own 3")


def test_of_a_group_at_most_1024_peers_are_remembered():
    node = Node(peers={})
    for number in range(1025):
        node.exchange.received(PeerId(b"%d" % number), GROUP, None, FULL)
    assert len(node.topic.take()) == 1025
    node.exchange.received(PeerId(b"1024"), GROUP, None, FULL)
    assert node.topic.take() == []
    node.exchange.received(PeerId(b"0"), GROUP, None, FULL)
    assert len(node.topic.take()) == 1


@pytest.mark.parametrize("parts", [{10: b"four"}, {-1: b"four"}, {0: b"three"}])
def test_parts_that_do_not_fit_are_refused(parts):
    node = Node()
    index, part = next(iter(parts.items()))
    with pytest.raises(ValueError, match=f": {index}, {len(part)}$"):
        node.exchange.add(GROUP, parts)
    assert node.exchange.groups() == ()


@pytest.mark.parametrize("option", ["count", "max_groups"])
def test_sizes_are_positive(option):
    with pytest.raises(ValueError, match=r"must be at least 1: .*0"):
        Node(**{option: 0})
