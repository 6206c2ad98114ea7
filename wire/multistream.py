"""multistream-select 1.0: agreeing on the protocol of a byte stream (libp2p, connections).

A message is an unsigned varint length, that many bytes of UTF-8, the last of which is a newline.
Each side first sends the header; then the dialler proposes and the listener echoes or says `na`.
The same negotiation runs on a fresh TCP connection, inside Noise, and on every yamux stream.
Whatever goes wrong here is fatal to the stream it runs on and to nothing above it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError
from gossipsub.wire.varint import decode_uvarint, encode_uvarint

HEADER = "/multistream/1.0.0"
NOT_AVAILABLE = "na"
MAX_LINE_BYTES = 1024
"""Longest message accepted or sent, newline included, as in go and js; rust accepts 16 KiB."""
MAX_PROPOSALS = 32
"""Refused proposals a listener answers by default before it gives up; go knows no such cap."""

Handler = TypeVar("Handler")


@dataclass(slots=True)
class Negotiated:
    """Both sides agreed on `protocol`; every later byte belongs to it (see `surplus`)."""

    protocol: str


class _Negotiation:
    """What both sides share: lines in, lines out, and the bytes behind the last line."""

    def __init__(self, opening: bytes) -> None:
        self._received = bytearray()
        self._outgoing = bytearray(opening)
        self._header_seen = False
        self._agreed = False
        self._event: Negotiated | None = None
        self._failure: RemoteProtocolError | None = None

    def receive_data(self, data: bytes) -> None:
        """Take bytes of the stream, cut anywhere. Never raises for them: `next_event` does.

        After the agreement the bytes only wait for `surplus`.
        """
        if self._failure is not None:
            return
        self._received += data
        try:
            while not self._agreed:
                line = self._next_line()
                if line is None:
                    break
                if self._header_seen:
                    self._handle_line(line)
                elif line == HEADER:
                    self._header_seen = True
                else:
                    raise RemoteProtocolError(f"{line[:64]!r} instead of the header")
        except RemoteProtocolError as error:
            self._fail(str(error))

    def receive_eof(self) -> None:
        """The peer closed its writing side: harmless once agreed.

        Before that RemoteProtocolError, fatal to the stream; `next_event` raises it too.
        """
        if not self._agreed:
            if self._failure is None:
                self._fail("closed before a protocol was agreed on")
            self._raise_failure()

    def next_event(self) -> Negotiated | None:
        """The agreement, once; None while there is nothing new.

        Raises RemoteProtocolError (fatal to the stream), every time, when the negotiation failed.
        """
        self._raise_failure()
        event, self._event = self._event, None
        return event

    def data_to_send(self) -> bytes:
        """Everything to write now; drains. Not empty at once: nobody waits for a header here."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    def surplus(self) -> bytes:
        """Bytes received behind the agreement; drains. Empty before it.

        A peer need not wait for our answer, so the first bytes of the next layer can come in
        the same segment; hand them on before reading more.
        """
        if not self._agreed:
            return b""
        data = bytes(self._received)
        self._received.clear()
        return data

    def _handle_line(self, line: str) -> None:
        raise NotImplementedError

    def _agree(self, protocol: str) -> None:
        self._agreed = True
        self._event = Negotiated(protocol)

    def _next_line(self) -> str | None:
        received = self._received
        prefix = decode_uvarint(received)
        if prefix is None:
            return None
        length, start = prefix
        if length > MAX_LINE_BYTES:
            raise RemoteProtocolError(f"line of {length} bytes, at most 1024 allowed")
        if length == 0:
            raise RemoteProtocolError("message without a line")
        end = start + length
        if len(received) < end:
            return None
        line = bytes(received[start:end])
        del received[:end]
        if line[-1] != 0x0A:
            raise RemoteProtocolError("line does not end in a newline")
        try:
            return line[:-1].decode()
        except UnicodeDecodeError as error:
            raise RemoteProtocolError("line is not UTF-8") from error

    def _fail(self, reason: str) -> None:
        self._failure = RemoteProtocolError(f"multistream: {reason}", fatal_to="stream")
        self._received.clear()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


