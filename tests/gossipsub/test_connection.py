"""A connection by itself, before and after its time."""

from __future__ import annotations

from contextlib import asynccontextmanager
from types import SimpleNamespace

import anyio
import pytest
from anyio.abc import SocketListener

from gossipsub.config import HostConfig
from gossipsub.crypto.keys import PrivateKey
from gossipsub.timers import Timers
from gossipsub.transport.connection import Connection
from gossipsub.transport.upgrade import upgrade
from gossipsub.wire.multistream import ProtocolTable
from gossipsub.wire.yamux import GoneAway, YamuxLimits

pytestmark = pytest.mark.anyio

KEYS = [PrivateKey.from_seed(bytes(31) + bytes([number])) for number in (1, 2)]


class Opposite:
    """The other end: what the connection under test sent, as yamux events."""

    def __init__(self, socket, noise, session) -> None:
        self._socket, self._noise, self._session = socket, noise, session

    async def events_to_the_end(self) -> list[object]:
        events: list[object] = []
        with anyio.fail_after(2):
            while True:
                while (event := self._session.next_event()) is not None:
                    events.append(event)
                received = self._noise.next_event()
                if received is not None:
                    self._session.receive_data(received.data)
                    continue
                try:
                    self._noise.receive_data(await self._socket.receive())
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    return events


@asynccontextmanager
async def connection_and_opposite(config: HostConfig | None = None):
    """A connection that is not yet run, upgraded over loopback; timers run."""
    ends = {}

    async def secure(name, socket, key, outbound):
        ends[name] = (
            socket,
            await upgrade(socket, key, outbound=outbound, expected_peer=None, limits=YamuxLimits()),
        )

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as multi:
        listener: SocketListener = multi.listeners[0]
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        dialled = await anyio.connect_tcp("127.0.0.1", port)
        accepted = await listener.accept()
    async with dialled, accepted, anyio.create_task_group() as tasks:
        async with anyio.create_task_group() as handshake:
            handshake.start_soon(secure, "mine", dialled, KEYS[0], True)
            handshake.start_soon(secure, "theirs", accepted, KEYS[1], False)
        socket, mine = ends["mine"]
        timers = Timers()
        tasks.start_soon(timers.run)
        connection = Connection(
            socket,
            mine.noise,
            mine.session,
            public_key=mine.public_key,
            outbound=True,
            remote_address=None,
            local_address=None,
            protocols=ProtocolTable(),
            config=config or HostConfig(close_timeout=0.3),
            timers=timers,
            flush=lambda: None,
        )
        socket, theirs = ends["theirs"]
        yield connection, Opposite(socket, theirs.noise, theirs.session)
        tasks.cancel_scope.cancel()


def say_too_much(connection: Connection) -> None:
    """Far more than the kernel takes."""
    for _ in range(60):
        stream_id = connection.session.open_stream()
        connection.session.send_data(stream_id, bytes(256 * 1024))
    connection.wake_writer()


async def test_a_connection_closed_before_it_runs_says_goodbye_and_ends():
    async with connection_and_opposite() as (connection, opposite):
        connection.close("closed early")
        with anyio.fail_after(2):
            await connection.run()
        assert await opposite.events_to_the_end() == [GoneAway(0)]
        assert (connection.end_reason, connection.is_open) == ("closed early", False)
        assert connection.ended.is_set()


async def test_a_connection_aborted_before_it_runs_ends_without_a_word():
    async with connection_and_opposite() as (connection, opposite):
        connection.abort("aborted early")
        with anyio.fail_after(2):
            await connection.run()
        assert await opposite.events_to_the_end() == []
        assert connection.end_reason == "aborted early"


async def test_a_connection_that_runs_is_closed_with_the_first_reason_given():
    async with connection_and_opposite() as (connection, _opposite):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.run)
            await anyio.sleep(0.01)
            connection.close("first")
            connection.close("second")
            connection.abort("third")
        assert connection.end_reason == "first"


@pytest.mark.parametrize("end", [Connection.close, Connection.abort], ids=["closed", "aborted"])
async def test_no_stream_is_opened_on_a_connection_about_to_end(end):
    failed, never = [], SimpleNamespace()
    async with connection_and_opposite() as (connection, _opposite):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.run)
            await anyio.sleep(0.01)
            end(connection, "over")
            for _ in range(2):
                connection.open_stream(["/x"], lambda stream: never, lambda: failed.append(1))
        assert failed == [1, 1]
        connection.open_stream(["/x"], lambda stream: never, lambda: failed.append(1))
        assert failed == [1, 1, 1]
        assert connection.streams == {}


async def test_streams_under_negotiation_fail_once_when_the_connection_ends():
    failed = []
    async with connection_and_opposite() as (connection, _opposite):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.run)
            for number in range(3):
                connection.open_stream(["/x"], None, lambda number=number: failed.append(number))
            await anyio.sleep(0.01)
            assert failed == []
            connection.abort("over")
        assert sorted(failed) == [0, 1, 2]


async def test_a_connection_ends_in_time_though_its_peer_reads_nothing():
    config = HostConfig(close_timeout=0.2, write_timeout=60)
    async with connection_and_opposite(config) as (connection, _opposite):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.run)
            say_too_much(connection)
            await anyio.sleep(0.05)
            began = anyio.current_time()
            connection.close("over")
        assert 0.1 < anyio.current_time() - began < 10
        assert connection.end_reason == "over"


async def test_a_peer_that_takes_nothing_for_too_long_is_given_up_for_that_reason():
    config = HostConfig(write_timeout=0.1)
    async with connection_and_opposite(config) as (connection, _opposite):
        say_too_much(connection)
        with anyio.fail_after(2):
            await connection.run()
        assert connection.end_reason == "the peer does not take what we write"


async def test_a_bug_in_a_handler_ends_the_connection_and_is_logged(caplog):
    async with connection_and_opposite() as (connection, _opposite):
        connection.session.next_event = lambda: 1 // 0
        with anyio.fail_after(2):
            await connection.run()
        assert connection.end_reason == "internal error"
        assert [record.getMessage() for record in caplog.records] == [
            f"a bug ended the connection peer={KEYS[1].peer_id().short()}"
        ]
