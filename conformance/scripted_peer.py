"""A peer that does only what it is told, to show how any implementation behaves on the wire.

    async with dial(address, seed=1) as w:
        await w.serve_identify(["/meshsub/1.1.0"])
        await w.open_pubsub("/meshsub/1.1.0")
        await w.send_rpc(Rpc(subscriptions=[SubOpts("news")]))
        hello = await w.receive_rpc()

Untold, it answers pings, acknowledges streams and returns credit, each of which can be switched
off; it negotiates no stream and answers no identify until `serve…` is called, nor opens any.
`scripted_wire` has the layers below, for scripts that go astray earlier. Works under asyncio and
trio; every wait has a deadline.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import anyio
from anyio.abc import TaskGroup

from gossipsub.conformance.scripted_stream import ScriptedStream
from gossipsub.conformance.scripted_wire import (
    PATIENCE,
    YAMUX,
    Journal,
    Wire,
    WireClosed,
    WireError,
    deadline,
    key_of_seed,
    reach,
)
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire import identify
from gossipsub.wire.errors import RemoteProtocolError
from gossipsub.wire.ping import PAYLOAD_BYTES
from gossipsub.wire.rpc import Rpc
from gossipsub.wire.rpc_codec import RpcLimits, decode_rpc, encode_rpc
from gossipsub.wire.yamux_frame import (
    ACK,
    DATA,
    GO_AWAY,
    HEADER,
    HEADER_BYTES,
    PING,
    RST,
    SYN,
    WINDOW_UPDATE,
)

IDENTIFY = identify.PROTOCOL
PUSH = identify.PUSH_PROTOCOL
PUBSUB = (
    "/meshsub/1.3.0",
    "/meshsub/1.2.0",
    "/meshsub/1.1.0",
    "/meshsub/1.0.0",
    "/floodsub/1.0.0",
)

_LIMITS = RpcLimits(
    subscriptions=1_000_000,
    control_entries=1_000_000,
    control_items=1_000_000,
    message_ids=1_000_000,
    control_bytes=64 << 20,
)
Handler = Callable[[ScriptedStream], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Frame:
    """A yamux frame. `length` is what the header says; a data frame's `body` has that many."""

    kind: int
    flags: int
    stream_id: int
    length: int
    body: bytes = b""
    version: int = 0

    def encode(self) -> bytes:
        header = (self.version, self.kind, self.flags, self.stream_id, self.length)
        return HEADER.pack(*header) + self.body


