"""The lower half of a scripted peer: TCP, multistream-select and Noise, one step at a time.

A `Wire` does only what it is told and checks nothing it is not asked to check: it can stop at
any step, send any bytes there, and forge any part of its Noise handshake. What passed is in its
journal. Every wait has a deadline.
"""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import anyio
from anyio.abc import ByteStream, SocketAttribute

from gossipsub.crypto.keys import PrivateKey, PublicKey
from gossipsub.crypto.noise_core import CipherState, XXHandshake
from gossipsub.crypto.noise_payload import (
    NoisePayload,
    bytes_to_sign,
    decode_payload,
    encode_payload,
)
from gossipsub.wire.errors import GossipSubError, RemoteProtocolError
from gossipsub.wire.varint import decode_uvarint, encode_uvarint

PATIENCE = 5.0
"""Seconds a wait lasts unless the caller says otherwise."""
NOISE = "/noise"
YAMUX = "/yamux/1.0.0"
MULTISTREAM = "/multistream/1.0.0"
MAX_PLAINTEXT_BYTES = 65519
MAX_PREFIXED_BYTES = 64 << 20
MAX_RECEIVED_BYTES = 256 << 20
MAX_ENTRIES = 1_000_000
"""What may come on one connection of a script, which keeps all of it."""


class WireError(GossipSubError):
    """The other side did not do what the script waited for."""


class WireTimeout(WireError, TimeoutError):
    """It did nothing in time."""


class WireClosed(WireError):
    """It ended the connection, or the stream that was waited on."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that passed: when (seconds since the journal began), which way, what."""

    at: float
    sent: bool
    layer: str
    """`tcp` (bytes in the clear), `noise` (a frame's plaintext), `yamux`, `rpc` or `note`."""
    what: object


@dataclass(slots=True)
class Journal:
    """Everything that passed on one connection, in order."""

    began: float = field(default_factory=anyio.current_time)
    entries: list[Entry] = field(default_factory=list)
    max_entries: int = MAX_ENTRIES
    max_received_bytes: int = MAX_RECEIVED_BYTES
    _received_bytes: int = 0

    def note(self, layer: str, what: object, *, sent: bool) -> None:
        """RemoteProtocolError where more came than any script makes use of."""
        if not sent:
            self._received_bytes += len(what) if isinstance(what, bytes) else 0
            if self._received_bytes > self.max_received_bytes:
                raise RemoteProtocolError(f"more than {self.max_received_bytes} bytes came")
            if len(self.entries) >= self.max_entries:
                raise RemoteProtocolError(f"more than {self.max_entries} pieces came")
        self.entries.append(Entry(anyio.current_time() - self.began, sent, layer, what))

    def received(self, layer: str) -> list[object]:
        return [entry.what for entry in self.entries if entry.layer == layer and not entry.sent]

    def sent(self, layer: str) -> list[object]:
        return [entry.what for entry in self.entries if entry.layer == layer and entry.sent]


@contextmanager
def deadline(seconds: float, waited_for: str) -> Iterator[None]:
    """WireTimeout that says what did not come."""
    try:
        with anyio.fail_after(None if seconds == math.inf else seconds):
            yield
    except WireTimeout:
        raise
    except TimeoutError as error:
        raise WireTimeout(f"no {waited_for} within {seconds} s") from error


def key_of_seed(seed: int) -> PrivateKey:
    """The Ed25519 identity of a seed: the same in every run."""
    return PrivateKey.from_seed(seed.to_bytes(32, "big"))


def host_and_port(address: str) -> tuple[str, int]:
    """Of `/ip4/HOST/tcp/PORT…`; ValueError for another form."""
    match = re.match(r"/(?:ip[46]|dns[46]?)/([^/]+)/tcp/(\d{1,5})(?:/|$)", address)
    if match is None:
        raise ValueError(f"not /ip4/HOST/tcp/PORT: {address!r}")
    return match[1], int(match[2])


