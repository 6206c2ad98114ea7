"""The yamux frame header and the limits of a session (yamux specification, "Framing").

A header is 12 bytes, big-endian: version 8, type 8, flags 16, stream id 32, length 32. Only a
data frame has a body, of `length` bytes; for the others `length` is a value: credit, ping value,
GoAway code, or (go's extension, with RST in a window update) an error code.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError

HEADER: Final = struct.Struct(">BBHII")
HEADER_BYTES: Final = HEADER.size

DATA: Final = 0
WINDOW_UPDATE: Final = 1
PING: Final = 2
GO_AWAY: Final = 3

SYN: Final = 1
ACK: Final = 2
FIN: Final = 4
RST: Final = 8

GO_AWAY_NORMAL: Final = 0
GO_AWAY_PROTOCOL_ERROR: Final = 1
GO_AWAY_INTERNAL_ERROR: Final = 2

INITIAL_WINDOW_BYTES: Final = 256 * 1024
"""The credit either side has on a new stream, whatever the other is configured for."""
MAX_UINT32: Final = 2**32 - 1


def encode_header(kind: int, flags: int, stream_id: int, length: int) -> bytes:
    """The 12 bytes of a header. LocalProtocolError for a value that does not fit its field."""
    try:
        return HEADER.pack(0, kind, flags, stream_id, length)
    except struct.error as error:
        raise LocalProtocolError(
            f"a yamux header cannot hold type={kind} flags={flags} stream={stream_id}"
            f" length={length}"
        ) from error


def decode_header(buffer: bytes, offset: int = 0) -> tuple[int, int, int, int]:
    """`(type, flags, stream id, length)` of the header at `offset`; 12 bytes must be there.

    Unknown flags are passed through. RemoteProtocolError for a version other than 0 or an
    unknown type: nothing after such a header can be understood.
    """
    version, kind, flags, stream_id, length = HEADER.unpack_from(buffer, offset)
    if version != 0:
        raise RemoteProtocolError(f"yamux version {version}, only 0 is known")
    if kind > GO_AWAY:
        raise RemoteProtocolError(f"unknown yamux frame type {kind}")
    return kind, flags, stream_id, length


@dataclass(frozen=True, slots=True, kw_only=True)
class YamuxLimits:
    """What one session may hold; every table and queue in it has its bound here."""

    receive_window_bytes: int = INITIAL_WINDOW_BYTES
    """Unconsumed bytes a peer may have outstanding per stream; what exceeds 256 KiB is announced
    to the peer when the stream opens."""
    max_frame_bytes: int = 64 * 1024 - HEADER_BYTES
    """Body of the data frames we send (go refuses none below this)."""
    max_inbound_streams: int = 256
    """Open streams the peer may have; further ones are reset."""
    max_outbound_streams: int = 256
    """Open streams of our own. rust ends the connection at the 513th stream of both sides."""
    max_unacknowledged_streams: int = 256
    """Own streams the peer has not acknowledged yet (specification, "Ack backlog")."""
    max_stream_id: int = MAX_UINT32
    """The last id we open before the session is used up."""
    max_queued_pongs: int = 32
    """Pings above this many between two `data_to_send()` go unanswered, as in go."""
    max_pings_in_flight: int = 16
    """Own pings waiting for their answer."""
    max_queued_answer_bytes: int = 8192 * HEADER_BYTES
    """Control frames queued for a peer that makes us answer and does not read; above, the session
    ends. More than one chunk of 64 KiB can cause."""

    def __post_init__(self) -> None:
        if not INITIAL_WINDOW_BYTES <= self.receive_window_bytes <= MAX_UINT32:
            raise ValueError(
                f"need {INITIAL_WINDOW_BYTES} (what a peer sends unasked) <= receive_window_bytes"
                f" < 2**32: {self.receive_window_bytes}"
            )
        if not 1 <= self.max_frame_bytes <= MAX_UINT32:
            raise ValueError(f"need 1 <= max_frame_bytes < 2**32: {self.max_frame_bytes}")
        if not 1 <= self.max_stream_id <= MAX_UINT32:
            raise ValueError(f"need 1 <= max_stream_id < 2**32: {self.max_stream_id}")
