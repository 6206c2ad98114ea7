"""The layers of a connection stacked up: nothing is lost where two of them share a segment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.noise import HandshakeCompleted, NoiseConnection
from gossipsub.wire.framing import FrameReader, encode_frame
from gossipsub.wire.multistream import MultistreamDialer, MultistreamListener
from gossipsub.wire.yamux import YamuxSession
from gossipsub.wire.yamux_events import StreamData, StreamEnded, StreamOpened

MESHSUB = "/meshsub/1.1.0"
YAMUX = "/yamux/1.0.0"
FRAMES = [b"hello", b"", bytes(range(256)) * 4]

DIALER_KEY = PrivateKey.from_seed(bytes(32))
LISTENER_KEY = PrivateKey.from_seed(b"\x01" * 32)


class End:
    """One end of a connection, every layer feeding the next."""

    def __init__(self, security: MultistreamDialer | MultistreamListener, noise: NoiseConnection):
        self.security = security
        self.noise = noise
        self.muxing: MultistreamDialer | MultistreamListener | None = None
        self.is_secured = self.is_muxed = False
        self.remote = b""
        self.frames: list[bytes] = []
        self.ended = False

    def receive(self, data: bytes) -> None:
        self.security.receive_data(data)
        self.is_secured = self.is_secured or self.security.next_event() is not None
        self.noise.receive_data(self.security.surplus())
        while (event := self.noise.next_event()) is not None:
            if not isinstance(event, HandshakeCompleted):
                self.receive_plaintext(event.data)
            elif event.muxer is None:
                self.remote, self.muxing = event.remote_peer, self.negotiate_muxer()
            else:
                self.remote, self.is_muxed = event.remote_peer, True

    def receive_plaintext(self, data: bytes) -> None:
        if self.muxing is not None:
            self.muxing.receive_data(data)
            self.is_muxed = self.is_muxed or self.muxing.next_event() is not None
            data = self.muxing.surplus()
        self.receive_muxed(data)

    def send(self) -> bytes:
        data = self.security.data_to_send()
        if not self.is_secured:
            return data
        plaintext = self.muxing.data_to_send() if self.muxing is not None else b""
        if self.is_muxed:
            plaintext += self.muxed_to_send()
        if plaintext:
            self.noise.send_data(plaintext)
        return data + self.noise.data_to_send()

    def negotiate_muxer(self) -> MultistreamDialer | MultistreamListener:
        raise NotImplementedError

    def receive_muxed(self, data: bytes) -> None:
        raise NotImplementedError

    def muxed_to_send(self) -> bytes:
        raise NotImplementedError


class Dialer(End):
    """Sends all it has as early as it may; a hasty one waits for no answer to a proposal."""

    def __init__(self, *, hasty: bool, muxers: list[str]) -> None:
        noise = NoiseConnection(DIALER_KEY, initiator=True, muxers=muxers)
        if hasty:
            security = MultistreamDialer(["/noise"], early_data=noise.data_to_send())
        else:
            security = MultistreamDialer(["/tls/1.0.0", "/noise"])
        super().__init__(security, noise)
        self.hasty = hasty
        self.yamux = YamuxSession(client=True)
        self.stream = self.yamux.open_stream()
        early_data = b"".join(encode_frame(frame) for frame in FRAMES)
        self.negotiation = MultistreamDialer([MESHSUB], early_data=early_data)
        self.yamux.send_data(self.stream, self.negotiation.data_to_send())
        self.yamux.close_write(self.stream)

    def negotiate_muxer(self) -> MultistreamDialer:
        if self.hasty:
            return MultistreamDialer([YAMUX], early_data=self.yamux.data_to_send())
        return MultistreamDialer(["/mplex/6.7.0", YAMUX])

    def receive_muxed(self, data: bytes) -> None:
        self.yamux.receive_data(data)
        reader = FrameReader(4096)
        while (event := self.yamux.next_event()) is not None:
            if isinstance(event, StreamData):
                self.negotiation.receive_data(event.data)
            elif isinstance(event, StreamEnded):
                self.negotiation.receive_eof()
                self.ended = self.negotiation.next_event() is not None
                reader.receive_data(self.negotiation.surplus())
        while (frame := reader.next_frame()) is not None:
            self.frames.append(frame)

    def muxed_to_send(self) -> bytes:
        return self.yamux.data_to_send()


class Listener(End):
    """Sends back every frame of the one stream it serves."""

    def __init__(self, *, muxers: list[str]) -> None:
        noise = NoiseConnection(LISTENER_KEY, initiator=False, muxers=muxers)
        super().__init__(MultistreamListener(("/noise",).__contains__), noise)
        self.yamux = YamuxSession(client=False)
        self.negotiation = MultistreamListener((MESHSUB,).__contains__)
        self.reader = FrameReader(4096)

    def negotiate_muxer(self) -> MultistreamListener:
        return MultistreamListener((YAMUX,).__contains__)

    def receive_muxed(self, data: bytes) -> None:
        self.yamux.receive_data(data)
        while (event := self.yamux.next_event()) is not None:
            if isinstance(event, StreamOpened):
                self.yamux.send_data(event.stream_id, self.negotiation.data_to_send())
            elif isinstance(event, StreamData):
                self.receive_stream(event.stream_id, event.data)
            elif isinstance(event, StreamEnded):
                self.reader.receive_eof()
                self.ended = True
                self.yamux.close_write(event.stream_id)

    def receive_stream(self, stream_id: int, data: bytes) -> None:
        self.negotiation.receive_data(data)
        self.yamux.send_data(stream_id, self.negotiation.data_to_send())
        self.reader.receive_data(self.negotiation.surplus())
        while (frame := self.reader.next_frame()) is not None:
            self.frames.append(frame)
            self.yamux.send_data(stream_id, encode_frame(frame))

    def muxed_to_send(self) -> bytes:
        return self.yamux.data_to_send()


def converse(dialer: Dialer, listener: Listener, step: int) -> int:
    """Carry bytes in pieces of `step` until both are silent; how many flights that took."""
    flights = 0
    ends: list[tuple[End, End]] = [(dialer, listener), (listener, dialer)]
    silent = 0
    while silent < 2:
        source, target = ends[flights % 2]
        data = source.send()
        for offset in range(0, len(data), step):
            target.receive(data[offset : offset + step])
        silent = 0 if data else silent + 1
        flights += 1
    return flights - 2


def assert_all_arrived(dialer: Dialer, listener: Listener) -> None:
    assert (listener.frames, listener.ended) == (FRAMES, True)
    assert (dialer.frames, dialer.ended) == (FRAMES, True)
    assert dialer.remote == LISTENER_KEY.public_key.peer_id()
    assert listener.remote == DIALER_KEY.public_key.peer_id()


@pytest.mark.rule("T19")
@pytest.mark.parametrize("step", [1, 1 << 20])
def test_a_noise_message_glued_to_the_proposal_reaches_noise(step: int) -> None:
    client = NoiseConnection(DIALER_KEY, initiator=True)
    server = NoiseConnection(LISTENER_KEY, initiator=False)
    dialer = MultistreamDialer(["/noise"], early_data=client.data_to_send())
    listener = MultistreamListener(("/noise",).__contains__)
    segment = dialer.data_to_send()
    for offset in range(0, len(segment), step):
        listener.receive_data(segment[offset : offset + step])
        server.receive_data(listener.surplus())
    # The listener's echo and Noise's second message share a segment too.
    segment = listener.data_to_send() + server.data_to_send()
    for offset in range(0, len(segment), step):
        dialer.receive_data(segment[offset : offset + step])
        client.receive_data(dialer.surplus())
    completed = client.next_event()
    assert isinstance(completed, HandshakeCompleted)
    assert completed.remote_peer == LISTENER_KEY.public_key.peer_id()


@pytest.mark.rule("T19", "MSS-07", "MSS-12")
@pytest.mark.parametrize("step", [1, 1 << 20])
@pytest.mark.parametrize(
    ("hasty", "muxers", "flights"),
    [
        pytest.param(True, [YAMUX], 4, id="hasty, muxer agreed within Noise"),
        pytest.param(True, [], 4, id="hasty, muxer by multistream"),
        pytest.param(False, [YAMUX], 8, id="waiting, muxer agreed within Noise"),
        pytest.param(False, [], 12, id="waiting, muxer by multistream"),
    ],
)
def test_a_whole_connection_works_in_few_segments_and_in_single_bytes(
    hasty: bool, muxers: list[str], flights: int, step: int
) -> None:
    dialer, listener = Dialer(hasty=hasty, muxers=muxers), Listener(muxers=muxers)
    assert converse(dialer, listener, step) == flights
    assert_all_arrived(dialer, listener)


@pytest.mark.rule("T19")
@given(st.booleans(), st.booleans(), st.integers(1, 3000))
def test_no_cut_loses_a_byte(hasty: bool, early_muxer: bool, step: int) -> None:
    muxers = [YAMUX] if early_muxer else []
    dialer, listener = Dialer(hasty=hasty, muxers=muxers), Listener(muxers=muxers)
    converse(dialer, listener, step)
    assert_all_arrived(dialer, listener)