class MultistreamDialer(_Negotiation):
    """The side that proposes: `protocols` in their order until one is echoed.

    The header and the first proposal leave together, without waiting for the listener's header.
    With a single protocol the caller may also be lazy: `early_data` leaves in the same write,
    and more may follow before the answer is here. `Negotiated` still comes with the answer only.
    Be lazy only with a protocol the peer is known to speak: behind a refusal the data would be
    read as proposals, so a lazy `na` always ends the stream.

    Raises LocalProtocolError for no protocols, a name that cannot be sent, or `early_data`
    together with several protocols. `next_event` raises RemoteProtocolError after the last `na`
    and for any answer that is neither an echo nor `na`.
    """

    def __init__(self, protocols: Sequence[str], *, early_data: bytes = b"") -> None:
        if not protocols:
            raise LocalProtocolError("multistream: no protocol to propose")
        if early_data and len(protocols) > 1:
            raise LocalProtocolError("multistream: early data needs exactly one protocol")
        self._proposals = [_encode_proposal(protocol) for protocol in protocols]
        self._protocols = tuple(protocols)
        self._current = 0
        self.is_refused = False
        """Whether the listener speaks none of them, and said so."""
        super().__init__(_HEADER_LINE + self._proposals[0] + early_data)

    def _handle_line(self, line: str) -> None:
        proposed = self._protocols[self._current]
        if line == proposed:
            self._agree(proposed)
        elif line != NOT_AVAILABLE:
            raise RemoteProtocolError(f"{line[:64]!r} in answer to {proposed!r}")
        elif self._current + 1 == len(self._protocols):
            self.is_refused = True
            raise RemoteProtocolError(f"peer speaks none of {self._names()}")
        else:
            self._current += 1
            self._outgoing += self._proposals[self._current]

    def _names(self) -> str:
        return ", ".join(self._protocols)


class MultistreamListener(_Negotiation):
    """The side that chooses: the first proposal for which `accepts` is true is echoed.

    The header waits in `data_to_send` from the start (go and js send theirs so; two sides that
    wait for each other would wait for ever). Every other proposal is answered with `na`: also
    `/tls/1.0.0`, which go proposes first, also `ls`, which is obsolete, also the empty name.
    After `max_proposals` refusals the next one ends the stream.
    """

    def __init__(
        self, accepts: Callable[[str], bool], *, max_proposals: int = MAX_PROPOSALS
    ) -> None:
        super().__init__(_HEADER_LINE)
        self._accepts = accepts
        self._refusals_left = max_proposals

    def _handle_line(self, line: str) -> None:
        if line and self._accepts(line):
            self._outgoing += _encode_line(line)
            self._agree(line)
        elif self._refusals_left > 0:
            self._refusals_left -= 1
            self._outgoing += _NOT_AVAILABLE_LINE
        else:
            raise RemoteProtocolError("too many proposals nobody here speaks")


class ProtocolTable(Generic[Handler]):
    """Which handler serves which protocol: by exact name or by a match function.

    Entries are asked in the order of their first `add`, and the first that matches wins. Handlers
    are opaque. `speaks` fits `MultistreamListener(table.speaks)`; a change of the table applies
    to proposals that arrive after it.
    """

    def __init__(self) -> None:
        self._entries: dict[str, tuple[Callable[[str], bool] | None, Handler]] = {}

    def add(
        self, protocol: str, handler: Handler, *, matches: Callable[[str], bool] | None = None
    ) -> None:
        """Serve `protocol` alone, or every name for which `matches` is true.

        An entry of the same name is replaced and keeps its place. LocalProtocolError for a name
        that cannot be negotiated.
        """
        _encode_proposal(protocol)
        self._entries[protocol] = (matches, handler)

    def remove(self, protocol: str) -> None:
        """Serve the entry added under this name no more; an unknown name is no error."""
        self._entries.pop(protocol, None)

    def find(self, protocol: str) -> Handler | None:
        """The handler of the first entry that matches."""
        for name, (matches, handler) in self._entries.items():
            if name == protocol if matches is None else matches(protocol):
                return handler
        return None

    def speaks(self, protocol: str) -> bool:
        """Whether some entry matches."""
        return any(
            name == protocol if matches is None else matches(protocol)
            for name, (matches, _) in self._entries.items()
        )

    def protocols(self) -> list[str]:
        """The names of all entries, as identify announces them."""
        return list(self._entries)


def _encode_line(text: str) -> bytes:
    line = text.encode() + b"\n"
    return encode_uvarint(len(line)) + line


def _encode_proposal(protocol: str) -> bytes:
    """The bytes that propose `protocol`; LocalProtocolError where no peer could accept them."""
    if not protocol or "\n" in protocol or protocol in (NOT_AVAILABLE, HEADER):
        raise LocalProtocolError(f"multistream: {protocol!r} cannot name a protocol")
    try:
        encoded = _encode_line(protocol)
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"multistream: {protocol!r} is not Unicode text") from error
    if len(protocol.encode()) + 1 > MAX_LINE_BYTES:
        raise LocalProtocolError("multistream: a protocol name has at most 1023 bytes")
    return encoded


_HEADER_LINE = _encode_line(HEADER)
_NOT_AVAILABLE_LINE = _encode_line(NOT_AVAILABLE)
