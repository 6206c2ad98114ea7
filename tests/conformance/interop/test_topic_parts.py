from __future__ import annotations

from collections.abc import Callable

from gossipsub import PartialMessage, PeerId
from gossipsub.conformance.interop.topic_parts import TopicParts
from gossipsub.peer.part_groups import made_part
from gossipsub.pubsub.partial import PartialHandler

GROUP = (7).to_bytes(8)
A, B, C = (PeerId(name) for name in (b"a", b"b", b"c"))


class Topic:
    """Its mesh is A and B; notes what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[PeerId, PartialMessage]] = []
        self.handler: PartialHandler | None = None

    def set_partial_handler(self, handler: PartialHandler | None) -> None:
        self.handler = handler

    def publish_partial(
        self, group_id: bytes, message_for: Callable[[PeerId, bool], PartialMessage | None]
    ) -> tuple[PeerId, ...]:
        assert group_id == GROUP
        for peer in (A, B):
            answer = message_for(peer, True)
            if answer is not None:
                self.sent.append((peer, answer))
        return (A, B)

    def send_partial(self, peer: PeerId, group_id: bytes, partial: PartialMessage) -> bool:
        assert group_id == GROUP
        self.sent.append((peer, partial))
        return True

    def receive(
        self, peer: PeerId, message: bytes | None = None, metadata: bytes | None = None
    ) -> None:
        assert self.handler is not None
        self.handler.received(peer, GROUP, message, metadata)

    def drain(self) -> list[tuple[PeerId, PartialMessage]]:
        drained, self.sent = self.sent, []
        return drained


def started() -> tuple[Topic, TopicParts, list[bytes]]:
    topic, completed = Topic(), []
    return topic, TopicParts(topic, completed.append), completed


def message(bitmap: int, contents: dict[int, bytes]) -> bytes:
    return b"".join([bytes([bitmap]), *contents.values(), GROUP])


def test_what_is_added_is_told_when_it_is_published() -> None:
    topic, parts, _ = started()
    parts.add(GROUP, 0b101)
    assert topic.drain() == []
    parts.publish(GROUP)
    assert topic.drain() == [(peer, PartialMessage(metadata=b"\x05")) for peer in (A, B)]


def test_a_peer_that_speaks_of_the_group_is_told_before_it_is_published() -> None:
    topic, parts, _ = started()
    parts.add(GROUP, 0b1)
    topic.receive(A, metadata=b"\x02")
    sent = dict(topic.drain())
    assert sent[A].message == message(1, {0: made_part(GROUP, 0)})


def test_a_group_that_is_not_known_is_published_to_nobody() -> None:
    topic, parts, _ = started()
    parts.publish(GROUP)
    assert topic.drain() == []


def test_chosen_peers_are_told_and_no_others_in_the_mesh_or_not() -> None:
    topic, parts, _ = started()
    parts.add(GROUP, 0xFF)
    parts.publish(GROUP, [B, C])
    assert topic.drain() == [(peer, PartialMessage(metadata=b"\xff")) for peer in (B, C)]
    topic.receive(C, metadata=b"\x00")
    ((peer, answer),) = topic.drain()
    assert peer == C
    assert answer.message == message(0xFF, {i: made_part(GROUP, i) for i in range(8)})


def test_the_last_part_completes_a_group_once_and_so_do_all_of_them_at_once() -> None:
    topic, parts, completed = started()
    parts.add(GROUP, 0x7F)
    last = message(0x80, {7: made_part(GROUP, 7)})
    topic.receive(A, last)
    topic.receive(B, last)
    assert completed == [GROUP]
    _, parts, completed = started()
    parts.add(GROUP, 0xFF)
    assert completed == [GROUP]


def test_parts_count_whatever_is_in_them() -> None:
    """The public node of go fills all of a part but its last word with zeros."""
    topic, parts, completed = started()
    parts.add(GROUP, 0x7F)
    topic.receive(A, message(0x80, {7: bytes(1016) + made_part(GROUP, 7)[-8:]}))
    assert completed == [GROUP]