class ScriptedPeer:
    """One authenticated connection, seen from the script's side. `client` is the side that
    dialled."""

    def __init__(self, wire: Wire, key: PrivateKey, *, client: bool) -> None:
        self.wire = wire
        self.key = key
        self.client = client
        self.answers_pings = True
        self.acknowledges = True
        """ACK each stream the other side opens, at once."""
        self.returns_credit = True
        """Give credit back for every data frame, at once."""
        self.streams: dict[int, ScriptedStream] = {}
        self.accepted: list[ScriptedStream] = []
        """Streams the other side opened, in order; those served have their `protocol`."""
        self.pubsub_in: list[ScriptedStream] = []
        """Pubsub streams the other side opened, in order."""
        self.pubsub_out: ScriptedStream | None = None
        self.goaway: int | None = None
        """Code of the other side's GoAway."""
        self.pongs: list[int] = []
        """Values of the yamux pings answered."""
        self.ended = False
        self.faults: list[str] = []
        """What the other side did wrong where nobody waited; raised at the end of the script."""
        self._next_id = 1 if client else 2
        self._taken = 0
        self._rpcs: deque[Rpc] = deque()
        self._handlers: dict[str, Handler] = {}
        self._serving = anyio.Event()
        self._reading = anyio.Event()
        self._reading.set()
        self._bell = anyio.Event()
        self._sending = anyio.Lock()
        self._tasks: TaskGroup | None = None

    @property
    def journal(self) -> Journal:
        return self.wire.journal

    @property
    def peer_id(self) -> PeerId:
        """Whose part this script plays."""
        return self.key.peer_id()

    @property
    def remote_peer(self) -> PeerId:
        if self.wire.remote_key is None:
            raise WireError("the handshake is not complete")
        return self.wire.remote_key.peer_id()

    # -- yamux -----------------------------------------------------------------------------

    async def send_frame(
        self, kind: int, flags: int, stream_id: int, length: int, body: bytes = b""
    ) -> None:
        await self.send_frames(Frame(kind, flags, stream_id, length, body))

    async def send_frames(self, *frames: Frame, timeout: float = PATIENCE) -> None:
        """All in one write."""
        async with self._sending:
            for frame in frames:
                self.journal.note("yamux", frame, sent=True)
            await self.wire.write(b"".join(frame.encode() for frame in frames), timeout=timeout)

    async def send_sealed(
        self,
        *plaintexts: bytes,
        damage: Callable[[bytes], bytes] = lambda frame: frame,
        cut: int | None = None,
    ) -> None:
        """A Noise frame of each, `damage`d once sealed, and in segments of `cut` bytes."""
        async with self._sending:
            sealed = b"".join(damage(self.wire.seal(plaintext)) for plaintext in plaintexts)
            if cut is None:
                await self.wire.send_raw(sealed)
                return
            for start in range(0, len(sealed), cut):
                await self.wire.send_raw(sealed[start : start + cut])
                await anyio.sleep(0.002)  # or the segments are sent as one

    async def start_stream(self, flags: int = SYN, stream_id: int | None = None) -> ScriptedStream:
        """Open a stream by a window update and negotiate nothing."""
        stream = self.new_stream(stream_id)
        await stream.grant(0, flags)
        return stream

    def new_stream(self, stream_id: int | None = None) -> ScriptedStream:
        """A stream of ours that the other side has not been told of."""
        if stream_id is None:
            stream_id = self._next_id
            self._next_id += 2
        stream = self.streams[stream_id] = ScriptedStream(self, stream_id, opened_by_us=True)
        return stream

    async def open_stream(self, *names: str, timeout: float = PATIENCE) -> ScriptedStream:
        """Open a stream and agree on one of the names. WireError where none is spoken."""
        stream = await self.start_stream()
        answer = await stream.propose(*names, timeout=timeout)
        if answer not in names:
            raise WireError(f"none of {names}, but {answer!r}")
        stream.protocol = answer
        return stream

    async def accept_stream(self, *, timeout: float = PATIENCE) -> ScriptedStream:
        """The next stream the other side opened, negotiated or not."""
        await self.until(lambda: len(self.accepted) > self._taken, "new stream", timeout)
        self._taken += 1
        return self.accepted[self._taken - 1]

    async def ping(self, value: int, *, timeout: float = PATIENCE) -> None:
        """A yamux ping and its answer, which must have no flag but ACK, and be on stream 0."""
        before = len(self.pongs)
        await self.send_frame(PING, SYN, 0, value)
        await self.until(lambda: value in self.pongs[before:], "pong", timeout)

    async def wait_goaway(self, *, timeout: float = PATIENCE) -> int:
        await self.until(lambda: self.goaway is not None, "GoAway", timeout)
        return self.goaway or 0

    async def wait_ended(self, *, timeout: float = PATIENCE) -> None:
        """Until the other side ends the connection."""
        await self.until(lambda: self.ended, "end of the connection", timeout)

    async def until(self, condition: Callable[[], bool], what: str, timeout: float) -> None:
        """Until `condition` holds, looked at after every frame. WireClosed when the connection
        ended without it."""
        with deadline(timeout, what):
            while not condition():
                if self.ended:
                    raise WireClosed(f"the connection ended: no {what}")
                await self._bell.wait()

    def stop_reading(self) -> None:
        """Leave unread what comes: the other side's writes fill up."""
        self._reading = anyio.Event()

    def resume_reading(self) -> None:
        self._reading.set()

    # -- protocols -------------------------------------------------------------------------

    def serve(self, *names: str, handler: Handler | None = None) -> None:
        """Agree to these protocols from now on, and answer `na` to what is not served."""
        for name in names:
            self._handlers[name] = handler or _leave_alone
        self._serving.set()

    async def serve_identify(
        self, protocols: Sequence[str] = PUBSUB, *, said: identify.Identify | None = None
    ) -> None:
        """Answer identify with these protocols (or with `said`), and serve them; what comes on
        pubsub streams is for `receive_rpc`."""
        answer = said or self.describe(protocols)

        async def tell(stream: ScriptedStream) -> None:
            await stream.write(identify.encode_identify(answer))
            await stream.finish()

        for name in protocols:
            self._handlers.setdefault(name, self.read_pubsub if _is_pubsub(name) else _leave_alone)
        self.serve(IDENTIFY, handler=tell)

    def describe(self, protocols: Iterable[str]) -> identify.Identify:
        """A truthful identify message."""
        return identify.Identify(
            public_key=self.key.public_key.encode(),
            protocols=[IDENTIFY, PUSH, *protocols],
            protocol_version="ipfs/0.1.0",
            agent_version="scripted-peer",
        )

    async def push_identify(self, said: identify.Identify) -> None:
        stream = await self.open_stream(PUSH)
        await stream.write(identify.encode_identify(said))
        await stream.finish()

    async def ask_identify(self, *, timeout: float = PATIENCE) -> identify.Identify:
        """The other side's answer, which must end with FIN."""
        stream = await self.open_stream(IDENTIFY, timeout=timeout)
        reader = identify.IdentifyReader()
        reader.receive_data(await stream.read_to_end(timeout=timeout))
        reader.receive_eof()
        return reader.result()

    async def open_pubsub(self, *names: str) -> ScriptedStream:
        """Open our pubsub stream; an earlier one is left as it is."""
        self.pubsub_out = await self.open_stream(*(names or PUBSUB))
        return self.pubsub_out

    async def send_rpc(self, rpc: Rpc, *, timeout: float = PATIENCE) -> None:
        if self.pubsub_out is None:
            raise WireError("open_pubsub first")
        self.journal.note("rpc", rpc, sent=True)
        await self.pubsub_out.write_frame(encode_rpc(rpc), timeout=timeout)

    async def receive_rpc(self, *, timeout: float = PATIENCE) -> Rpc:
        """The next RPC, from whatever pubsub stream the other side opened."""
        await self.until(lambda: len(self._rpcs) > 0, "RPC", timeout)
        return self._rpcs.popleft()

    async def receive_rpc_with(
        self, condition: Callable[[Rpc], object], *, timeout: float = PATIENCE
    ) -> Rpc:
        """The next RPC that fulfils the condition; those before it are dropped."""
        with deadline(timeout, "such RPC"):
            while True:
                rpc = await self.receive_rpc(timeout=math.inf)
                if condition(rpc):
                    return rpc

    async def wait_pubsub(self, count: int = 1, *, timeout: float = PATIENCE) -> ScriptedStream:
        """The other side's pubsub stream of that number, counted from 1."""
        await self.until(lambda: len(self.pubsub_in) >= count, f"stream {count}", timeout)
        return self.pubsub_in[count - 1]

    async def read_pubsub(self, stream: ScriptedStream) -> None:
        """The handler of pubsub streams: RPCs for `receive_rpc`. Its end is answered with ours, as
        everybody does."""
        self.pubsub_in.append(stream)
        self._ring()
        while True:
            try:
                frame = await stream.read_prefixed(timeout=math.inf)
            except WireClosed:
                if not stream.is_over:
                    await stream.finish()
                raise
            rpc = decode_rpc(frame, _LIMITS)
            self.journal.note("rpc", rpc, sent=False)
            self._rpcs.append(rpc)
            self._ring()

    # -- inside ----------------------------------------------------------------------------

    async def run(self, tasks: TaskGroup) -> None:
        """Read until the connection ends; the context managers below start this."""
        self._tasks = tasks
        try:
            while True:
                await self._reading.wait()
                await self._take(await self._read_frame())
        except (WireClosed, RemoteProtocolError) as error:
            if isinstance(error, RemoteProtocolError):
                self.faults.append(f"below yamux: {error}")
        finally:
            self.ended = True
            self._ring()

    async def _read_frame(self) -> Frame:
        header = await self.wire.read_exactly(HEADER_BYTES, timeout=math.inf)
        version, kind, flags, stream_id, length = HEADER.unpack(header)
        body = b""
        if kind == DATA:
            body = await self.wire.read_exactly(length, timeout=math.inf)
        frame = Frame(kind, flags, stream_id, length, body, version)
        self.journal.note("yamux", frame, sent=False)
        return frame

    async def _take(self, frame: Frame) -> None:
        if frame.kind == PING:
            if frame.flags == ACK and frame.stream_id == 0:
                self.pongs.append(frame.length)
            elif frame.flags & SYN and self.answers_pings:
                await self._answer(Frame(PING, ACK, 0, frame.length))
        elif frame.kind == GO_AWAY:
            self.goaway = frame.length
        elif frame.kind in (DATA, WINDOW_UPDATE):
            await self._take_stream_frame(frame)
        self._ring()

    async def _take_stream_frame(self, frame: Frame) -> None:
        if frame.flags & SYN:
            stream = ScriptedStream(self, frame.stream_id, opened_by_us=False)
            self.streams[frame.stream_id] = stream
            self.accepted.append(stream)
            if self.acknowledges:
                await self._answer(Frame(WINDOW_UPDATE, ACK, frame.stream_id, 0))
            if self._tasks is not None:
                self._tasks.start_soon(self._serve_stream, stream)
        known = self.streams.get(frame.stream_id)
        if known is None:
            return
        known.take(frame)
        if frame.body and self.returns_credit and not frame.flags & RST:
            await self._answer(Frame(WINDOW_UPDATE, 0, frame.stream_id, len(frame.body)))

    async def _answer(self, frame: Frame) -> None:
        with suppress(WireClosed):  # what it said before it closed is still to be read
            await self.send_frames(frame, timeout=60.0)

    async def _serve_stream(self, stream: ScriptedStream) -> None:
        await self._serving.wait()
        try:
            name = await stream.choose(*self._handlers, timeout=math.inf)
            stream.protocol = name
            self._ring()
            await self._handlers[name](stream)
        except WireError:
            return  # the stream is over; whoever waits for it is told there
        except RemoteProtocolError as error:
            if stream.protocol is None and stream.has_refused:
                return  # what came behind a lazy proposal, and was for a protocol not spoken
            self.faults.append(f"stream {stream.stream_id}: {error}")
            self._ring()

    def _ring(self) -> None:
        bell, self._bell = self._bell, anyio.Event()
        bell.set()


