"""Hosts on uvloop, whose clock and transports are not Python's."""

from __future__ import annotations

import anyio
import pytest

from gossipsub import Host
from gossipsub.conformance.scripted_peer import Frame, dial
from gossipsub.wire.yamux_frame import PING, SYN

pytest.importorskip("uvloop")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize(
        "anyio_backend", [("asyncio", {"use_uvloop": True})], ids=["uvloop"], scope="module"
    ),
]


async def test_a_ping_takes_time_even_less_than_a_millisecond():
    async with Host() as a, Host() as b:
        await b.connect(a.addresses[0])
        assert 0 < await b.ping(a.peer_id) < 10
        assert 0 < await a.ping(b.peer_id) < 10


async def test_messages_of_all_sizes_arrive_in_their_order():
    async with Host() as a, Host() as b:
        await b.connect(a.addresses[0])
        here, there = await a.join("t"), await b.join("t")
        async with here.subscribe(), there.subscribe() as messages:
            with anyio.fail_after(30):
                await here.wait_for_peers(1, timeout=10)
                sent = [bytes([number]) * (1 << number % 20) for number in range(60)]
                for data in sent:
                    await here.publish(data)
                assert [(await anext(messages)).data for _ in sent] == sent


async def test_what_was_published_right_before_leaving_arrives():
    async with Host() as b:
        there = await b.join("t")
        async with there.subscribe() as messages:
            async with Host() as a:
                here = await a.join("t")
                await a.connect(b.addresses[0])
                await here.wait_for_peers(1, timeout=10)
                for number in range(50):
                    await here.publish(bytes([number]) * 20_000)
            with anyio.fail_after(10):
                assert [(await anext(messages)).data[0] for _ in range(50)] == list(range(50))


@pytest.mark.rule("YMX-15")
async def test_whoever_breaks_the_protocol_hears_so_before_the_connection_ends():
    async with Host() as host, dial(host.addresses[0]) as w:
        await w.send_frames(Frame(PING, SYN, 0, 1, version=1))
        assert await w.wait_goaway(timeout=10) == 1
        await w.wait_ended(timeout=10)
