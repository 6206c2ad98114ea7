from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.pubsub.outbound_queue import OutboundQueue
from gossipsub.router.effects import Lane
from gossipsub.wire.framing import FrameReader
from gossipsub.wire.rpc import Message, Rpc, SubOpts

PLENTY = 1 << 20


def rpc(name: str) -> Rpc:
    return Rpc(subscriptions=(SubOpts(name),))


def frames(data: bytes) -> list[bytes]:
    reader = FrameReader(PLENTY)
    reader.receive_data(data)
    found = []
    while (frame := reader.next_frame()) is not None:
        found.append(frame)
    reader.receive_eof()
    return found


def queue(*, max_rpcs: int = 100, max_bytes: int = PLENTY) -> OutboundQueue:
    return OutboundQueue(max_rpcs=max_rpcs, max_bytes=max_bytes)


def sizes(waiting: OutboundQueue) -> tuple[int, int, int]:
    return waiting.rpcs, waiting.bytes, waiting.dropped


def test_an_empty_queue_gives_nothing():
    waiting = queue()
    assert (bool(waiting), waiting.take_frames(PLENTY), sizes(waiting)) == (False, b"", (0, 0, 0))


@pytest.mark.rule("QUE-02")
def test_urgent_rpcs_overtake_ordinary_ones_and_count_in_the_same_bound():
    waiting = queue(max_rpcs=3)
    assert waiting.push(rpc("a"), b"a", Lane.FORWARDED) == []
    assert waiting.push(rpc("b"), b"b", Lane.FORWARDED) == []
    assert waiting.push(rpc("c"), b"c", Lane.URGENT) == []
    refused = rpc("d")
    assert waiting.push(refused, b"d", Lane.FORWARDED) == [refused]
    assert frames(waiting.take_frames(PLENTY)) == [b"c", b"a", b"b"]


@pytest.mark.rule("QUE-03")
def test_control_leaves_before_all_the_data_that_waits():
    waiting = queue()
    for number in range(50):
        waiting.push(rpc("own"), b"own%d" % number, Lane.OWN)
        waiting.push(rpc("data"), b"data%d" % number, Lane.FORWARDED)
    waiting.push(rpc("prune"), b"prune", Lane.CONTROL)
    assert frames(waiting.take_frames(1)) == [b"prune"]


@pytest.mark.rule("QUE-03")
def test_control_finds_room_in_a_queue_full_of_data():
    waiting = queue(max_rpcs=3)
    first, second, third = rpc("1"), rpc("2"), rpc("3")
    waiting.push(first, b"1", Lane.OWN)
    waiting.push(second, b"2", Lane.FORWARDED)
    waiting.push(third, b"3", Lane.FORWARDED)
    assert waiting.push(rpc("p"), b"p", Lane.CONTROL) == [third]
    assert waiting.push(rpc("q"), b"q", Lane.CONTROL) == [second]
    assert waiting.push(rpc("r"), b"r", Lane.CONTROL) == [first]
    refused = rpc("s")
    assert waiting.push(refused, b"s", Lane.CONTROL) == [refused]
    assert sizes(waiting) == (3, 3, 4)
    assert frames(waiting.take_frames(PLENTY)) == [b"p", b"q", b"r"]


@pytest.mark.parametrize("lane", Lane)
def test_order_is_kept_within_a_lane(lane):
    waiting = queue()
    for number in range(20):
        waiting.push(rpc("x"), b"%02d" % number, lane)
    taken = frames(waiting.take_frames(30)) + frames(waiting.take_frames(PLENTY))
    assert taken == [b"%02d" % number for number in range(20)]


@pytest.mark.rule("QUE-01")
@pytest.mark.parametrize("bound", [{"max_rpcs": 2}, {"max_bytes": 20}])
def test_a_full_queue_drops_what_comes_and_says_so_without_waiting(bound):
    waiting = queue(**bound)
    assert waiting.push(rpc("a"), bytes(10), Lane.OWN) == []
    assert waiting.push(rpc("b"), bytes(10), Lane.OWN) == []
    refused = rpc("c")
    assert waiting.push(refused, bytes(10), Lane.OWN) == [refused]
    assert sizes(waiting) == (2, 20, 1)
    waiting.take_frames(1)
    assert waiting.push(rpc("d"), bytes(10), Lane.OWN) == []


def test_as_many_small_ones_make_room_as_one_large_one_needs():
    waiting = queue(max_bytes=30)
    small = [rpc(str(number)) for number in range(3)]
    for each in small:
        waiting.push(each, bytes(10), Lane.FORWARDED)
    assert waiting.push(rpc("large"), bytes(15), Lane.OWN) == [small[2], small[1]]
    assert sizes(waiting) == (2, 25, 2)


