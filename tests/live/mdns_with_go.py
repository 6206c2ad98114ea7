"""A host and a go peer that know nothing of each other but the network they are in.

Run in a network of its own, where nobody else can hear: test_mdns.py does that. Prints which of
the two dialled.
"""

from __future__ import annotations

import anyio

from gossipsub import Host
from gossipsub.conformance.driver import start_peer
from gossipsub.transport.network import TcpNetwork

LISTEN = "/ip4/0.0.0.0/tcp/0"


class Inbound(TcpNetwork):
    """Nobody can be dialled: the other has to."""

    async def connect(self, address):
        raise OSError("not from here")


async def meet(network: TcpNetwork) -> None:
    async with (
        Host(listen=LISTEN, mdns=True, network=network) as host,
        start_peer("go", listen=LISTEN, arguments=["--mdns"], start_timeout=60) as go,
    ):
        topic = await host.join("t")
        await go.command("subscribe", topic="t")
        async with topic.subscribe() as messages:
            await topic.wait_for_peers(1, timeout=60)
            await go.wait_answer("topic_peers", lambda answer: answer["peers"], topic="t")
            await topic.publish(b"from python")
            await go.wait_event("message", where=lambda event: event["data"] == b"from python")
            await go.publish("t", b"from go")
            async for message in messages:
                if message.data == b"from go":
                    break
        print("python dialled" if any(info.outbound for info in host.peers()) else "go dialled")


async def main() -> None:
    with anyio.fail_after(150):
        await meet(TcpNetwork())
        await meet(Inbound())


anyio.run(main)
