"""Streams of an application's own protocols, between hosts in memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import anyio
import pytest

from gossipsub import (
    DialError,
    Host,
    HostConfig,
    LocalProtocolError,
    PeerStream,
    ProtocolNotSupported,
    RemoteProtocolError,
    StreamReset,
)
from gossipsub.testing.memory import MemoryNetwork, Path
from gossipsub.testing.mesh import ON_THE_LOOP
from gossipsub.testing.virtual_time import virtual_backend

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

ECHO = "/echo/1.0.0"


@asynccontextmanager
async def two_hosts(config: HostConfig = ON_THE_LOOP) -> AsyncIterator[tuple[Host, Host]]:
    network = MemoryNetwork(Path(latency=0.01))
    async with (
        Host(network=network.machine(), config=config) as a,
        Host(network=network.machine(), config=config) as b,
    ):
        await a.connect(b.addresses[0])
        while not b.peers():
            await anyio.sleep(0.01)
        yield a, b


async def echo(stream: PeerStream) -> None:
    while data := await stream.receive():
        await stream.send(data)


async def read_to_end(stream: PeerStream) -> bytes:
    data = b""
    while piece := await stream.receive():
        data += piece
    return data


class Held:
    """A handler that keeps its streams open until the test is done with them."""

    def __init__(self) -> None:
        self.streams: list[PeerStream] = []
        self.ended = 0
        self._done = anyio.Event()

    async def __call__(self, stream: PeerStream) -> None:
        self.streams.append(stream)
        try:
            await self._done.wait()
        finally:
            self.ended += 1

    def release(self) -> None:
        self._done.set()


async def first_of(held: Held) -> PeerStream:
    with anyio.fail_after(20):
        while not held.streams:
            await anyio.sleep(0.01)
    return held.streams[0]


async def test_each_side_says_something_and_ends() -> None:
    async with two_hosts() as (a, b):
        b.set_stream_handler(ECHO, echo)
        async with await a.open_stream(b.peer_id, ECHO) as stream:
            assert (stream.peer, stream.protocol, stream.opened_by_us) == (b.peer_id, ECHO, True)
            await stream.send(b"hello")
            assert await stream.receive() == b"hello"
            await stream.send(b"bye")
            await stream.send_eof()
            assert await read_to_end(stream) == b"bye"
            assert await stream.receive() == b""
        assert repr(stream) == f"PeerStream('/echo/1.0.0', peer={b.peer_id})"


async def test_received_is_what_was_sent_however_it_is_cut() -> None:
    async with two_hosts() as (a, b):
        b.set_stream_handler(ECHO, echo)
        sent = bytes(range(256)) * 4000
        async with await a.open_stream(b.peer_id, ECHO) as stream, anyio.create_task_group() as tg:

            async def send() -> None:
                for start in range(0, len(sent), 70_001):
                    await stream.send(memoryview(sent)[start : start + 70_001])
                await stream.send_eof()

            tg.start_soon(send)
            got = b""
            while piece := await stream.receive(1 + len(got) % 9000):
                got += piece
            assert got == sent


async def test_a_writer_waits_for_its_reader() -> None:
    async with two_hosts() as (a, b):
        held = Held()
        b.set_stream_handler(ECHO, held)
        async with await a.open_stream(b.peer_id, ECHO) as stream:
            sent = 0
            with anyio.move_on_after(600):
                while True:
                    await stream.send(bytes(10_000))
                    sent += 10_000
            # A window, what waits here, and what was on its way into the window.
            assert 256 << 10 <= sent <= 400_000
            theirs = held.streams[0]
            got = 0
            while got < sent:
                got += len(await theirs.receive())
            held.release()


async def test_the_first_protocol_that_the_peer_speaks_is_taken() -> None:
    async with two_hosts() as (a, b):
        b.set_stream_handler("/echo/2.0.0", echo)
        async with await a.open_stream(b.peer_id, ["/echo/3.0.0", "/echo/2.0.0"]) as stream:
            assert stream.protocol == "/echo/2.0.0"
        with pytest.raises(ProtocolNotSupported, match="does not speak /a, /b"):
            await a.open_stream(b.peer_id, ["/a", "/b"])
        b.set_stream_handler("/echo/2.0.0", None)
        with pytest.raises(ProtocolNotSupported, match=f"{b.peer_id} does not speak /echo/2.0.0"):
            await a.open_stream(str(b.peer_id), "/echo/2.0.0")


async def test_a_peer_that_is_known_is_dialled() -> None:
    network = MemoryNetwork(Path(latency=0.01))
    async with Host(network=network.machine()) as a, Host(network=network.machine()) as b:
        b.set_stream_handler(ECHO, echo)
        with pytest.raises(DialError, match="no address of"):
            await a.open_stream(b.peer_id, ECHO)
        a.add_addresses(b.addresses)
        async with await a.open_stream(b.peer_id, ECHO) as stream:
            await stream.send(b"x")
            assert await stream.receive() == b"x"


async def test_who_does_not_answer_in_time_is_not_waited_for() -> None:
    async with two_hosts() as (a, b):
        b.set_stream_handler(ECHO, echo)
        started = anyio.current_time()
        with pytest.raises(TimeoutError):
            await a.open_stream(b.peer_id, ECHO, timeout=0.001)
        assert anyio.current_time() - started < 1
        async with await a.open_stream(b.peer_id, ECHO) as stream:
            await stream.send(b"still")
            assert await stream.receive() == b"still"


async def test_a_handler_that_fails_resets_its_stream_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(stream: PeerStream) -> None:
        await stream.receive()
        raise ZeroDivisionError("a bug")

    async with two_hosts() as (a, b):
        b.set_stream_handler("/fail", fail)
        b.set_stream_handler(ECHO, echo)
        async with await a.open_stream(b.peer_id, ECHO) as other:
            stream = await a.open_stream(b.peer_id, "/fail")
            await stream.send(b"x")
            with pytest.raises(StreamReset, match="the peer reset it"):
                await stream.receive()
            with pytest.raises(StreamReset, match="the peer reset it"):
                await stream.send(b"x")
            await other.send(b"hello")
            assert await other.receive() == b"hello"
    loud = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in loud] == [
        f"a stream handler failed name={fail.__qualname__} protocol=/fail"
    ]


@pytest.mark.parametrize(
    "error",
    [
        lambda: RemoteProtocolError("nonsense"),
        TimeoutError,
        lambda: StreamReset("gone"),
        lambda: ExceptionGroup("", [StreamReset("gone"), ExceptionGroup("", [TimeoutError()])]),
    ],
    ids=["protocol", "timeout", "reset", "group"],
)
async def test_what_a_peer_does_is_no_more_than_debug(
    error: Callable[[], Exception], caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(stream: PeerStream) -> None:
        raise error()

    async with two_hosts() as (a, b):
        b.set_stream_handler("/x", handler)
        with suppress(StreamReset):
            await read_to_end(await a.open_stream(b.peer_id, "/x"))
            pytest.fail("the stream ended in order")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(
    "anyio_backend", [virtual_backend("asyncio")]
)  # whose futures can be cancelled alone
async def test_what_a_handler_waits_for_may_be_cancelled_and_ends_its_stream_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def waiting(stream: PeerStream) -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async with two_hosts() as (a, b):
        b.set_stream_handler("/waiting", waiting)
        b.set_stream_handler(ECHO, echo)
        with pytest.raises(StreamReset):
            await read_to_end(await a.open_stream(b.peer_id, "/waiting"))
        async with await a.open_stream(b.peer_id, ECHO) as other:
            await other.send(b"hello")
            assert await other.receive() == b"hello"
    assert "a stream handler failed" in caplog.text


async def test_a_handler_ends_when_the_peer_resets_its_stream() -> None:
    reasons = []

    async def handler(stream: PeerStream) -> None:
        try:
            await read_to_end(stream)
        except StreamReset as error:
            reasons.append(str(error))
            raise

    async with two_hosts() as (a, b):
        b.set_stream_handler("/x", handler)
        stream = await a.open_stream(b.peer_id, "/x")
        await stream.send(b"half of")
        with pytest.raises(ZeroDivisionError):
            async with stream:
                raise ZeroDivisionError
        await anyio.sleep(1)
        assert reasons == ["the peer reset it"]
        with pytest.raises(StreamReset, match="it was reset here"):
            await stream.receive()
        stream.reset()
        await stream.close()


async def test_what_arrived_is_read_before_the_reset_is_told() -> None:
    async with two_hosts() as (a, b):
        held = Held()
        b.set_stream_handler("/x", held)
        stream = await a.open_stream(b.peer_id, "/x")
        theirs = await first_of(held)
        await theirs.send(b"last words")
        await anyio.sleep(1)
        theirs.reset()
        await anyio.sleep(1)
        assert await stream.receive() == b"last words"
        with pytest.raises(StreamReset):
            await stream.receive()


async def test_a_connection_that_ends_takes_its_streams_along() -> None:
    async with two_hosts() as (a, b):
        held = Held()
        b.set_stream_handler("/x", held)
        stream = await a.open_stream(b.peer_id, "/x")
        await b.disconnect(a.peer_id)
        with pytest.raises(StreamReset, match="the connection ended: "):
            await stream.receive()


async def test_a_stream_waits_as_long_as_its_holders_like() -> None:
    async with two_hosts() as (a, b):

        async def answer_slowly(stream: PeerStream) -> None:
            await read_to_end(stream)
            await anyio.sleep(3000)
            await stream.send(b"done")

        b.set_stream_handler("/x", answer_slowly)
        async with await a.open_stream(b.peer_id, "/x") as stream:
            await stream.send_eof()
            assert await read_to_end(stream) == b"done"


async def test_a_closed_stream_is_not_kept_for_a_peer_that_does_not_end_it() -> None:
    async with two_hosts() as (a, b):
        held = Held()
        b.set_stream_handler("/x", held)
        stream = await a.open_stream(b.peer_id, "/x")
        theirs = await first_of(held)
        await stream.close()
        await stream.close()
        for _ in range(40):
            await theirs.send(bytes(20_000))  # thrown away

        async def go_on() -> None:
            while True:
                await theirs.send(bytes(1000))
                await anyio.sleep(1)

        with pytest.raises(StreamReset, match="the peer reset it"):
            await go_on()
        assert anyio.current_time() < 100
        held.release()


async def test_after_close_and_after_eof_nothing_is_sent() -> None:
    async with two_hosts() as (a, b):
        b.set_stream_handler(ECHO, echo)
        stream = await a.open_stream(b.peer_id, ECHO)
        await stream.send_eof()
        with pytest.raises(LocalProtocolError, match="nothing can be sent after send_eof"):
            await stream.send(b"x")
        with pytest.raises(LocalProtocolError, match="max_bytes is at least 1: 0"):
            await stream.receive(0)
        await stream.close()
        with pytest.raises(LocalProtocolError, match="the stream is closed"):
            await stream.receive()
        with pytest.raises(LocalProtocolError, match="the stream is closed"):
            await stream.send(b"x")


async def test_what_was_sent_before_close_arrives_though_the_host_ends() -> None:
    network = MemoryNetwork(Path(latency=0.01))
    heard = bytearray()

    async def listen(stream: PeerStream) -> None:
        while data := await stream.receive(1000):
            heard.extend(data)
            await anyio.sleep(0.001)

    async with Host(network=network.machine()) as b:
        b.set_stream_handler("/x", listen)
        async with Host(network=network.machine(), bootstrap=b.addresses) as a:
            a.add_addresses(b.addresses)
            async with await a.open_stream(b.peer_id, "/x") as stream:
                await stream.send(bytes(200_000))
        await anyio.sleep(5)
        assert len(heard) == 200_000


async def test_one_task_at_a_time_receives() -> None:
    async with two_hosts() as (a, b):
        b.set_stream_handler(ECHO, echo)
        async with await a.open_stream(b.peer_id, ECHO) as stream, anyio.create_task_group() as tg:
            tg.start_soon(stream.receive)
            await anyio.sleep(1)
            with pytest.raises(anyio.BusyResourceError):
                await stream.receive()
            tg.cancel_scope.cancel()


async def test_streams_beyond_the_limits_are_reset() -> None:
    network = MemoryNetwork(Path(latency=0.01))
    async with (
        Host(network=network.machine()) as b,
        Host(network=network.machine()) as a,
        Host(network=network.machine()) as c,
    ):
        held = Held()
        b.set_stream_handler("/x", held, max_streams=3, max_streams_per_peer=2)
        for host in (a, c):
            await host.connect(b.addresses[0])

        async def is_served(host: Host) -> bool:
            try:
                await host.open_stream(b.peer_id, "/x")
            except StreamReset:
                return False
            return True

        served = [await is_served(host) for host in (a, a, a, c, c)]
        assert served == [True, True, False, True, False]
        held.release()
        await anyio.sleep(1)
        assert await is_served(a)


async def test_handlers_end_with_their_host() -> None:
    held = Held()
    async with two_hosts() as (a, b):
        b.set_stream_handler("/x", held)
        await a.open_stream(b.peer_id, "/x")
        await first_of(held)
    assert held.ended == 1


async def test_wrong_handlers_and_protocols_are_refused() -> None:
    async with two_hosts() as (a, b):
        a.set_stream_handler(ECHO, echo)
        for protocol, handler, reason in (
            (ECHO, echo, "has a stream handler already"),
            ("/x", None, "'/x' has no stream handler"),
            ("/x", 3, "a stream handler is a function, not of type int"),
            ("/ipfs/ping/1.0.0", echo, "the host itself speaks"),
            ("/meshsub/1.1.0", echo, "the host itself speaks"),
            ("", echo, "cannot name a protocol"),
        ):
            with pytest.raises(LocalProtocolError, match=reason):
                a.set_stream_handler(protocol, handler)
        with pytest.raises(LocalProtocolError, match="streams are at least 1: 1, 0 of a peer"):
            a.set_stream_handler("/x", echo, max_streams=1, max_streams_per_peer=0)
        for protocols in ("", [], ["/x", "a\nb"]):
            with pytest.raises(LocalProtocolError):
                await a.open_stream(b.peer_id, protocols)
        with pytest.raises(LocalProtocolError):
            await a.open_stream("nobody", ECHO)
        async with await b.open_stream(a.peer_id, ECHO) as stream:
            await stream.send(b"still")
            assert await stream.receive() == b"still"
    with pytest.raises(LocalProtocolError, match="the host is closed"):
        await a.open_stream(b.peer_id, ECHO)


async def test_peers_are_told_of_the_protocols() -> None:
    network = MemoryNetwork(Path(latency=0.01))
    async with Host(network=network.machine()) as a, Host(network=network.machine()) as b:
        b.set_stream_handler(ECHO, echo)
        await a.connect(b.addresses[0])
        await anyio.sleep(1)
        assert ECHO in a.peers()[0].protocols


async def test_a_reset_on_this_side_does_not_look_like_the_end_of_what_came() -> None:
    async with two_hosts() as (a, b):

        async def say_something(stream: PeerStream) -> None:
            await stream.send(b"half of it was read")

        b.set_stream_handler("/x", say_something)
        async with await a.open_stream(b.peer_id, "/x") as stream:
            assert await stream.receive(4) == b"half"
            await anyio.sleep(1)  # all of it is here, and the peer's end
            stream.reset()  # as another task might, which gives up
            with pytest.raises(StreamReset, match="it was reset here"):
                await stream.receive()
        async with await a.open_stream(b.peer_id, "/x") as stream:
            assert len(await stream.receive()) == 19
            await anyio.sleep(1)
            stream.reset()
            assert await stream.receive() == b""  # nothing was lost
