"""Hosts of ours in this process, all connected to one node and otherwise idle.

Whose node it is does not matter, so that what differs between two implementations is the node.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from gossipsub import Host
from gossipsub.conformance.driver import PeerProcess

SEEN_SECONDS = 30.0


class Crowd:
    """Made by `open_crowd`; grows, and leaves when its block ends."""

    def __init__(self, node: PeerProcess, topics: Sequence[str], hosts: AsyncExitStack) -> None:
        self._node = node
        self._topics = topics
        self._hosts = hosts
        self._size = 0

    async def grow(self, size: int) -> None:
        """Return when so many hosts are connected, by the node's own account.

        GossipSubError where one cannot connect, PeerTimeout where the node does not see them all
        within 30 seconds.
        """
        while self._size < size:
            await self._hosts.enter_async_context(_member(self._node, self._topics))
            self._size += 1
        await self._node.wait_answer(
            "peers", lambda answer: len(answer["peers"]) >= size, timeout=SEEN_SECONDS
        )


@asynccontextmanager
async def open_crowd(node: PeerProcess, *, topics: Sequence[str] = ()) -> AsyncIterator[Crowd]:
    """An empty crowd, whose hosts will subscribe to the topics."""
    async with AsyncExitStack() as hosts:
        yield Crowd(node, topics, hosts)


@asynccontextmanager
async def _member(node: PeerProcess, topics: Sequence[str]) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(Host(listen=[]))
        for name in topics:
            topic = await host.join(name)
            await stack.enter_async_context(topic.subscribe())
        await host.connect(node.addresses[0])
        yield
