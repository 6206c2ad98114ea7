"""How a host leaves: what it said before the goodbye has been read when the goodbye comes."""

from __future__ import annotations

import logging

import anyio
import pytest

from gossipsub import Host
from gossipsub.conformance.scripted_peer import PUBSUB, ScriptedPeer, dial
from gossipsub.conformance.scripted_stream import ScriptedStream
from gossipsub.wire.rpc import Rpc, SubOpts

pytestmark = pytest.mark.anyio


async def pubsub_left_alone(w: ScriptedPeer) -> None:
    """From now on W agrees on pubsub streams and does nothing more with them."""
    await w.serve_identify()
    w.serve(*PUBSUB)


def pubsub_stream(w: ScriptedPeer) -> ScriptedStream:
    (stream,) = (stream for stream in w.accepted if stream.protocol in PUBSUB)
    return stream


@pytest.mark.rule("T8")
@pytest.mark.parametrize("answer", [ScriptedStream.finish, ScriptedStream.reset])
async def test_the_goodbye_waits_until_the_peer_ends_the_stream_it_has_read_to_its_end(
    config, subscribe, caplog, answer
):
    caplog.set_level(logging.DEBUG, "gossipsub")
    async with Host(config=config(close_timeout=30)) as host, dial(host.addresses[0]) as w:
        await pubsub_left_alone(w)
        topic = await subscribe(host, w)
        await topic.publish(b"the last words")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(host.disconnect, w.peer_id)
            stream = pubsub_stream(w)
            assert b"the last words" in await stream.read_to_end()
            await w.ping(1)
            assert w.goaway is None
            await answer(stream)
            assert await w.wait_goaway() == 0
            await w.wait_ended()
        assert (stream.reset_code, w.pubsub_out.reset_code) == (None, None)
    assert "stream reset" not in caplog.text


@pytest.mark.rule("T8")
async def test_a_peer_that_never_ends_the_stream_delays_the_goodbye_by_half_the_time_to_close(
    config, subscribe
):
    async with Host(config=config(close_timeout=2)) as host, dial(host.addresses[0]) as w:
        await pubsub_left_alone(w)
        await subscribe(host, w)
        began = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(host.disconnect, w.peer_id)
            assert await w.wait_goaway() == 0  # at the end of the whole time none would come
        assert anyio.current_time() - began > 0.9


async def test_all_connections_wait_for_their_peers_at_the_same_time(config, subscribe):
    """One after the other, the second would not be told goodbye within the time to close."""
    arrived = [anyio.Event() for _ in range(4)]

    async def hear_and_keep_silent(host: Host, seed: int) -> None:
        async with dial(host.addresses[0], seed=seed + 1) as w:
            await pubsub_left_alone(w)
            await subscribe(host, w, f"topic {seed}")
            arrived[seed].set()
            assert await w.wait_goaway() == 0

    async with anyio.create_task_group() as tasks, Host(config=config(close_timeout=2)) as host:
        for seed in range(4):
            tasks.start_soon(hear_and_keep_silent, host, seed)
        for event in arrived:
            await event.wait()


async def test_a_peer_that_leaves_is_told_that_it_was_read_when_all_has_been_worked_off(config):
    async with Host(config=config()) as host, dial(host.addresses[0]) as w:
        stream = await w.open_pubsub()  # read as soon as ours stands as well
        await w.send_rpc(Rpc(subscriptions=[SubOpts("news")]))
        await stream.finish()
        await w.ping(1)
        assert (stream.ended, host.statistics().rpc_in) == (False, 0)
        await w.serve_identify()
        await stream.read_to_end()
        assert (stream.reset_code, host.statistics().rpc_in) == (None, 1)


async def test_what_was_published_right_before_leaving_reaches_a_host_that_is_behind(config):
    """Its validation keeps the stream waiting; what waits there would die at the goodbye."""
    behind = config(validation_queue=4, subscription_buffer=1024)
    async with Host(config=behind) as reader, Host(config=config(close_timeout=20)) as writer:
        topic = await reader.join("news")
        async with topic.subscribe() as messages:
            await writer.connect(reader.addresses[0])
            publisher = await writer.join("news")
            await publisher.wait_for_peers(1, timeout=10)
            words = [b"%d" % number for number in range(300)]
            for word in words:
                await publisher.publish(word)
            await writer.disconnect(reader.peer_id)
            with anyio.fail_after(10):
                assert sorted([(await anext(messages)).data for _ in words]) == sorted(words)
