"""Two yamux sessions joined by a lossless pipe that delivers in arbitrary pieces."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.yamux import (
    GoneAway,
    PingAnswered,
    StreamData,
    StreamEnded,
    StreamOpened,
    StreamReset,
    StreamWritable,
    YamuxLimits,
    YamuxSession,
)

WINDOW_BYTES = 262144
PATTERN = bytes(range(251)) * 4200


def content(stream_id: int, sender: int, start: int, length: int) -> bytes:
    """The bytes `start..start+length` that this side sends on this stream; no two are alike."""
    shift = (stream_id * 7 + sender * 101 + start) % 251
    return PATTERN[shift : shift + length]


def exchange(client: YamuxSession, server: YamuxSession) -> dict[tuple[str, int], bytes]:
    """Move bytes until both are silent; every byte received is consumed and returned."""
    received: dict[tuple[str, int], bytes] = {}
    quiet = False
    while not quiet:
        quiet = True
        for source, target, name in ((client, server, "server"), (server, client, "client")):
            sent = source.data_to_send()
            quiet = quiet and not sent
            target.receive_data(sent)
            while (event := target.next_event()) is not None:
                if isinstance(event, StreamData):
                    key = (name, event.stream_id)
                    received[key] = received.get(key, b"") + event.data
                    target.consumed(event.stream_id, len(event.data))
    return received


@pytest.mark.rule("YMX-08")
def test_ten_streams_carry_10_mib_each_way_at_once() -> None:
    client, server = YamuxSession(client=True), YamuxSession(client=False)
    ids = [client.open_stream() for _ in range(10)]
    exchange(client, server)
    total = 1024 * 1024
    left = {(side, stream_id): total for side in (client, server) for stream_id in ids}
    got = {(name, stream_id): 0 for name in ("client", "server") for stream_id in ids}
    while any(left.values()):
        for (side, stream_id), rest in left.items():
            start = total - rest
            size = min(rest, side.send_window(stream_id))
            side.send_data(stream_id, content(stream_id, side is client, start, size))
            left[side, stream_id] -= size
        for (name, stream_id), data in exchange(client, server).items():
            start = got[name, stream_id]
            assert data == content(stream_id, name == "server", start, len(data))
            got[name, stream_id] += len(data)
    assert set(got.values()) == {total}


def test_a_thousand_streams_echo_while_one_is_blocked() -> None:
    limits = YamuxLimits(max_inbound_streams=1001, max_outbound_streams=1001)
    client = YamuxSession(client=True, limits=limits)
    server = YamuxSession(client=False, limits=limits)
    ids: list[int] = []
    while len(ids) < 1001:
        while len(ids) < 1001 and client.can_open_stream():
            ids.append(client.open_stream())
        exchange(client, server)
    blocked = ids.pop()
    client.send_data(blocked, bytes(WINDOW_BYTES))
    server.receive_data(client.data_to_send())
    while server.next_event() is not None:
        pass  # received, never consumed
    for stream_id in ids:
        client.send_data(stream_id, content(stream_id, 1, 0, 1000))
    for (_, stream_id), data in exchange(client, server).items():
        server.send_data(stream_id, data)
    echoed = exchange(client, server)
    assert echoed == {("client", i): content(i, 1, 0, 1000) for i in ids}
    assert (client.send_window(blocked), client.stream_count()) == (0, 1001)


@dataclass
class Half:
    """One direction of a stream, as the model knows it."""

    sent: int = 0
    received: int = 0
    consumed: int = 0
    end_sent: bool = False
    end_received: bool = False


class PairMachine(RuleBasedStateMachine):
    """Every byte arrives, in order, on its stream; no window is overrun; nothing is left over."""

    def __init__(self) -> None:
        super().__init__()
        limits = YamuxLimits(
            max_inbound_streams=4,
            max_outbound_streams=6,
            max_unacknowledged_streams=5,
            max_frame_bytes=50_000,
            receive_window_bytes=WINDOW_BYTES + 1000,
        )
        self.sessions = [YamuxSession(client=True, limits=limits)]
        self.sessions.append(YamuxSession(client=False, limits=limits))
        self.pipes = [b"", b""]  # what side 0 or 1 sent and the other has not received
        self.halves: dict[tuple[int, int], Half] = {}  # by sender and stream
        self.known: list[dict[int, None]] = [{}, {}]  # streams each side may use
        self.was_reset: dict[int, None] = {}
        self.pings: list[list[int]] = [[], []]
        self.next_ping = 0

    sides = st.integers(0, 1)
    picks = st.integers(0, 11)

    def pick(self, side: int, number: int) -> int | None:
        known = list(self.known[side])
        return known[number % len(known)] if known else None

    def handle(self, side: int) -> None:
        """Check every event of a side against the model."""
        writable: list[int] = []
        while (event := self.sessions[side].next_event()) is not None:
            match event:
                case StreamOpened(stream_id):
                    assert stream_id % 2 == side, "the peer's ids"
                    self.known[side][stream_id] = None
                case StreamData(stream_id, data):
                    half = self.halves[1 - side, stream_id]
                    assert data
                    assert not half.end_received
                    assert data == content(stream_id, 1 - side, half.received, len(data))
                    half.received += len(data)
                    assert half.received - half.consumed <= WINDOW_BYTES + 1000
                case StreamEnded(stream_id):
                    half = self.halves[1 - side, stream_id]
                    assert half.end_sent
                    assert half.received == half.sent
                    half.end_received = True
                    self.forget_if_over(side, stream_id)
                case StreamReset(stream_id):
                    self.was_reset[stream_id] = None
                    del self.known[side][stream_id]
                case StreamWritable(stream_id):
                    writable.append(stream_id)
                case PingAnswered(value):
                    assert self.pings[side].pop(0) == value
                case GoneAway():
                    raise AssertionError("nobody went away")
        for stream_id in writable:  # unless its reset came along
            assert self.sessions[side].send_window(stream_id) > 0 or stream_id in self.was_reset

    def forget_if_over(self, side: int, stream_id: int) -> None:
        if self.halves[side, stream_id].end_sent and self.halves[1 - side, stream_id].end_received:
            del self.known[side][stream_id]

    @rule(side=sides)
    def open(self, side: int) -> None:
        session = self.sessions[side]
        if not session.can_open_stream():
            with pytest.raises(LocalProtocolError):
                session.open_stream()
            return
        stream_id = session.open_stream()
        assert stream_id % 2 == 1 - side
        assert (side, stream_id) not in self.halves
        self.halves[side, stream_id] = Half()
        self.halves[1 - side, stream_id] = Half()
        self.known[side][stream_id] = None

    @rule(side=sides, number=picks, size=st.sampled_from([0, 1, 100, 60_000, 10**6]))
    def send(self, side: int, number: int, size: int) -> None:
        stream_id = self.pick(side, number)
        if stream_id is None or self.halves[side, stream_id].end_sent:
            return
        half, session = self.halves[side, stream_id], self.sessions[side]
        size = min(size, session.send_window(stream_id))
        session.send_data(stream_id, content(stream_id, side, half.sent, size))
        half.sent += size

    @rule(side=sides, number=picks)
    def close_write(self, side: int, number: int) -> None:
        stream_id = self.pick(side, number)
        if stream_id is not None:
            self.sessions[side].close_write(stream_id)
            self.halves[side, stream_id].end_sent = True
            self.forget_if_over(side, stream_id)

    @rule(side=sides, number=picks, code=st.integers(0, 2**32 - 1))
    def reset(self, side: int, number: int, code: int) -> None:
        stream_id = self.pick(side, number)
        if stream_id is not None:
            self.sessions[side].reset(stream_id, code)
            self.was_reset[stream_id] = None
            del self.known[side][stream_id]

    @rule(side=sides, number=picks, part=st.sampled_from([1, 2, 10]))
    def consume(self, side: int, number: int, part: int) -> None:
        stream_id = self.pick(side, number)
        if stream_id is not None:
            half = self.halves[1 - side, stream_id]
            count = (half.received - half.consumed) // part
            self.sessions[side].consumed(stream_id, count)
            half.consumed += count

    @rule(side=sides, number=picks)
    def pump(self, side: int, number: int) -> None:
        """Use up a window and give back what is due of it."""
        self.send(side, number, 10**6)
        self.flush(side)
        self.deliver(side, [100, 65536, 65536, 65536, 65536, 65536])
        for stream in range(len(self.known[1 - side])):
            self.consume(1 - side, stream, 1)

    @rule(side=sides)
    def ping(self, side: int) -> None:
        if len(self.pings[side]) < 16:
            self.next_ping += 1
            self.pings[side].append(self.next_ping)
            self.sessions[side].ping(self.next_ping)

    @rule(side=sides, cuts=st.lists(st.sampled_from([1, 5, 12, 13, 700, 65536]), max_size=8))
    def deliver(self, side: int, cuts: list[int]) -> None:
        for size in cuts:
            piece, self.pipes[side] = self.pipes[side][:size], self.pipes[side][size:]
            self.sessions[1 - side].receive_data(piece)
            self.handle(1 - side)

    @rule(side=sides)
    def flush(self, side: int) -> None:
        self.pipes[side] += self.sessions[side].data_to_send()

    def settle(self) -> None:
        while True:
            for side in (0, 1):
                self.flush(side)
                piece, self.pipes[side] = self.pipes[side], b""
                self.sessions[1 - side].receive_data(piece)
                self.handle(1 - side)
                if side == 1 and not piece and not self.pipes[0]:
                    self.flush(0)
                    if not self.pipes[0]:
                        return

    @invariant()
    def tables_are_bounded(self) -> None:
        for session in self.sessions:
            assert session.stream_count() <= 10

    def teardown(self) -> None:
        self.settle()
        assert self.pings == [[], []]
        for (sender, stream_id), half in self.halves.items():
            if stream_id not in self.was_reset:
                assert half.received == half.sent
                self.sessions[sender].close_write(stream_id)
                half.end_sent = True
                if stream_id in self.known[sender]:
                    self.forget_if_over(sender, stream_id)
        self.settle()
        assert [session.stream_count() for session in self.sessions] == [0, 0]


TestPairMachine = PairMachine.TestCase
TestPairMachine.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)
