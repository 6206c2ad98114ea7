import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketAttribute

from gossipsub.transport.address import Address
from gossipsub.transport.socket import (
    READ_BYTES,
    UNREAD_BYTES,
    AsyncioListener,
    AsyncioSocket,
    connect,
)

pytestmark = pytest.mark.anyio

LOCALHOST = Address.parse("/ip4/127.0.0.1/tcp/0")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The only one whose transports these are."""
    return "asyncio"


@asynccontextmanager
async def listening() -> AsyncIterator[AsyncioListener]:
    bound = socket.create_server(("127.0.0.1", 0))
    bound.setblocking(False)
    listener = AsyncioListener(LOCALHOST, bound, memoryview(bytearray(READ_BYTES)))
    try:
        yield listener
    finally:
        await listener.aclose()


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[AsyncioSocket, AsyncioSocket]]:
    """The ends of a connection, first the one that dialled."""
    async with listening() as listener:
        dialled = await dial(listener)
        accepted = await listener.accept()
        assert isinstance(accepted, AsyncioSocket)
        try:
            yield dialled, accepted
        finally:
            await dialled.aclose()
            await accepted.aclose()


async def dial(listener: AsyncioListener) -> AsyncioSocket:
    return await connect("127.0.0.1", listener.address.port, memoryview(bytearray(READ_BYTES)))


async def drain(stream: AsyncioSocket, size: int) -> bytes:
    received = bytearray()
    with anyio.fail_after(20):
        while len(received) < size:
            received += await stream.receive()
    return bytes(received)


async def test_what_is_written_arrives() -> None:
    async with connected() as (dialled, accepted):
        assert dialled.write(b"one, ")
        await dialled.send(b"two")
        assert await drain(accepted, 8) == b"one, two"


async def test_no_more_is_received_than_asked_for() -> None:
    async with connected() as (dialled, accepted):
        dialled.write(b"abc")
        assert [await accepted.receive(2), await accepted.receive(2)] == [b"ab", b"c"]


async def test_both_ends_know_their_addresses() -> None:
    async with connected() as (dialled, accepted):
        here, there = SocketAttribute.local_address, SocketAttribute.remote_address
        assert dialled.extra(here) == accepted.extra(there)
        assert dialled.extra(there) == accepted.extra(here)


async def test_who_writes_more_than_the_kernel_takes_waits_until_it_is_read() -> None:
    async with connected() as (dialled, accepted):
        data = bytes(32 << 20)
        assert not dialled.write(data)
        with anyio.move_on_after(0.05) as waiting:
            await dialled.written()
        assert waiting.cancelled_caught
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(drain, accepted, len(data))
            with anyio.fail_after(20):
                await dialled.written()


async def test_nothing_is_read_ahead_beyond_a_bound() -> None:
    async with connected() as (dialled, accepted), anyio.create_task_group() as tasks:
        tasks.start_soon(dialled.send, bytes(32 << 20))
        await anyio.sleep(0.1)
        with anyio.fail_after(20):
            assert await drain(accepted, 1)
        await anyio.sleep(0.1)
        assert accepted.unread_bytes <= UNREAD_BYTES + READ_BYTES
        tasks.cancel_scope.cancel()


async def test_the_end_comes_behind_what_was_sent_and_leaves_the_other_direction() -> None:
    async with connected() as (dialled, accepted):
        dialled.write(b"last words")
        await dialled.send_eof()
        assert await drain(accepted, 10) == b"last words"
        for _ in range(2):
            with pytest.raises(anyio.EndOfStream):
                await accepted.receive()
        await accepted.send(b"heard")
        assert await drain(dialled, 5) == b"heard"


async def test_a_connection_that_broke_says_so_to_reader_and_writer() -> None:
    async with connected() as (dialled, accepted):
        await dialled.send(b"never read")
        await anyio.wait_all_tasks_blocked()
        await accepted.aclose()  # resets it, since something was unread
        with anyio.fail_after(20), pytest.raises(anyio.BrokenResourceError):
            await dialled.receive()
        with pytest.raises(anyio.BrokenResourceError):
            dialled.write(b"too late")
        with pytest.raises(anyio.BrokenResourceError):
            await dialled.written()


async def test_closing_wakes_reader_and_writer() -> None:
    async with connected() as (dialled, _):
        dialled.write(bytes(32 << 20))

        async def expect_closed(wait) -> None:
            with pytest.raises(anyio.ClosedResourceError):
                await wait()

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(expect_closed, dialled.receive)
                tasks.start_soon(expect_closed, dialled.written)
                await anyio.wait_all_tasks_blocked()
                await dialled.aclose()


async def take_all(stream: AsyncioSocket, expected: int, taken: list[bytes]) -> None:
    """Until so many bytes have come; ends as its connection does."""
    with anyio.CancelScope() as scope:

        def take(data: bytes | memoryview) -> None:
            taken.append(bytes(data))
            if sum(map(len, taken)) >= expected:
                scope.cancel()

        with anyio.fail_after(20):
            await stream.pass_on(take)


async def test_what_arrives_is_passed_on_behind_what_had_come_before() -> None:
    async with connected() as (dialled, accepted):
        dialled.write(b"one, ")
        await until_unread(accepted)
        taken: list[bytes] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take_all, accepted, 8, taken)
            await anyio.wait_all_tasks_blocked()
            assert taken == [b"one, "]
            dialled.write(b"two")
        assert taken == [b"one, ", b"two"]


async def test_who_is_passed_on_to_no_more_can_receive() -> None:
    async with connected() as (dialled, accepted):
        dialled.write(b"a")
        await take_all(accepted, 1, [])
        dialled.write(b"b")
        assert await drain(accepted, 1) == b"b"


async def test_what_is_raised_where_data_is_passed_on_is_raised_to_who_waits_for_it() -> None:
    calls = 0

    def fail(data: bytes | memoryview) -> None:
        nonlocal calls
        calls += 1
        raise ValueError("a bug")

    async with connected() as (dialled, accepted):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write_twice, dialled)
            with anyio.fail_after(20), pytest.raises(ValueError, match="a bug"):
                await accepted.pass_on(fail)
        assert calls == 1
        assert await drain(accepted, 1) == b"b"  # the socket itself is none the worse


async def write_twice(stream: AsyncioSocket) -> None:
    await anyio.wait_all_tasks_blocked()
    stream.write(b"a")
    await anyio.sleep(0.05)
    stream.write(b"b")


async def test_passing_on_ends_with_the_connection() -> None:
    taken: list[bytes | memoryview] = []
    async with connected() as (dialled, accepted):
        await dialled.send_eof()
        with anyio.fail_after(20), pytest.raises(anyio.EndOfStream):
            await accepted.pass_on(taken.append)
        await accepted.aclose()
        with pytest.raises(anyio.ClosedResourceError):
            await accepted.pass_on(taken.append)
    assert taken == []


async def until_unread(stream: AsyncioSocket) -> None:
    with anyio.fail_after(20):
        while not stream.unread_bytes:
            await anyio.sleep(0.001)


async def test_a_reader_that_was_cancelled_can_read_again() -> None:
    async with connected() as (dialled, accepted):
        with anyio.move_on_after(0):
            await accepted.receive()
        dialled.write(b"x")
        assert await drain(accepted, 1) == b"x"


async def test_closing_a_listener_ends_accepting() -> None:
    async with listening() as listener:

        async def accept() -> None:
            with pytest.raises(anyio.ClosedResourceError):
                await listener.accept()

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(accept)
                await anyio.wait_all_tasks_blocked()
                await listener.aclose()
        await accept()


async def test_accepting_goes_on_after_a_cancellation() -> None:
    async with listening() as listener:
        with anyio.move_on_after(0.01):
            await listener.accept()
        dialled = await dial(listener)
        with anyio.fail_after(20):
            accepted = await listener.accept()
        await asyncio.gather(dialled.aclose(), accepted.aclose())


async def test_where_nobody_listens_it_is_an_os_error() -> None:
    async with listening() as listener:
        await listener.aclose()
        with pytest.raises(ConnectionRefusedError):
            await dial(listener)
