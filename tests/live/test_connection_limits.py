"""Connections that a host closes of itself: to make room, or because it has another one."""

from __future__ import annotations

import anyio
import pytest

from gossipsub import Host
from gossipsub.conformance.scripted_peer import dial

pytestmark = pytest.mark.anyio


async def test_a_peer_closed_to_make_room_is_told_goodbye(config):
    config = config(max_connections=1, trim_above=1)
    async with Host(config=config) as host, dial(host.addresses[0], seed=2) as ordinary:
        await ordinary.ping(1)
        async with dial(host.addresses[0], seed=3) as refused:
            await refused.wait_ended()
            host.protect(refused.peer_id)
            async with dial(host.addresses[0], seed=3) as protected:
                await protected.ping(1)
                assert await ordinary.wait_goaway() == 0
                await protected.ping(2)
        assert host.statistics().connections_trimmed == 1


@pytest.mark.rule("CONN-02", "T4")
async def test_an_unused_second_connection_is_closed_and_the_pubsub_streams_stay(config, subscribe):
    async with (
        Host(config=config(surplus_timeout=0.2)) as host,
        dial(host.addresses[0]) as first,
        dial(host.addresses[0]) as second,
    ):
        await first.serve_identify()
        await second.serve_identify()
        await subscribe(host, first)
        await first.wait_pubsub()
        assert await second.wait_goaway() == 0
        await first.ping(1)
        assert second.pubsub_in == []
        assert len(first.pubsub_in) == 1
        with anyio.fail_after(10):
            while host.peers()[0].connections != 1:
                await anyio.sleep(0.002)
        assert host.peers()[0].topics == ("news",)