class Negotiating:
    """multistream-select by hand, over whatever `write` and `read_exactly` speak on."""

    def __init__(self) -> None:
        self.has_refused = False
        """`choose` answered `na`. A lazy dialler has sent more by then, which is no line."""
        self._header_sent = False
        self._header_seen = False

    async def write(self, data: bytes, *, timeout: float = PATIENCE) -> None:
        raise NotImplementedError

    async def read_exactly(self, size: int, *, timeout: float = PATIENCE) -> bytes:
        raise NotImplementedError

    async def write_lines(self, *lines: str) -> None:
        """In one write, without a header of its own accord."""
        await self.write(b"".join(encode_line(line) for line in lines))

    async def read_prefixed(self, *, timeout: float = PATIENCE) -> bytes:
        """What follows an unsigned varint that counts it: a line, an RPC, an identify message."""
        with deadline(timeout, "length and what it counts"):
            prefix = b""
            while (decoded := decode_uvarint(prefix)) is None:
                prefix += await self.read_exactly(1, timeout=math.inf)
            if decoded[0] > MAX_PREFIXED_BYTES:
                raise RemoteProtocolError(f"a length of {decoded[0]} bytes")
            return await self.read_exactly(decoded[0], timeout=math.inf)

    async def read_line(self, *, timeout: float = PATIENCE) -> str:
        line = await self.read_prefixed(timeout=timeout)
        if not line.endswith(b"\n"):
            raise RemoteProtocolError(f"a line without newline: {line[:80]!r}")
        return line[:-1].decode()

    async def propose(self, *names: str, timeout: float = PATIENCE) -> str:
        """Propose each name until one is echoed; returns that, or the last answer."""
        answer = ""
        for name in names:
            lines = (name,) if self._header_sent else (MULTISTREAM, name)
            self._header_sent = True
            await self.write_lines(*lines)
            await self._read_header(timeout)
            answer = await self.read_line(timeout=timeout)
            if answer == name:
                self._header_sent = self._header_seen = False  # the next layer has its own
                break
        return answer

    async def choose(self, *speaks: str, timeout: float = PATIENCE) -> str:
        """Answer proposals, with `na` until one is among `speaks`; returns it."""
        await self.write_lines(MULTISTREAM)
        await self._read_header(timeout)
        while (name := await self.read_line(timeout=timeout)) not in speaks:
            await self.write_lines("na")
            self.has_refused = True
        await self.write_lines(name)
        self._header_seen = False
        return name

    async def _read_header(self, timeout: float) -> None:
        if not self._header_seen:
            header = await self.read_line(timeout=timeout)
            if header != MULTISTREAM:
                raise RemoteProtocolError(f"{header!r} instead of the multistream header")
            self._header_seen = True


def encode_line(text: str) -> bytes:
    """A multistream message: length, text, newline."""
    line = text.encode() + b"\n"
    return encode_uvarint(len(line)) + line


