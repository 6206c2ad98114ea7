"""Hosts in a program that asyncio runs itself: what arrives is worked off in no task there, and
sniffio, which trio brings along and anyio asks, finds a task or nothing."""

from __future__ import annotations

import asyncio
import contextvars

import anyio
import pytest
import sniffio

from gossipsub import GossipParams, Host, PeerStream, TopicParams
from gossipsub.router.message_id import origin_id
from gossipsub.wire.rpc import Message

ECHO = "/test/echo/1.0.0"


async def echo(stream: PeerStream) -> None:
    await stream.send(await stream.receive())
    await stream.send_eof()


async def talk() -> list[object]:
    """A stream's handler is started, and an application's function called, by what arrives."""
    libraries: list[str] = []

    def message_id(message: Message) -> bytes:
        libraries.append(sniffio.current_async_library())
        return origin_id(message)

    params = GossipParams(topics={"news": TopicParams(message_id=message_id)})
    async with Host(params=params) as one, Host() as two:
        one.set_stream_handler(ECHO, echo)
        await two.connect(one.addresses[0])
        async with await two.open_stream(one.peer_id, ECHO) as stream:
            await stream.send(b"echo")
            echoed = await stream.receive()
        topic = await two.join("news")
        async with (await one.join("news")).subscribe() as messages:
            await topic.publish(b"hello", wait_for=1, timeout=10)
            with anyio.fail_after(10):
                heard = (await anext(messages)).data
        return [echoed, heard, set(libraries)]


@pytest.mark.parametrize("debug", [False, True])
def test_stream_handlers_start_and_functions_are_called_without_a_task(debug: bool) -> None:
    context = contextvars.Context()  # as in a program of its own
    assert context.run(asyncio.run, talk(), debug=debug) == [b"echo", b"hello", {"asyncio"}]