def test_nothing_is_dropped_for_what_finds_no_room_all_the_same():
    waiting = queue(max_bytes=30)
    waiting.push(rpc("own"), bytes(20), Lane.OWN)
    waiting.push(rpc("data"), bytes(10), Lane.FORWARDED)
    too_large = rpc("large")
    assert waiting.push(too_large, bytes(11), Lane.OWN) == [too_large]
    assert waiting.push(too_large, bytes(31), Lane.URGENT) == [too_large]
    assert sizes(waiting) == (2, 30, 2)


def test_frames_fill_the_room_but_one_always_leaves():
    waiting = queue()
    for _ in range(5):
        waiting.push(rpc("x"), bytes(100), Lane.OWN)
    assert len(frames(waiting.take_frames(0))) == 1
    taken = waiting.take_frames(250)
    assert (len(frames(taken)), len(taken) <= 250) == (2, True)
    assert len(frames(waiting.take_frames(PLENTY))) == 2


def test_a_queue_is_behind_when_more_than_half_full():
    waiting = queue(max_rpcs=4, max_bytes=100)
    waiting.push(rpc("a"), bytes(50), Lane.OWN)
    assert not waiting.is_behind()
    waiting.push(rpc("b"), bytes(1), Lane.OWN)
    assert waiting.is_behind()
    waiting.take_frames(1)
    for _ in range(2):
        waiting.push(rpc("c"), b"c", Lane.OWN)
    assert waiting.is_behind()


def test_a_cleared_queue_is_as_new():
    waiting = queue(max_rpcs=2, max_bytes=100)
    for _ in range(2):
        waiting.push(rpc("x"), bytes(50), Lane.OWN)
    waiting.clear()
    assert (bool(waiting), sizes(waiting)) == (False, (0, 0, 0))
    assert waiting.push(rpc("y"), bytes(100), Lane.FORWARDED) == []


LANES = st.sampled_from(list(Lane))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), LANES, st.integers(0, 40)),
        st.tuples(st.just("take"), LANES, st.integers(0, 100)),
    ),
    max_size=60,
)


@given(STEPS)
def test_bounds_hold_and_every_rpc_leaves_once_or_is_named_as_dropped(steps):
    waiting = queue(max_rpcs=6, max_bytes=120)
    pushed, dropped, left = 0, [], []
    for step, lane, number in steps:
        if step == "push":
            body = bytes([pushed % 256, lane]) + bytes(number)
            dropped += waiting.push(rpc(str(pushed)), body, lane)
            pushed += 1
        else:
            left += frames(waiting.take_frames(number))
        assert waiting.rpcs <= 6
        assert waiting.bytes <= 120
    left += frames(waiting.take_frames(PLENTY))
    assert sizes(waiting) == (0, 0, len(dropped))
    numbers = [frame[0] for frame in left] + [int(gone.subscriptions[0].topic) for gone in dropped]
    assert sorted(numbers) == list(range(pushed))
    for lane in Lane:
        of_lane = [frame[0] for frame in left if frame[1] == lane]
        assert of_lane == sorted(of_lane)


@pytest.mark.rule("IDW-06", "IDW-13")
def test_a_message_that_waits_can_be_taken_out_again():
    waiting = queue()
    one, other = Message("t", b"one"), Message("t", b"other")
    for message in (one, other):
        waiting.push(Rpc(publish=(message,)), message.data, Lane.FORWARDED)
    waiting.push(Rpc(publish=(one, other)), b"both", Lane.FORWARDED)
    waiting.push(Rpc(subscriptions=(SubOpts("t"),), publish=(other,)), b"more", Lane.FORWARDED)
    assert waiting.remove(Message("t", b"one")) is False  # an equal one is another message
    assert waiting.remove(one) is True
    assert waiting.remove(one) is False
    assert sizes(waiting) == (3, 13, 0)
    assert frames(waiting.take_frames(PLENTY)) == [b"other", b"both", b"more"]
    assert waiting.remove(other) is False
    assert sizes(waiting) == (0, 0, 0)


def test_what_was_dropped_or_cleared_cannot_be_taken_out():
    waiting = queue(max_rpcs=1)
    message = Message("t", b"data")
    waiting.push(Rpc(publish=(message,)), b"data", Lane.FORWARDED)
    waiting.push(rpc("a"), b"a", Lane.CONTROL)
    assert waiting.remove(message) is False
    waiting.clear()
    waiting.push(Rpc(publish=(message,)), b"data", Lane.FORWARDED)
    waiting.clear()
    assert waiting.remove(message) is False
    assert sizes(waiting) == (0, 0, 1)