class Wire(Negotiating):
    """One TCP connection. `write` and `read_*` speak on the present layer (in the clear before
    `shake_hands`, sealed after it), `send_raw` always below all layers."""

    def __init__(self, socket: ByteStream) -> None:
        super().__init__()
        self.journal = Journal()
        self.remote_key: PublicKey | None = None
        """The identity the other side proved; None before the handshake."""
        self.remote_muxers: tuple[bytes, ...] = ()
        self.gathers = False
        """While true, what is written waits, and leaves in one segment before the next read."""
        self._gathered = b""
        self._socket = socket
        self._raw = bytearray()  # received, not yet read
        self._plain = bytearray()  # unsealed, not yet read
        self._sealing: CipherState | None = None
        self._opening: CipherState | None = None

    @property
    def local_port(self) -> int:
        """The port of our end."""
        return int(self._socket.extra(SocketAttribute.local_port))

    # -- bytes -----------------------------------------------------------------------------

    async def send_raw(self, data: bytes = b"", *, timeout: float = PATIENCE) -> None:
        """With what was gathered in front."""
        data, self._gathered = self._gathered + data, b""
        if self.gathers:
            self._gathered = data
            return
        try:
            with deadline(timeout, "room to write"):
                await self._socket.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise WireClosed("the connection ended while writing") from error

    async def write(self, data: bytes, *, timeout: float = PATIENCE) -> None:
        """On the present layer; after the handshake in as few Noise frames as possible."""
        if self._sealing is None:
            self.journal.note("tcp", data, sent=True)
            await self.send_raw(data, timeout=timeout)
            return
        sealed = bytearray()
        for start in range(0, len(data), MAX_PLAINTEXT_BYTES):
            piece = data[start : start + MAX_PLAINTEXT_BYTES]
            self.journal.note("noise", piece, sent=True)
            frame = self._sealing.encrypt(piece)
            sealed += len(frame).to_bytes(2, "big") + frame
        await self.send_raw(bytes(sealed), timeout=timeout)

    def seal(self, data: bytes) -> bytes:
        """A Noise frame that is not sent: damage it, then `send_raw` it."""
        if self._sealing is None:
            raise WireError("the handshake is not complete")
        frame = self._sealing.encrypt(data)
        return len(frame).to_bytes(2, "big") + frame

    async def read_exactly(self, size: int, *, timeout: float = PATIENCE) -> bytes:
        """So many bytes of the present layer. WireClosed where the connection ends before."""
        with deadline(timeout, f"{size} bytes"):
            if self._opening is None:
                return await self._take_raw(size, journal=True)
            while len(self._plain) < size:
                await self._open_frame(self._opening)
        taken = bytes(self._plain[:size])
        del self._plain[:size]
        return taken

    async def wait_closed(self, *, timeout: float = PATIENCE) -> bytes:
        """Wait until the other side ends the connection; returns the raw bytes still unread."""
        with deadline(timeout, "end of the connection"):
            try:
                while True:
                    await self._receive()
            except WireClosed:
                return bytes(self._raw)

    def take_raw(self) -> bytes:
        """What has come and was not read, sealed or not; waits for nothing."""
        taken = bytes(self._raw)
        self._raw.clear()
        return taken

    async def close(self) -> None:
        await anyio.aclose_forcefully(self._socket)

    async def _take_raw(self, size: int, *, journal: bool) -> bytes:
        while len(self._raw) < size:
            await self._receive()
        taken = bytes(self._raw[:size])
        del self._raw[:size]
        if journal:
            self.journal.note("tcp", taken, sent=False)
        return taken

    async def _receive(self) -> None:
        if self.gathers and self._gathered:
            self.gathers = False
            await self.send_raw()
            self.gathers = True
        try:
            self._raw += await self._socket.receive()
        except (
            anyio.EndOfStream,
            anyio.BrokenResourceError,
            anyio.ClosedResourceError,
            OSError,
        ) as error:
            raise WireClosed("the connection ended") from error
        if len(self._raw) > MAX_RECEIVED_BYTES:
            raise RemoteProtocolError(f"more than {MAX_RECEIVED_BYTES} bytes came unread")

    async def _open_frame(self, cipher: CipherState) -> None:
        plaintext = cipher.decrypt(await self._take_noise_frame())
        self.journal.note("noise", plaintext, sent=False)
        self._plain += plaintext

    async def _take_noise_frame(self) -> bytes:
        size = int.from_bytes(await self._take_raw(2, journal=False), "big")
        return await self._take_raw(size, journal=False)

    # -- Noise -----------------------------------------------------------------------------

    async def shake_hands(
        self,
        key: PrivateKey,
        *,
        initiator: bool,
        muxers: tuple[str, ...] = (YAMUX,),
        prologue: bytes = b"",
        identity: bytes | None = None,
        signature: bytes | None = None,
        first_payload: bytes = b"",
        more_payload: bytes = b"",
        proposes: bool = False,
        messages: int = 3,
        timeout: float = PATIENCE,
    ) -> None:
        """Noise XX. `identity` and `signature` replace what the payload truly holds,
        `first_payload` goes where libp2p has none, `more_payload` behind all that a payload
        holds; `proposes` `/noise` in the write of message 1, instead of before; with `messages`
        below 3 it stops in between.

        RemoteProtocolError where the other side does not prove its identity."""
        handshake = XXHandshake(initiator=initiator, prologue=prologue)
        payload = encode_payload(
            NoisePayload(
                identity_key=key.public_key.encode() if identity is None else identity,
                identity_signature=key.sign(bytes_to_sign(handshake.static_public_key))
                if signature is None
                else signature,
                muxers=[muxer.encode() for muxer in muxers],
            )
        )
        payload += more_payload
        for number in range(messages):
            if (number % 2 == 0) == initiator:
                message = handshake.write_message(payload if number else first_payload)
                lines = encode_line(MULTISTREAM) + encode_line(NOISE) if proposes else b""
                frame = len(message).to_bytes(2, "big") + message
                await self.send_raw(lines + frame if number == 0 else frame, timeout=timeout)
                if proposes and number == 0:
                    await self._read_header(timeout)
                    await self.read_line(timeout=timeout)
                    self._header_seen = False
            else:
                with deadline(timeout, f"Noise message {number + 1}"):
                    message = await self._take_noise_frame()
                received = handshake.read_message(message)
                if number:
                    self._check_payload(received, handshake.remote_static_public_key)
        if handshake.complete:
            self._sealing, self._opening = handshake.split()

    def _check_payload(self, encoded: bytes, static_key: bytes) -> None:
        payload = decode_payload(encoded)
        key = PublicKey.decode(payload.identity_key)
        if not key.verify(bytes_to_sign(static_key), payload.identity_signature):
            raise RemoteProtocolError("the identity key did not sign the Noise static key")
        self.remote_key = key
        self.remote_muxers = tuple(payload.muxers)

    async def upgrade(
        self, key: PrivateKey, *, initiator: bool, muxers: tuple[str, ...] = (YAMUX,)
    ) -> None:
        """All the way to yamux, as a well-behaved peer; with no `muxers`, by multistream."""
        await self._agree(NOISE, initiator)
        await self.shake_hands(key, initiator=initiator, muxers=muxers)
        if YAMUX not in muxers or YAMUX.encode() not in self.remote_muxers:
            await self._agree(YAMUX, initiator)

    async def _agree(self, name: str, initiator: bool) -> None:
        answer = await (self.propose(name) if initiator else self.choose(name))
        if answer != name:
            raise WireError(f"no {name}, but {answer!r}")


@asynccontextmanager
async def reach(
    address: str, *, local_host: str | None = None, timeout: float = PATIENCE
) -> AsyncIterator[Wire]:
    """A bare TCP connection to a multiaddr, from an address of ours if one is given. WireError
    where there is none."""
    with deadline(timeout, f"connection to {address}"):
        try:
            socket = await anyio.connect_tcp(*host_and_port(address), local_host=local_host)
        except OSError as error:
            raise WireError(f"no connection to {address}: {error}") from error
    wire = Wire(socket)
    try:
        yield wire
    finally:
        with anyio.CancelScope(shield=True):
            await wire.close()