def _is_pubsub(name: str) -> bool:
    return "sub/" in name


async def _leave_alone(stream: ScriptedStream) -> None:
    """Agreed on, and nothing more."""


async def echo_pings(stream: ScriptedStream) -> None:
    """The handler of ping streams."""
    while True:
        await stream.write(await stream.read_exactly(PAYLOAD_BYTES, timeout=math.inf))


@asynccontextmanager
async def play(wire: Wire, key: PrivateKey, *, client: bool) -> AsyncIterator[ScriptedPeer]:
    """A peer on a wire that is upgraded already. Raises WireError for its `faults`."""
    peer = ScriptedPeer(wire, key, client=client)
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.run, tasks)
        try:
            yield peer
        except Exception as error:  # the script's own: raised below, not as part of a group
            failure = error
        finally:
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    if peer.faults:
        raise WireError("; ".join(peer.faults))


@asynccontextmanager
async def dial(
    address: str,
    *,
    seed: int = 1,
    muxers: tuple[str, ...] = (YAMUX,),
    local_host: str | None = None,
) -> AsyncIterator[ScriptedPeer]:
    """Connect to a multiaddr, up to yamux, from an address of ours if one is given. Leaving closes
    the connection without a GoAway."""
    key = key_of_seed(seed)
    async with reach(address, local_host=local_host) as wire:
        await wire.upgrade(key, initiator=True, muxers=muxers)
        async with play(wire, key, client=True) as peer:
            yield peer
