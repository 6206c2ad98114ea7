"""Peers of a topic found elsewhere: at a rendezvous server, in a table of hashes, in a file."""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Protocol

import anyio
from anyio.abc import TaskGroup

from gossipsub.config import HostConfig
from gossipsub.transport.address import Address, AddressError
from gossipsub.transport.dialing import Dialing

logger = logging.getLogger("gossipsub.pubsub.discovery")

LOOK_PAUSE = 1.0
"""Seconds between two looks in one topic, while somebody waits for its peers."""
MOST_FOUND = 128
"""Addresses taken from one look."""


class Discovery(Protocol):
    """What an application gives a host so that it finds peers by topic.

    An exception of its methods is logged and the call made again later. They are cancelled when
    they take too long, when the topic is left, and when the host closes.
    """

    async def advertise(self, topic: str, addresses: tuple[str, ...]) -> float | None:
        """This host takes part in the topic and listens at `addresses`: let others know.

        Returns the seconds until it is to be called again; None: `advertise_interval`.
        """

    def find_peers(self, topic: str) -> AsyncIterable[str] | Awaitable[Iterable[str]]:
        """Addresses of peers in the topic, each ending in `/p2p/PEER`: a coroutine that returns
        them, or an asynchronous generator. They are dialled as they are: whoever hears of them
        from strangers leaves out what must not be dialled."""


class TopicDiscovery:
    """Advertises topics this host takes part in, and looks for peers where there are too few.

    Works in `tasks`, set before any topic is joined. One look per topic at a time.
    """

    tasks: TaskGroup

    def __init__(
        self,
        discovery: Discovery,
        *,
        config: HostConfig,
        dialing: Dialing,
        addresses: Callable[[], tuple[str, ...]],
        topics_in_need: Callable[[], list[str]],
    ) -> None:
        self._discovery = discovery
        self._config = config
        self._dialing = dialing
        self._addresses = addresses
        self._topics_in_need = topics_in_need
        self._advertised: dict[str, anyio.CancelScope] = {}
        self._looking: dict[str, None] = {}

    def joined(self, topic: str) -> None:
        """The host takes part in a topic; harmless when it did already."""
        if topic not in self._advertised:
            self._advertised[topic] = scope = anyio.CancelScope()
            self.tasks.start_soon(self._advertise, topic, scope)
            self.look(topic)

    def left(self, topic: str) -> None:
        """The host takes no part in a topic any more, or never did."""
        scope = self._advertised.pop(topic, None)
        if scope is not None:
            scope.cancel()

    def look(self, topic: str) -> float:
        """Look for peers of a topic, unless that is under way; the seconds until it is worth
        asking again."""
        if topic not in self._looking:
            self._looking[topic] = None
            self.tasks.start_soon(self._look, topic)
        return LOOK_PAUSE

    async def run(self) -> None:
        """Look again and again, in all topics with too few peers. Runs until cancelled."""
        while True:
            await anyio.sleep(self._config.discovery_interval)
            for topic in self._topics_in_need():
                self.look(topic)

    async def _advertise(self, topic: str, scope: anyio.CancelScope) -> None:
        with scope:
            while True:
                pause = None
                try:
                    with anyio.move_on_after(self._config.discovery_timeout):
                        pause = await self._discovery.advertise(topic, self._addresses())
                except Exception:  # the user's: contained
                    logger.exception("advertising failed topic=%r", topic)
                await anyio.sleep(self._pause(pause))

    def _pause(self, wanted: float | None) -> float:
        is_time = isinstance(wanted, (int, float)) and math.isfinite(wanted) and wanted > 0
        return wanted if wanted is not None and is_time else self._config.advertise_interval

    async def _look(self, topic: str) -> None:
        try:
            started = anyio.current_time()
            try:
                with anyio.move_on_after(self._config.discovery_timeout):
                    await self._find(topic)
            except Exception:  # the user's: contained
                logger.exception("looking for peers failed topic=%r", topic)
            await anyio.sleep_until(started + LOOK_PAUSE)
        finally:
            del self._looking[topic]

    async def _find(self, topic: str) -> None:
        async with _each(self._discovery.find_peers(topic)) as found:
            count = 0
            async for text in found:
                self._take(text)
                count += 1
                if count == MOST_FOUND:
                    break

    def _take(self, text: str) -> None:
        try:
            self._dialing.connect_found(Address.parse(text))
        except AddressError as error:
            logger.debug("found what cannot be dialled error=%s", error)


@asynccontextmanager
async def _each(
    found: AsyncIterable[str] | Awaitable[Iterable[str]],
) -> AsyncIterator[AsyncIterator[str]]:
    """One after another, whichever way they come; a generator is closed at the end."""
    iterator = aiter(found) if isinstance(found, AsyncIterable) else _one_by_one(await found)
    try:
        yield iterator
    finally:
        if (close := getattr(iterator, "aclose", None)) is not None:
            await close()


async def _one_by_one(found: Iterable[str]) -> AsyncIterator[str]:
    for text in found:
        yield text
