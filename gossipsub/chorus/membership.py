"""The topics an agent is in: three static ones, and others that come and go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from anyio.abc import TaskGroup

from gossipsub.chorus.agent_parts import AgentParts
from gossipsub.chorus.envelope_topic import EnvelopeTopic
from gossipsub.chorus.handlers import Handlers
from gossipsub.chorus.joined_topic import JoinedTopic
from gossipsub.chorus.raw_topic import RawTopic
from gossipsub.chorus.topics import is_issue_topic
from gossipsub.host import Host
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.wire.errors import LocalProtocolError


class Membership:
    """Owns the joined topics, and starts their readers."""

    def __init__(
        self,
        host: Host,
        agent: AgentParts,
        *,
        buffer: int | None,
        max_dynamic: int,
    ) -> None:
        self._host = host
        self._agent = agent
        self._tasks: TaskGroup | None = None
        self._buffer = buffer
        self._max_dynamic = max_dynamic
        self._topics: dict[str, JoinedTopic] = {}
        self._static: tuple[str, ...] = ()
        self._is_closed = False

    @property
    def topics(self) -> Mapping[str, JoinedTopic]:
        """Those that are joined, by name; the static ones first."""
        return self._topics

    # -- joining ---------------------------------------------------------------------------

    async def open(self, tasks: TaskGroup, names: Iterable[str]) -> None:
        """Join the static topics, all or none, and read them in `tasks`; LocalProtocolError when
        one of them is joined already."""
        if self._tasks is not None:
            raise LocalProtocolError("it is opened once; make another")
        self._tasks = tasks
        joined: list[JoinedTopic] = []
        try:
            for name in names:
                joined.append(await self._open(EnvelopeTopic(name, self._agent)))
        except BaseException:
            self._leave(joined, stop_handlers=True)
            raise
        self._static = tuple(topic.name for topic in joined)

    async def join(self, names: Iterable[str]) -> None:
        """Join dynamic topics, all or none; those that are joined already stay as they are.

        LocalProtocolError: a static topic, more than the limit, a name that is none, or a topic
        that the application has joined itself.
        """
        self._require_open()
        new = [name for name in dict.fromkeys(names) if self._is_new(name)]
        self._require_room(len(new))
        joined: list[JoinedTopic] = []
        try:
            for name in new:
                joined.append(await self._open(self._content(name)))
        except BaseException:
            self._leave(joined, stop_handlers=True)
            raise

    async def join_raw(self, name: str) -> RawTopic:
        """Join a dynamic topic, or turn one that is joined, for messages with a schema of their
        own; errors as in `join`."""
        self._require_open()
        content = RawTopic(name, self._agent)
        if self._is_new(name):
            self._require_room(1)
            await self._open(content)
            return content
        topic = self._topics[name]
        if isinstance(topic.content, RawTopic):
            return topic.content
        topic.become_raw(content)
        return content

    def leave(self, name: str) -> None:
        """Nothing happens where it is not joined. A running handler is left to end.
        LocalProtocolError for a static topic."""
        if name in self._static:
            raise LocalProtocolError(f"a static topic is not left: {name}")
        topic = self._topics.get(name)
        if topic is not None:
            self._leave([topic], stop_handlers=False)

    def close(self) -> None:
        """Leave all topics and stop running handlers."""
        self._is_closed = True
        for topic in self._topics.values():
            topic.close(stop_handler=True)

    def _content(self, name: str) -> EnvelopeTopic | RawTopic:
        # HMMM's rooms about issues have a schema of their own whoever joins them.
        if is_issue_topic(name):
            return RawTopic(name, self._agent)
        return EnvelopeTopic(name, self._agent)

    async def _open(self, content: EnvelopeTopic | RawTopic) -> JoinedTopic:
        topic = await JoinedTopic.open(self._host, content, buffer=self._buffer)
        self._topics[topic.name] = topic
        self._require_open().start_soon(topic.run)
        return topic

    def _leave(self, topics: Iterable[JoinedTopic], *, stop_handlers: bool) -> None:
        for topic in topics:
            self._topics.pop(topic.name, None)
            topic.close(stop_handler=stop_handlers)

    def _is_new(self, name: str) -> bool:
        if name in self._static:
            raise LocalProtocolError(f"a static topic is always joined: {name}")
        return name not in self._topics

    def _require_room(self, count: int) -> None:
        if len(self._topics) - len(self._static) + count > self._max_dynamic:
            raise LocalProtocolError(
                f"at most {self._max_dynamic} dynamic topics are joined; leave some first"
            )

    # -- finding ---------------------------------------------------------------------------

    def find(self, name: str) -> JoinedTopic:
        """LocalProtocolError where it is not joined."""
        self._require_open()
        topic = self._topics.get(name)
        if topic is None:
            raise LocalProtocolError(f"not joined: {name!r}")
        return topic

    def find_dynamic(self, name: str) -> JoinedTopic:
        """LocalProtocolError where it is not joined, or static."""
        if name in self._static:
            raise LocalProtocolError(f"not a dynamic topic: {name}")
        return self.find(name)

    def find_enveloped(self, name: str) -> JoinedTopic:
        """LocalProtocolError where it is not joined, or carries no envelopes."""
        topic = self.find(name)
        _envelopes_of(topic)
        return topic

    def handlers_of(self, name: str) -> Handlers:
        """The same errors."""
        return _envelopes_of(self.find(name)).handlers

    def catch_up(self, signed: SignedMessage) -> bool:
        """False also where its topic is not joined or carries no envelopes."""
        self._require_open()
        topic = self._topics.get(signed.topic)
        if topic is None or not isinstance(topic.content, EnvelopeTopic):
            return False
        return topic.content.catch_up(signed)

    def topics_of_envelopes(self) -> tuple[str, ...]:
        return tuple(
            name for name, each in self._topics.items() if isinstance(each.content, EnvelopeTopic)
        )

    def static(self) -> tuple[JoinedTopic, ...]:
        self._require_open()
        return tuple(self._topics[name] for name in self._static)

    def _require_open(self) -> TaskGroup:
        if self._tasks is None or self._is_closed:
            raise LocalProtocolError("open it first: async with ChorusPubSub(host) as chorus")
        return self._tasks


def _envelopes_of(topic: JoinedTopic) -> EnvelopeTopic:
    if not isinstance(topic.content, EnvelopeTopic):
        raise LocalProtocolError(f"the topic has a schema of its own: {topic.name}")
    return topic.content
