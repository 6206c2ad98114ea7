"""What a yamux session tells its owner."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class StreamOpened:
    """The peer opened a stream; it is acknowledged already."""

    stream_id: int


@dataclass(slots=True)
class StreamData:
    """Bytes of a stream, in order. One data frame may come as several pieces.

    Call `consumed()` once the application has taken them: only that gives the peer new credit.
    """

    stream_id: int
    data: bytes


@dataclass(slots=True)
class StreamEnded:
    """The peer closed its writing side (FIN); ours stays as it is."""

    stream_id: int


@dataclass(slots=True)
class StreamReset:
    """The peer reset the stream, both directions are over. `error_code` 0 if it gave none."""

    stream_id: int
    error_code: int = 0


@dataclass(slots=True)
class StreamWritable:
    """The peer gave credit to a stream that had none left."""

    stream_id: int


@dataclass(slots=True)
class PingAnswered:
    """The answer to `ping(value)`."""

    value: int


@dataclass(slots=True)
class GoneAway:
    """The peer ends the session: 0 normal, 1 protocol error, 2 internal error, others its own.

    No stream can be opened any more. go and rust end the connection at once after sending this.
    """

    code: int


YamuxEvent = (
    StreamOpened | StreamData | StreamEnded | StreamReset | StreamWritable | PingAnswered | GoneAway
)
