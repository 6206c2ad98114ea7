"""Identify over a host's connections: ask, answer, push, and take pushes (libp2p identify)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gossipsub.address import Address
from gossipsub.crypto.peer_record import PeerRecord
from gossipsub.stream import Stream, StreamHandler
from gossipsub.wire.errors import RemoteProtocolError
from gossipsub.wire.identify import (
    PROTOCOL,
    PUSH_PROTOCOL,
    Identify,
    IdentifyReader,
    apply_push,
    encode_identify,
)

if TYPE_CHECKING:
    from gossipsub.connection import Connection, HandlerFactory
    from gossipsub.wire.multistream import ProtocolTable

logger = logging.getLogger("gossipsub.identify")


@dataclass(frozen=True, slots=True)
class PeerDetails:
    """What a peer said of itself, checked as far as that goes."""

    protocols: tuple[str, ...]
    agent_version: str | None
    protocol_version: str | None
    addresses: tuple[Address, ...]
    """Where it listens: from its signed record if it sent a valid one, else as it says."""
    record: PeerRecord | None
    signed_record: bytes | None
    """The record's envelope, to hand on in peer exchange."""
    observed: Address | None
    """Where it sees us."""


class IdentifyService:
    """Serves identify on every connection and remembers what each connection's peer said."""

    def __init__(
        self,
        describe: Callable[[Connection], Identify],
        identified: Callable[[Connection, PeerDetails], None],
    ) -> None:
        self._describe = describe
        self._identified = identified
        self._said: dict[Connection, tuple[Identify, PeerDetails]] = {}

    def serve(self, protocols: ProtocolTable[HandlerFactory]) -> None:
        protocols.add(PROTOCOL, lambda stream: _Answer(stream, self._message(stream)))
        protocols.add(PUSH_PROTOCOL, lambda stream: _Listen(stream, self._pushed))

    def ask(self, connection: Connection) -> None:
        """Open a stream and ask; a peer that does not answer in time is left unidentified."""
        connection.open_stream([PROTOCOL], self._ask_handler, _nothing)

    def push(self, connection: Connection) -> None:
        """Tell the peer that what identify says of us has changed: always the whole of it,
        since go replaces its protocol list by what a push holds."""
        connection.open_stream(
            [PUSH_PROTOCOL], lambda stream: _Answer(stream, self._message(stream)), _nothing
        )

    def forget(self, connection: Connection) -> None:
        self._said.pop(connection, None)

    def _message(self, stream: Stream) -> bytes:
        return encode_identify(self._describe(stream.connection))

    def _ask_handler(self, stream: Stream) -> StreamHandler:
        stream.close_write()
        return _Listen(stream, self._answered)

    def _answered(self, connection: Connection, said: Identify) -> None:
        self._learn(connection, said)

    def _pushed(self, connection: Connection, said: Identify) -> None:
        known = self._said.get(connection)
        self._learn(connection, said if known is None else apply_push(known[0], said))

    def _learn(self, connection: Connection, said: Identify) -> None:
        if said.public_key is not None and said.public_key != connection.public_key.encode():
            raise RemoteProtocolError("identify: not the key of this connection", fatal_to="stream")
        known = self._said.get(connection)
        details = _details(connection, said, None if known is None else known[1])
        self._said[connection] = (said, details)
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
    listed = said.listen_addresses if record is None else record.addresses
    return PeerDetails(
        protocols=tuple(said.protocols),
        agent_version=said.agent_version,
        protocol_version=said.protocol_version,
        addresses=tuple(
            address
            for address in map(_read_address, listed)
            if address is not None and address.peer in (None, connection.peer)
        ),
        record=record,
        signed_record=signed,
        observed=None if said.observed_address is None else _read_address(said.observed_address),
    )


def _read_address(encoded: bytes) -> Address | None:
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
