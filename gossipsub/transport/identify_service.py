"""Identify over a host's connections: ask, answer, and take pushes (libp2p identify).

Nothing is pushed: what a host tells of itself does not change while it is open.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gossipsub.crypto.peer_id import PeerId
from gossipsub.crypto.peer_record import PeerRecord
from gossipsub.transport.address import Address
from gossipsub.transport.stream import Stream, StreamHandler
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError
from gossipsub.wire.identify import (
    PROTOCOL,
    PUSH_PROTOCOL,
    Identify,
    IdentifyReader,
    apply_push,
    encode_identify,
)

if TYPE_CHECKING:
    from gossipsub.transport.connection import Connection, HandlerFactory
    from gossipsub.wire.multistream import ProtocolTable

logger = logging.getLogger("gossipsub.identify")


@dataclass(frozen=True, slots=True)
class PeerDetails:
    """What a peer said of itself, checked as far as that goes."""

    peer: PeerId
    said: Identify
    record: PeerRecord | None
    """The newest valid one it sent."""
    signed_record: bytes | None
    """The record's envelope, to hand on in peer exchange."""

    @property
    def protocols(self) -> tuple[str, ...]:
        return tuple(self.said.protocols)

    @property
    def agent_version(self) -> str | None:
        return self.said.agent_version

    # Addresses are read when somebody asks: 200 of them take 10 ms, and a peer can push at will.
    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it listens: from its signed record if it sent a valid one, else as it says."""
        listed = self.said.listen_addresses if self.record is None else self.record.addresses
        return tuple(
            address
            for address in map(read_address, listed)
            if address is not None and address.peer in (None, self.peer)
        )

    @property
    def observed(self) -> Address | None:
        """Where it sees us."""
        seen = self.said.observed_address
        return None if seen is None else read_address(seen)


class IdentifyService:
    """Serves identify on every connection and remembers what each connection's peer said."""

    def __init__(
        self,
        describe: Callable[[Connection], Identify],
        identified: Callable[[Connection, PeerDetails], None],
    ) -> None:
        self._describe = describe
        self._identified = identified
        self._known: dict[Connection, PeerDetails] = {}

    def serve(self, protocols: ProtocolTable[HandlerFactory]) -> None:
        protocols.add(PROTOCOL, lambda stream: _Answer(stream, self._message(stream)))
        protocols.add(PUSH_PROTOCOL, lambda stream: _Listen(stream, self._pushed))

    def ask(self, connection: Connection) -> None:
        """Open a stream and ask; a peer that does not answer in time is left unidentified."""
        connection.open_stream([PROTOCOL], self._ask_handler, _nothing)

    def forget(self, connection: Connection) -> None:
        self._known.pop(connection, None)

    def _message(self, stream: Stream) -> bytes:
        """All there is to tell, or as much of it as a message holds: with a long key, or many
        addresses, first the signed record is left out, then the last addresses."""
        told = self._describe(stream.connection)
        while True:
            try:
                return encode_identify(told)
            except LocalProtocolError:
                if told.signed_peer_record is not None:
                    told = replace(told, signed_peer_record=None)
                elif told.listen_addresses:
                    told = replace(told, listen_addresses=told.listen_addresses[:-1])
                else:
                    raise

    def _ask_handler(self, stream: Stream) -> StreamHandler:
        stream.close_write()
        return _Listen(stream, self._answered)

    def _answered(self, connection: Connection, said: Identify) -> None:
        self._learn(connection, said)

    def _pushed(self, connection: Connection, said: Identify) -> None:
        known = self._known.get(connection)
        self._learn(connection, said if known is None else apply_push(known.said, said))

    def _learn(self, connection: Connection, said: Identify) -> None:
        if said.public_key is not None and said.public_key != connection.public_key.encode():
            raise RemoteProtocolError("identify: not the key of this connection", fatal_to="stream")
        details = _details(connection, said, self._known.get(connection))
        self._known[connection] = details
        self._identified(connection, details)


def _nothing() -> None:
    """Identify did not come about; the peer may still open pubsub streams itself."""


def _details(connection: Connection, said: Identify, known: PeerDetails | None) -> PeerDetails:
    record = None if known is None else known.record
    signed = None if known is None else known.signed_record
    if said.signed_peer_record not in (None, signed):
        try:
            newer = PeerRecord.open(said.signed_peer_record or b"", peer=connection.peer)
        except RemoteProtocolError as error:
            logger.debug("bad peer record peer=%s error=%s", connection.peer.short(), error)
        else:
            if newer.supersedes(record):
                record, signed = newer, said.signed_peer_record
    return PeerDetails(connection.peer, said, record, signed)


def read_address(encoded: bytes) -> Address | None:
    """An address a peer told; None where it is damaged or not of TCP."""
    try:
        return Address.decode(encoded)
    except RemoteProtocolError:
        return None


class _Answer(StreamHandler):
    """Writes one message and closes its half at once: go waits for that."""

    def __init__(self, stream: Stream, message: bytes) -> None:
        stream.write(message)
        stream.close_write()


class _Listen(StreamHandler):
    """Reads messages until the peer closes its half."""

    def __init__(self, stream: Stream, heard: Callable[[Connection, Identify], None]) -> None:
        self._stream = stream
        self._heard = heard
        self._reader = IdentifyReader()
        stream.set_deadline(stream.connection.config.identify_timeout, "identify")

    def received(self, data: bytes) -> None:
        self._reader.receive_data(data)

    def ended(self) -> None:
        self._stream.clear_deadline()
        self._stream.close_write()
        self._reader.receive_eof()
        self._heard(self._stream.connection, self._reader.result())
