"""The node under test, or one beside it: started and steered, or only an address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio

from gossipsub.conformance.driver import (
    Event,
    PeerError,
    PeerFailed,
    PeerLacks,
    PeerProcess,
    PeerTimeout,
)
from gossipsub.conformance.kit.verdict import CannotTry, CompanionFailed
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.conformance.scripted_wire import PATIENCE, Journal

ANSWER_SECONDS = 3.0
"""For a node of ours that has not said what was waited for: whether it answers at all."""


class Node:
    """Made by `Trial`. Its commands and answers are in `journal`."""

    def __init__(
        self, address: str, *, topic: str, heartbeat: float, process: PeerProcess | None
    ) -> None:
        self.address = address
        """A multiaddr to reach it at; ends in its peer id."""
        self.topic = topic
        """A topic it is subscribed to, where the case asked for that."""
        self.heartbeat = heartbeat
        """Seconds between its heartbeats."""
        self.topics: set[str] = set()
        """What it is subscribed to, as far as the kit knows."""
        self.journal = Journal()
        self._process = process

    @property
    def peer_id(self) -> str:
        return self.address.rpartition("/p2p/")[2]

    @property
    def process(self) -> PeerProcess:
        """The test peer that runs it. CannotTry where it is not ours to steer."""
        if self._process is None:
            raise CannotTry("needs control of the target")
        return self._process

    @property
    def is_steered(self) -> bool:
        """Whether it takes commands."""
        return self._process is not None

    async def command(self, name: str, /, timeout: float | None = None, **fields: Any) -> Event:
        """As of the process."""
        self.journal.note("command", {"cmd": name, **fields}, sent=True)
        try:
            answer = await self.process.command(name, timeout=timeout, **fields)
        except PeerError as error:
            self.journal.note("command", {"error": error.reason}, sent=False)
            raise
        self.journal.note("command", answer, sent=False)
        if name == "subscribe":
            self.topics.add(fields["topic"])
        elif name == "unsubscribe":
            self.topics.discard(fields["topic"])
        return answer

    @asynccontextmanager
    async def meanwhile(self, name: str, /, **fields: Any) -> AsyncIterator[None]:
        """Have a command under way that may take long, or fail: nobody waits for its answer.
        PeerLacks, in a group, where the node has no such command."""

        async def run() -> None:
            try:
                await self.command(name, timeout=60, **fields)
            except PeerLacks:
                raise
            except (PeerError, PeerFailed):
                pass

        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            try:
                yield
            except Exception as error:  # the script's own: raised below, not as part of a group
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def publish(self, data: bytes, topic: str | None = None) -> Event:
        self.journal.note("command", {"cmd": "publish", "bytes": len(data)}, sent=True)
        return await self.process.publish(self.topic if topic is None else topic, data)

    async def wait_answer(
        self,
        name: str,
        /,
        where: Callable[[Event], bool],
        *,
        timeout: float = PATIENCE,
        **fields: Any,
    ) -> Event:
        """Ask the same question until `where` holds for the answer. PeerTimeout after `timeout`
        seconds; CannotTry where the target has no such command."""
        answer = await self.process.wait_answer(name, where, timeout=timeout, **fields)
        self.journal.note("command", answer, sent=False)
        return answer

    async def has_in_mesh(self, w: ScriptedPeer, topic: str | None = None) -> None:
        """Wait until W is in its mesh of the topic."""
        await self.wait_answer(
            "mesh", lambda got: str(w.peer_id) in got["peers"], topic=topic or self.topic
        )

    async def delivered(self, data: bytes, *, timeout: float = PATIENCE) -> Event:
        """Wait until its application got this message; the event."""
        event = await self.process.wait_event(
            "message", timeout=timeout, where=lambda event: event["data"] == data
        )
        self.journal.note("delivery", event, sent=False)
        return event


class Companion(Node):
    """A node of this project beside the target. What it has to do by itself and cannot is no fault
    of the target's: CompanionFailed. What it sees of the target is the target's doing."""

    async def command(self, name: str, /, timeout: float | None = None, **fields: Any) -> Event:
        try:
            return await super().command(name, timeout=timeout, **fields)
        except (PeerError, PeerTimeout) as error:
            if name == "connect":  # which takes two
                raise
            raise CompanionFailed(str(error)) from error

    async def publish(self, data: bytes, topic: str | None = None) -> Event:
        try:
            return await super().publish(data, topic)
        except (PeerError, PeerTimeout) as error:
            raise CompanionFailed(str(error)) from error

    async def wait_answer(
        self,
        name: str,
        /,
        where: Callable[[Event], bool],
        *,
        timeout: float = PATIENCE,
        **fields: Any,
    ) -> Event:
        try:
            return await super().wait_answer(name, where, timeout=timeout, **fields)
        except PeerError as error:
            raise CompanionFailed(str(error)) from error
        except PeerTimeout:
            await self.command(name, timeout=ANSWER_SECONDS, **fields)
            raise  # it does answer: so that is what it sees

    async def delivered(self, data: bytes, *, timeout: float = PATIENCE) -> Event:
        try:
            return await super().delivered(data, timeout=timeout)
        except PeerTimeout:
            await self.command("peers", timeout=ANSWER_SECONDS)
            raise
