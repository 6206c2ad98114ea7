"""A stream against a peer that does only what it is told."""

from __future__ import annotations

import anyio
import pytest

from gossipsub import Host, LocalProtocolError, PeerStream, StreamReset
from gossipsub.conformance.scripted_peer import dial
from gossipsub.wire.yamux_frame import INITIAL_WINDOW_BYTES

pytestmark = pytest.mark.anyio


async def test_no_more_than_a_window_waits_to_be_read() -> None:
    """Credit comes back for what the application has read, and for nothing else."""
    opened: list[PeerStream] = []
    done = anyio.Event()

    async def hold(stream: PeerStream) -> None:
        opened.append(stream)
        await done.wait()

    async with Host() as host, dial(host.addresses[0], seed=1) as w:
        await w.serve_identify()
        host.set_stream_handler("/x", hold)
        theirs = await w.open_stream("/x")
        before = theirs.window
        for _ in range(before // 1024):
            await theirs.send(bytes(1024))
        await w.ping(1)  # all of it has been worked off
        assert theirs.credited_bytes < 1024
        (stream,) = opened
        with anyio.fail_after(20):
            read = 0
            while read < before - 1023:
                read += len(await stream.receive())
            while theirs.credited_bytes < INITIAL_WINDOW_BYTES // 2:
                await w.ping(read)
                read += 1
        done.set()


async def test_the_peers_end_is_answered_when_the_handler_returns() -> None:
    async def greet(stream: PeerStream) -> None:
        assert await stream.receive() == b""
        await stream.send(b"bye")

    async with Host() as host, dial(host.addresses[0], seed=1) as w:
        await w.serve_identify()
        host.set_stream_handler("/x", greet)
        theirs = await w.open_stream("/x")
        await theirs.finish()
        assert await theirs.read_to_end() == b"bye"


async def test_a_name_that_cannot_be_negotiated_opens_no_stream() -> None:
    async with Host() as host, dial(host.addresses[0], seed=1) as w:
        await w.serve_identify()
        await w.wait_pubsub()
        before = len(w.accepted)
        with pytest.raises(LocalProtocolError, match="cannot name a protocol"):
            await host.open_stream(w.peer_id, ["/x", ""])
        await w.ping(1)
        assert len(w.accepted) == before


async def test_a_stream_that_the_peer_resets_before_it_agrees_is_told() -> None:
    async with Host() as host, dial(host.addresses[0], seed=1) as w:
        with anyio.fail_after(20):
            while not host.peers():
                await anyio.sleep(0.005)
        await w.accept_stream()  # identify: this peer answers nothing

        async def reset_the_next() -> None:
            await (await w.accept_stream()).reset()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reset_the_next)
            with pytest.raises(StreamReset, match="it ended before a protocol was agreed on"):
                await host.open_stream(w.peer_id, "/x")
