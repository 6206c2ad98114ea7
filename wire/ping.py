"""Ping (`/ipfs/ping/1.0.0`, libp2p ping specification): 32 bytes there, the same 32 bytes back.

One stream carries any number of rounds. Time-outs and the payload's randomness are the caller's:
at most one outbound ping stream per peer, and the pinger closes its side first.
"""

from __future__ import annotations

from dataclasses import dataclass

from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError

PROTOCOL = "/ipfs/ping/1.0.0"
PAYLOAD_BYTES = 32


@dataclass(slots=True)
class PingEchoed:
    """The payload of the round under way came back unchanged."""


class PingResponder:
    """Echoes whole 32-byte blocks, however the stream cuts them.

    It holds what was received and not yet drained plus at most 31 bytes of an unfinished block:
    return stream credit only for what was written back, and a peer that never reads cannot grow it.
    """

    def __init__(self) -> None:
        self._blocks = bytearray()
        self._ended = False

    @property
    def ended(self) -> bool:
        """The pinger closed its side: write what `data_to_send` still has, then close ours."""
        return self._ended

    def receive_data(self, data: bytes) -> None:
        """Take bytes of the stream. Any bytes are a valid ping; nothing is raised."""
        if not self._ended:
            self._blocks += data

    def receive_eof(self) -> None:
        """The pinger closed its side; an unfinished block is never answered."""
        self._ended = True

    def data_to_send(self) -> bytes:
        """The answer to every whole block; drains."""
        whole = len(self._blocks) - len(self._blocks) % PAYLOAD_BYTES
        answer = bytes(self._blocks[:whole])
        del self._blocks[:whole]
        return answer


class Pinger:
    """Sends one payload at a time and compares its echo."""

    def __init__(self) -> None:
        self._payload = b""
        self._outgoing = b""
        self._echo = bytearray()
        self._completed = 0
        self._failure: RemoteProtocolError | None = None

    def start(self, payload: bytes) -> None:
        """Begin a round with 32 bytes nobody could foretell.

        LocalProtocolError for another length, while a round is under way, or after a failure.
        """
        if len(payload) != PAYLOAD_BYTES:
            raise LocalProtocolError(f"a ping has 32 bytes, not {len(payload)}")
        if self._failure is not None:
            raise LocalProtocolError("this ping stream failed")
        if self._payload:
            raise LocalProtocolError("the echo of the last ping is still awaited")
        self._payload = self._outgoing = bytes(payload)

    def receive_data(self, data: bytes) -> None:
        """Take bytes of the stream, cut anywhere. Never raises for them: `next_event` does."""
        if self._failure is not None:
            return
        missing = len(self._payload) - len(self._echo)
        self._echo += data[:missing]
        if not self._payload.startswith(self._echo):
            self._fail("ping: the echo differs from what was sent")
            return
        if self._payload and len(self._echo) == PAYLOAD_BYTES:
            self._completed += 1
            self._payload = b""
            self._echo.clear()
        if len(data) > missing:
            self._fail("ping: bytes nobody asked for")

    def receive_eof(self) -> None:
        """The responder closed its side: harmless between rounds.

        During one RemoteProtocolError, fatal to the stream; `next_event` raises it too.
        """
        if self._payload and self._failure is None:
            self._fail("ping: closed before the echo")
        if self._failure is not None:
            raise self._failure

    def next_event(self) -> PingEchoed | None:
        """The end of a round, once; None while there is nothing new.

        Raises RemoteProtocolError (fatal to the stream), every time, once the echo differed, or
        bytes came that no round asked for.
        """
        if self._completed:
            self._completed -= 1
            return PingEchoed()
        if self._failure is not None:
            raise self._failure
        return None

    def data_to_send(self) -> bytes:
        """The payload just started; drains."""
        data, self._outgoing = self._outgoing, b""
        return data

    def _fail(self, reason: str) -> None:
        self._failure = RemoteProtocolError(reason, fatal_to="stream")
