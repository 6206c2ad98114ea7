"""Whatever frames arrive, a yamux session stays within its bounds."""

from __future__ import annotations

import struct
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError
from gossipsub.wire.yamux import (
    StreamData,
    StreamEnded,
    StreamOpened,
    StreamReset,
    YamuxLimits,
    YamuxSession,
)

WINDOW_BYTES = 262144
DATA = 0
LIMITS = YamuxLimits(
    max_inbound_streams=3,
    max_outbound_streams=2,
    max_queued_pongs=4,
    max_queued_answer_bytes=240,
)

flags = st.one_of(st.sampled_from([0, 1, 2, 4, 8]), st.integers(0, 15), st.integers(0, 2**16 - 1))
lengths = st.one_of(st.integers(0, 20), st.sampled_from([70_000, WINDOW_BYTES, 2**31, 2**32 - 1]))
stream_ids = st.one_of(st.integers(0, 9), st.integers(0, 2**32 - 1))
versions = st.sampled_from([0] * 60 + [1])
kinds = st.sampled_from([0, 1, 2, 3] * 15 + [4])


class HostileMachine(RuleBasedStateMachine):
    """A peer that sends valid headers with arbitrary fields, and an owner that carries on."""

    def __init__(self) -> None:
        super().__init__()
        self.session = YamuxSession(client=False, limits=LIMITS)
        self.open: dict[int, int] = {}  # streams by id: bytes received and not consumed
        self.ended: dict[int, None] = {}
        self.unsent_bytes = 0  # what the owner itself queued since the last drain
        self.dead = False

    def handle(self) -> None:
        while True:
            try:
                event = self.session.next_event()
            except RemoteProtocolError:
                self.dead = True
                return
            if event is None:
                return
            if isinstance(event, StreamOpened):
                assert event.stream_id % 2 == 1
                self.open[event.stream_id] = 0
                self.ended.pop(event.stream_id, None)
            elif isinstance(event, StreamData) and event.stream_id in self.open:
                assert event.stream_id not in self.ended
                self.open[event.stream_id] += len(event.data)
                assert self.open[event.stream_id] <= WINDOW_BYTES
            elif isinstance(event, StreamEnded):
                self.ended[event.stream_id] = None
            elif isinstance(event, StreamReset):
                self.open.pop(event.stream_id, None)

    @rule(
        version=versions,
        kind=kinds,
        flags=flags,
        stream_id=stream_ids,
        length=lengths,
        cut=st.integers(1, 40),
    )
    def receive(
        self, version: int, kind: int, flags: int, stream_id: int, length: int, cut: int
    ) -> None:
        octets = struct.pack(">BBHII", version, kind, flags, stream_id, length)
        if kind == DATA and length <= WINDOW_BYTES:
            octets += bytes(length)
        self.session.receive_data(octets[:cut])
        if cut % 2:
            self.handle()
        self.session.receive_data(octets[cut:])
        self.handle()

    def receive_frames(self, *frames: tuple[int, int, int, int]) -> None:
        for fields in frames:
            self.session.receive_data(struct.pack(">BBHII", 0, *fields))
            self.handle()

    @rule(first=st.integers(0, 20), count=st.integers(1, 8), kind=st.integers(0, 1))
    def receive_opens(self, first: int, count: int, kind: int) -> None:
        ids = [2 * n + 1 for n in range(first, first + count)]
        self.receive_frames(*((kind, 1, i, 0) for i in ids if i not in self.open))

    @rule(number=st.integers(0, 9), size=st.sampled_from([1, 1000, 131072, 131073, WINDOW_BYTES]))
    def receive_data(self, number: int, size: int) -> None:
        if self.open:
            stream_id = list(self.open)[number % len(self.open)]
            self.receive_frames((DATA, 0, stream_id, size))
            if not self.dead:
                self.session.receive_data(bytes(size))
                self.handle()

    @rule(count=st.integers(1, 10), value=st.integers(0, 2**32 - 1))
    def receive_pings(self, count: int, value: int) -> None:
        self.receive_frames(*[(2, 1, 0, value)] * count)

    @rule(code=st.integers(0, 2**32 - 1), number=st.integers(0, 9), kind=st.integers(0, 1))
    def receive_reset(self, code: int, number: int, kind: int) -> None:
        if self.open:
            stream_id = list(self.open)[number % len(self.open)]
            self.receive_frames((kind, 8, stream_id, code if kind else 0))

    @rule()
    def open_stream(self) -> None:
        if self.session.can_open_stream():
            self.open[self.session.open_stream()] = 0
            self.unsent_bytes += 12

    @rule(stream_id=stream_ids, size=st.integers(0, 100))
    def send(self, stream_id: int, size: int) -> None:
        if size <= self.session.send_window(stream_id):
            try:
                self.session.send_data(stream_id, bytes(size))
            except LocalProtocolError:
                assert size == 0
            self.unsent_bytes += 12 + size

    @rule(stream_id=stream_ids, whole=st.booleans())
    def end(self, stream_id: int, whole: bool) -> None:
        if whole:
            self.session.reset(stream_id, 1)
            self.open.pop(stream_id, None)
        else:
            self.session.close_write(stream_id)
        self.unsent_bytes += 12

    @rule(stream_id=stream_ids)
    def consume(self, stream_id: int) -> None:
        self.session.consumed(stream_id, self.open.get(stream_id, 0))
        if stream_id in self.open:
            self.open[stream_id] = 0
        self.unsent_bytes += 12

    @rule()
    def drain(self) -> None:
        sent = self.session.data_to_send()
        assert len(sent) <= 240 + 12 + self.unsent_bytes
        pongs, offset = 0, 0
        while offset < len(sent):
            _, kind, flags, _, length = struct.unpack_from(">BBHII", sent, offset)
            pongs += (kind, flags) == (2, 2)
            offset += 12 + (length if kind == DATA else 0)
        assert pongs <= 4
        assert offset == len(sent)
        self.unsent_bytes = 0

    @invariant()
    def table_is_bounded(self) -> None:
        assert self.session.stream_count() <= (0 if self.dead else 5)

    def teardown(self) -> None:
        self.drain()
        with suppress(RemoteProtocolError):
            self.session.receive_eof()
        assert self.session.stream_count() == 0


TestHostileMachine = HostileMachine.TestCase
TestHostileMachine.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)


@given(st.lists(st.binary(max_size=60), max_size=20))
@settings(max_examples=200, deadline=None)
def test_arbitrary_bytes_cause_nothing_but_a_remote_protocol_error(chunks: list[bytes]) -> None:
    session = YamuxSession(client=True)
    for chunk in chunks:
        session.receive_data(chunk)
        try:
            while session.next_event() is not None:
                pass
        except RemoteProtocolError:
            return
