"""The two one-way pubsub streams of a peer: RPCs come in on one, go out on the other."""

from __future__ import annotations

import math
from time import perf_counter
from typing import TYPE_CHECKING

from gossipsub.transport.stream import Stream, StreamHandler
from gossipsub.wire.errors import RemoteProtocolError
from gossipsub.wire.framing import FrameReader
from gossipsub.wire.rpc_codec import decode_rpc

if TYPE_CHECKING:
    from gossipsub.crypto.peer_id import PeerId
    from gossipsub.pubsub.peer import PubsubPeer
    from gossipsub.transport.connection import Connection


TURN_BYTES = 65536
"""What of a stream that waited is worked off before everybody else has a turn; as much as a
connection reads at once."""
LARGE_RPC_BYTES = 16384
"""Working off an RPC takes up to 20 µs for each KiB; what takes less than a third of a millisecond
is not worth a look at the clock."""


class PubsubInbound(StreamHandler):
    """Reads a peer's RPCs. While it is `held`, bytes wait here, bounded by the stream's window:
    that is how a peer is slowed down without the socket ever going unread."""

    returns_credit_itself = True

    def __init__(self, stream: Stream, peer: PubsubPeer) -> None:
        self._stream = stream
        self._peer = peer
        self._frames = FrameReader(peer.pubsub.config.max_rpc_bytes)
        self._uncredited = 0
        self._is_ended = False
        self.held = False

    def received(self, data: bytes) -> None:
        self._frames.receive_data(data)
        self._uncredited += len(data)
        if not self.held:
            self.process()

    @property
    def peer(self) -> PeerId:
        return self._peer.peer

    @property
    def connection(self) -> Connection:
        return self._stream.connection

    def process(self, left: float = math.inf) -> None:
        """Work off what arrived, until the peer has to wait or so many bytes are done."""
        peer = self._peer
        limits, held = peer.pubsub.rpc_limits, peer.pubsub.held
        while True:
            if peer.must_wait():
                self.held = True
                return
            if left <= 0 or held.is_turn_used:
                self.held = True
                held.postpone(self)
                return
            frame = self._frames.next_frame()
            if frame is None:
                break
            left -= len(frame) + 1
            if len(frame) >= LARGE_RPC_BYTES:
                started = perf_counter()
                peer.receive_rpc(decode_rpc(frame, limits), len(frame))
                held.worked(perf_counter() - started)
            elif frame:
                peer.receive_rpc(decode_rpc(frame, limits), len(frame))
        self.held = False
        self._stream.consumed(self._uncredited)
        self._uncredited = 0
        if self._is_ended:  # while bytes waited here; they count all the same
            self._stream.close_write()

    def resume(self) -> None:
        """The reason to wait may be gone; called outside the stream's own reading."""
        self._stream.connection.resume_stream(self._stream, lambda _: self.process(TURN_BYTES))

    def reset(self) -> None:
        """A newer stream of the peer takes over, or the peer is given up."""
        self._stream.reset()

    def ended(self) -> None:
        self._is_ended = True
        if not self.held:
            self._stream.close_write()

    def closed(self) -> None:
        self._peer.inbound_closed(self)


class PubsubOutbound(StreamHandler):
    """Writes our RPCs to a peer. Nothing is ever read here: the peer has nothing to say."""

    ends_with_receipt = True

    def __init__(self, stream: Stream, peer: PubsubPeer) -> None:
        self.stream = stream
        self._peer = peer

    def received(self, data: bytes) -> None:
        raise RemoteProtocolError("data on a stream that is ours to write", fatal_to="stream")

    def ended(self) -> None:
        if not self.stream.write_closed:
            raise RemoteProtocolError("the peer closed our pubsub stream", fatal_to="stream")

    def closed(self) -> None:
        self._peer.outbound_closed(self)

    def produce(self, room: int) -> bytes:
        frames = self._peer.queue.take_frames(room)
        self._peer.pubsub.publisher.room_came()
        return frames

    def wake(self) -> None:
        self.stream.connection.wake_writer(self.stream)
