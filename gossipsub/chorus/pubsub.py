"""The agent's side of CHORUS: publish to the three static topics, handle what others publish."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from types import MappingProxyType, TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup

from gossipsub.chorus.dead_letters import DeadLetter, DeadLetters
from gossipsub.chorus.delivery import Check, Observer
from gossipsub.chorus.envelope import DEFAULT_LIMITS, Envelope, EnvelopeLimits
from gossipsub.chorus.envelope_topic import EnvelopeTopic
from gossipsub.chorus.handlers import Handler
from gossipsub.chorus.message_type import (
    CONTEXT_TYPES,
    COORDINATION_TYPES,
    HMMM_TOPIC_TYPES,
    MessageType,
)
from gossipsub.chorus.observers import Observers
from gossipsub.chorus.statistics import ChorusStatistics
from gossipsub.chorus.timestamp import Timestamp
from gossipsub.chorus.topics import CONTEXT_TOPIC, COORDINATION_TOPIC, HMMM_TOPIC
from gossipsub.host import Host
from gossipsub.pubsub.message import PublishResult
from gossipsub.wire.errors import LocalProtocolError

_PUBLISHERS = {
    "publish_bzzz_message": COORDINATION_TYPES,
    "publish_hmmm_message": HMMM_TOPIC_TYPES,
    "publish_context_feedback_message": CONTEXT_TYPES,
}


class ChorusPubSub:
    """An agent's place in CHORUS, on a host that signs its messages (the default).

    `async with ChorusPubSub(host) as chorus:` inside the host's own `async with`. Entering joins
    the three static topics and subscribes to them; an empty name means the usual one. It raises
    LocalProtocolError when one of them is joined already or two are the same, and leaves none
    joined then. Leaving stops the handlers, a running one too, and leaves the topics.

    `buffer` is how many messages of a topic may wait for its handlers (None: what the host's
    subscriptions keep); when full, the newest is lost and counted. `dead_letter_buffer` is how
    many refused messages are kept. `clock` gives nanoseconds since 1970 for timestamps.
    """

    def __init__(
        self,
        host: Host,
        coordination_topic: str = "",
        hmmm_topic: str = "",
        context_topic: str = "",
        *,
        limits: EnvelopeLimits = DEFAULT_LIMITS,
        buffer: int | None = None,
        dead_letter_buffer: int = 256,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.coordination_topic = coordination_topic or COORDINATION_TOPIC
        self.hmmm_topic = hmmm_topic or HMMM_TOPIC
        self.context_topic = context_topic or CONTEXT_TOPIC
        self._host = host
        self._limits = limits
        self._buffer = buffer
        self._clock = clock
        self._dead_letters = DeadLetters(dead_letter_buffer)
        self._observers = Observers()
        self._checks: list[Check] = []
        self._me = ""
        self._topics: dict[str, EnvelopeTopic] = {}
        self._tasks: TaskGroup | None = None
        self._was_opened = False

    # -- life ------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._was_opened:
            raise LocalProtocolError("it is opened once; make another")
        self._was_opened = True
        self._me = str(self._host.peer_id)
        with ExitStack() as undo:
            for name in (self.coordination_topic, self.hmmm_topic, self.context_topic):
                topic = await EnvelopeTopic.open(
                    self._host,
                    name,
                    buffer=self._buffer,
                    limits=self._limits,
                    dead_letters=self._dead_letters,
                    checks=self._checks,
                    observe=self._observers.tell,
                    clock=self._clock,
                )
                undo.callback(topic.close)
                self._topics[name] = topic
            tasks = anyio.create_task_group()
            await tasks.__aenter__()
            for topic in self._topics.values():
                tasks.start_soon(topic.run)
            self._tasks = tasks
            undo.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        tasks, self._tasks = self._tasks, None
        if tasks is None:
            return
        tasks.cancel_scope.cancel()
        try:
            # Not told of `error`, which would come out of a task group wrapped.
            await tasks.__aexit__(None, None, None)
        finally:
            for topic in self._topics.values():
                topic.close()

    # -- publishing ------------------------------------------------------------------------

    async def publish_bzzz_message(
        self, message_type: MessageType, data: Mapping[str, object] | None
    ) -> PublishResult:
        """Publish one of the six coordination types to the coordination topic.

        `data` is what JSON can hold; None is sent as `null`. LocalProtocolError, and nothing was
        sent: another type, data that cannot be encoded or is too large, or not opened.
        """
        _require_type("publish_bzzz_message", message_type)
        return await self._publish(self.coordination_topic, message_type, data)

    async def publish_hmmm_message(
        self, message_type: MessageType, data: Mapping[str, object] | None
    ) -> PublishResult:
        """Publish a discussion, role or SLURP type to the meta-discussion topic; else as
        `publish_bzzz_message`."""
        _require_type("publish_hmmm_message", message_type)
        return await self._publish(self.hmmm_topic, message_type, data)

    async def publish_context_feedback_message(
        self, message_type: MessageType, data: Mapping[str, object] | None
    ) -> PublishResult:
        """Publish one of the five context types to the context topic; else as
        `publish_bzzz_message`."""
        _require_type("publish_context_feedback_message", message_type)
        return await self._publish(self.context_topic, message_type, data)

    async def _publish(
        self, topic: str, message_type: MessageType, data: Mapping[str, object] | None
    ) -> PublishResult:
        self._require_running()
        envelope = Envelope(
            MessageType(message_type), self._me, Timestamp.from_unix_ns(self._clock()), data
        )
        return await self._topics[topic].publish(envelope)

    # -- handling --------------------------------------------------------------------------

    def set_bzzz_message_handler(
        self,
        handler: Handler | None,
        types: MessageType | str | Iterable[MessageType | str] | None = None,
    ) -> None:
        """Hand messages of the coordination topic to `handler`: those of the given type or types
        (unknown ones are plain strings), or all that have no handler of their own.

        It replaces the handler there was; None removes it. Messages of this node are never
        handed over. An exception in a handler is logged and stops nothing.
        """
        self._set_handler(self.coordination_topic, handler, types)

    def set_hmmm_message_handler(
        self,
        handler: Handler | None,
        types: MessageType | str | Iterable[MessageType | str] | None = None,
    ) -> None:
        """The same for the meta-discussion topic."""
        self._set_handler(self.hmmm_topic, handler, types)

    def set_context_feedback_handler(
        self,
        handler: Handler | None,
        types: MessageType | str | Iterable[MessageType | str] | None = None,
    ) -> None:
        """The same for the context topic."""
        self._set_handler(self.context_topic, handler, types)

    def _set_handler(
        self,
        topic: str,
        handler: Handler | None,
        types: MessageType | str | Iterable[MessageType | str] | None,
    ) -> None:
        self._require_running()
        self._topics[topic].handlers.set(handler, (types,) if isinstance(types, str) else types)

    # -- following everything --------------------------------------------------------------

    def add_observer(self, observer: Observer) -> None:
        """Have `observer` told of every envelope accepted from others or about to be sent, in
        all topics, in the order observers were added."""
        self._observers.add(observer)

    def remove_observer(self, observer: Observer) -> None:
        """LocalProtocolError when it was not added."""
        self._observers.remove(observer)

    def add_check(self, check: Check) -> None:
        """Have `check` asked about every envelope of others, in all topics; it may refuse."""
        self._checks.append(check)

    # -- looking at it ---------------------------------------------------------------------

    async def wait_for_peers(self, count: int, *, timeout: float) -> None:
        """Return when `count` peers are in each static topic; TimeoutError after `timeout`
        seconds."""
        self._require_running()
        with anyio.fail_after(timeout):
            for topic in self._topics.values():
                await topic.topic.wait_for_peers(count, timeout=timeout)

    def statistics(self) -> ChorusStatistics:
        """What has happened since the topics were joined, in numbers."""
        topics = {name: topic.statistics() for name, topic in self._topics.items()}
        return ChorusStatistics(MappingProxyType(topics), self._dead_letters.counts())

    def dead_letters(self) -> tuple[DeadLetter, ...]:
        """The newest messages that were refused, oldest first, with the reasons."""
        return self._dead_letters.letters()

    # -- inside ----------------------------------------------------------------------------

    def _require_running(self) -> None:
        if self._tasks is None:
            raise LocalProtocolError("open it first: async with ChorusPubSub(host) as chorus")


def _require_type(publisher: str, message_type: object) -> None:
    if message_type in _PUBLISHERS[publisher]:
        return
    for right, types in _PUBLISHERS.items():
        if message_type in types:
            raise LocalProtocolError(f"{publisher} does not take {message_type}, but {right} does")
    what = repr(message_type[:64]) if isinstance(message_type, str) else type(message_type).__name__
    raise LocalProtocolError(f"not a message type: {what}")
