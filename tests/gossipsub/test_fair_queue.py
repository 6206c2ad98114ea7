"""Who gets a place in the queue before validation, and whose turn comes when."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.pubsub.validation.fair_queue import FairQueue
from gossipsub.router.effects import Validate
from gossipsub.wire.rpc import Message

MUCH = 1 << 30


class Line:
    """Hands messages with rising tickets to a queue."""

    def __init__(self, bound: int) -> None:
        self.queue = FairQueue(bound)
        self.displaced: list[Validate] = []
        self._ticket = 0

    def put(self, peer: bytes, topic: str = "t", *, times: int = 1, size: int = 0) -> None:
        for _ in range(times):
            self._ticket += 1
            effect = Validate(self._ticket, peer, Message(topic, bytes(size)), b"%d" % self._ticket)
            displaced = self.queue.put(effect)
            if displaced is not None:
                self.displaced.append(displaced)

    def take(self, most: int = 1, most_bytes: int = MUCH) -> list[tuple[str, bytes]]:
        taken = self.queue.take(most, most_bytes)
        return [(effect.message.topic, effect.peer) for effect in taken]

    def lost(self) -> list[tuple[str, bytes, int]]:
        return [(each.message.topic, each.peer, each.ticket) for each in self.displaced]


def test_what_fits_into_one_batch_keeps_the_order_of_arrival():
    line = Line(8)
    line.put(b"a", times=3)
    line.put(b"b")
    line.put(b"a", "u")
    assert [effect.ticket for effect in line.queue.take(8, MUCH)] == [1, 2, 3, 4, 5]
    assert (len(line.queue), line.queue.waiting(), line.queue.take(8, MUCH)) == (0, {}, [])


def test_topics_take_turns_and_in_a_topic_the_peers():
    line = Line(100)
    line.put(b"a", "t", times=10)
    line.put(b"b", "t", times=2)
    line.put(b"c", "u", times=4)
    assert [line.take()[0] for _ in range(8)] == [
        ("t", b"a"), ("u", b"c"), ("t", b"b"), ("u", b"c"),
        ("t", b"a"), ("u", b"c"), ("t", b"b"), ("u", b"c"),
    ]  # fmt: skip
    assert line.queue.waiting() == {"t": 8}


def test_a_batch_ends_when_it_has_its_bytes():
    line = Line(100)
    line.put(b"a", times=5, size=100)
    assert [len(line.take(32, 250)), len(line.take(32, 100)), len(line.take(32, 1))] == [3, 1, 1]


def test_the_longest_line_gives_up_its_newest_to_who_has_much_less():
    line = Line(6)
    line.put(b"flood", times=6)
    line.put(b"calm", times=3)
    assert line.lost() == [("t", b"flood", 6), ("t", b"flood", 5), ("t", b"flood", 4)]
    line.put(b"calm")
    line.put(b"flood")
    assert line.lost()[3:] == [("t", b"calm", 10), ("t", b"flood", 11)]
    assert Counter(peer for _, peer in line.take(6)) == {b"flood": 3, b"calm": 3}


def test_with_one_message_less_than_another_nobody_displaces_it():
    line = Line(3)
    line.put(b"a", times=2)
    line.put(b"b", times=2)
    assert line.lost() == [("t", b"b", 4)]


def test_the_longest_topic_gives_way_even_where_each_of_its_peers_has_one_message():
    line = Line(4)
    for number in range(4):
        line.put(b"sybil%d" % number, "flooded")
    line.put(b"sybil4", "flooded")
    line.put(b"calm", "calm", times=2)
    line.put(b"calm", "calm")
    assert line.lost() == [
        ("flooded", b"sybil4", 5),
        ("flooded", b"sybil3", 4),
        ("flooded", b"sybil2", 3),
        ("calm", b"calm", 8),
    ]
    assert line.take(4) == [
        ("flooded", b"sybil0"), ("flooded", b"sybil1"), ("calm", b"calm"), ("calm", b"calm"),
    ]  # fmt: skip


def test_where_every_topic_has_one_message_a_new_one_finds_no_place():
    line = Line(2)
    line.put(b"a", "t")
    line.put(b"b", "u")
    line.put(b"c", "v")
    assert line.lost() == [("v", b"c", 3)]


def test_a_queue_of_one_place_has_one():
    line = Line(1)
    line.put(b"a", "t")
    line.put(b"b", "u")
    assert line.lost() == [("u", b"b", 2)]
    assert line.take() == [("t", b"a")]
    line.put(b"b", "u")
    assert line.take() == [("u", b"b")]


def served(flooders: list[tuple[bytes, str]], honest: list[tuple[bytes, str]]) -> Counter[bytes]:
    """Each flooder offers 32 messages while 32 are checked, each honest peer offers one."""
    line, counts = Line(256), Counter[bytes]()
    for _ in range(200):
        for peer, topic in flooders:
            line.put(peer, topic, times=32)
        for peer, topic in honest:
            line.put(peer, topic)
        counts.update(peer for _, peer in line.take(32))
    return counts


def test_ten_flooders_of_a_topic_take_nothing_from_a_calm_peer_in_it():
    flooders = [(b"flood%d" % number, "t") for number in range(10)]
    counts = served(flooders, [(b"calm", "t")])
    assert counts[b"calm"] > 195  # of 200; the last few still wait
    assert {counts[peer] for peer, _ in flooders} <= set(range(600, 640))


def test_however_many_identities_flood_one_topic_another_has_its_half():
    """They come and go, too: each round brings new ones."""
    line, counts = Line(256), Counter[str]()
    for turn in range(100):
        for number in range(40):
            line.put(b"sybil%d-%d" % (turn, number), "flooded", times=8)
        line.put(b"calm", "calm", times=12)
        counts.update(topic for topic, _ in line.take(32))
    assert counts["calm"] > 1190  # of 1200
    assert not any(topic == "calm" for topic, _, _ in line.lost())


def test_a_peer_that_floods_every_topic_takes_no_more_than_one_that_floods_one():
    topics = [f"t{number}" for number in range(4)]
    counts = served([(b"flood", topic) for topic in topics], [(b"calm", "t0")])
    assert counts[b"calm"] > 195


def test_a_share_is_used_up_at_the_places_left_of_three_quarters():
    line = Line(16)
    used, free = [], []
    for _ in range(8):
        line.put(b"a")
        used.append(line.queue.is_share_used(b"a"))
        free.append(line.queue.is_share_free(b"a"))
    assert used == [False] * 5 + [True] * 3
    assert free == [True] * 4 + [False] * 4
    line.put(b"b", times=2)
    assert (line.queue.is_share_used(b"b"), line.queue.is_share_used(b"c")) == (True, False)
    line.take(4)
    assert (line.queue.is_share_used(b"b"), line.queue.is_share_free(b"b")) == (False, True)
    line.put(b"c", times=20)
    assert not line.queue.is_share_used(b"d")  # who has nothing here never waits
    assert line.queue.is_share_free(b"d")


@pytest.mark.parametrize("flooders", [1, 6, 50, 192])
@pytest.mark.parametrize("rpc", [1, 20])
def test_streams_that_wait_leave_a_topic_its_half_whoever_floods_another(flooders, rpc):
    """As streams do: each sends on until it must wait, then not before its share is free."""
    line, counts = Line(256), Counter[str]()
    streams = [(b"sybil%d" % number, "flooded", rpc) for number in range(flooders)]
    streams.append((b"calm", "calm", 1))
    waiting: dict[bytes, None] = {}
    for _ in range(60):
        for peer, topic, times in streams:
            if peer in waiting and line.queue.is_share_free(peer):
                del waiting[peer]
            for _ in range(20):  # what a socket gives at once
                if peer in waiting or line.queue.is_share_used(peer):
                    waiting[peer] = None
                    break
                line.put(peer, topic, times=times)
        counts.update(topic for topic, _ in line.take(32))
    assert counts["calm"] > 0.48 * sum(counts.values())
    assert not any(topic == "calm" for topic, _, _ in line.lost())


PEERS = st.sampled_from([b"a", b"b", b"c"])
TOPICS = st.sampled_from(["t", "u", "v"])
STEPS = st.lists(st.one_of(st.tuples(PEERS, TOPICS, st.integers(1, 9)), st.integers(1, 9)))


@given(bound=st.integers(1, 12), steps=STEPS)
def test_each_message_leaves_once_and_each_line_in_its_order(bound, steps):
    line = Line(bound)
    taken: list[Validate] = []
    put: Counter[tuple[bytes, str]] = Counter()
    put_bytes = 0
    for step in steps:
        if isinstance(step, int):
            taken += line.queue.take(step, MUCH)
        else:
            peer, topic, times = step
            line.put(peer, topic, times=times, size=times)
            put[peer, topic] += times
            put_bytes += times * times
        assert len(line.queue) == sum(line.queue.waiting().values()) <= bound
        assert set(line.queue.topics()) == set(line.queue.waiting())
        left = sum(len(each.message.data or b"") for each in [*taken, *line.displaced])
        assert line.queue.data_bytes == put_bytes - left
    while rest := line.queue.take(3, MUCH):
        taken += rest
    out = [*taken, *line.displaced]
    assert Counter((each.peer, each.message.topic) for each in out) == put
    assert len({each.ticket for each in out}) == len(out)
    for peer, topic in put:
        tickets = [e.ticket for e in taken if (e.peer, e.message.topic) == (peer, topic)]
        assert tickets == sorted(tickets)
    assert not any(line.queue.is_share_used(peer) for peer in (b"a", b"b", b"c"))
