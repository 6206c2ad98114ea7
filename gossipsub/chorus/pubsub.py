"""The agent's side of CHORUS: an agent's place in it, and what it hears."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from types import MappingProxyType, TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup

from gossipsub.arguments import peer_id_of
from gossipsub.chorus.agent_parts import AgentParts
from gossipsub.chorus.checks import Checks
from gossipsub.chorus.dead_letters import DeadLetter, DeadLetterHandler, DeadLetters
from gossipsub.chorus.delivery import Check, Delivery, Observer
from gossipsub.chorus.envelope import DEFAULT_LIMITS, Envelope, EnvelopeLimits
from gossipsub.chorus.errors import RefusalReason
from gossipsub.chorus.event_log.logger import EventLogger
from gossipsub.chorus.handlers import Handler, HandlerCalls, HandlerWrapper
from gossipsub.chorus.intake import Intake
from gossipsub.chorus.journal import Journal
from gossipsub.chorus.log_mapping import (
    CONTEXT_LOG_TOPIC,
    COORDINATION_LOG_TOPIC,
    HMMM_LOG_TOPIC,
)
from gossipsub.chorus.membership import Membership
from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.observers import Observers
from gossipsub.chorus.payloads.policy import PayloadPolicy
from gossipsub.chorus.publications import Publications
from gossipsub.chorus.publishing import Publishing, PublishingHook
from gossipsub.chorus.raw_topic import RawHandler
from gossipsub.chorus.redacting import Redaction
from gossipsub.chorus.redaction.redactor import Redactor
from gossipsub.chorus.routing import Routing
from gossipsub.chorus.statistics import ChorusStatistics
from gossipsub.chorus.topics import (
    CONTEXT_TOPIC,
    COORDINATION_TOPIC,
    HMMM_TOPIC,
    expertise_topic,
    hierarchy_topic,
    issue_topic,
    project_topic,
    role_topic,
    task_topic,
)
from gossipsub.crypto.peer_id import PeerId
from gossipsub.host import Host
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.wire.errors import LocalProtocolError

Types = MessageType | str | Iterable[MessageType | str] | None


class ChorusPubSub(Publications):
    """An agent's place in CHORUS, on a host that signs its messages (the default).

    `async with ChorusPubSub(host) as chorus:` inside the host's own `async with`. Entering joins
    the three static topics and subscribes to them; an empty name means the usual one. It raises
    LocalProtocolError when one of them is joined already or two are the same, and leaves none
    joined then. Leaving stops the handlers, a running one too, and leaves all topics.

    `logger` keeps what is said, `redactor` takes secrets out of what leaves; both are objects of
    the application or of this package. `payload_policy` says what becomes of others' messages
    whose payload is not what their type promises. `buffer` is how many messages of a topic may
    wait for its handlers (None: what the host's subscriptions keep); when full, the newest is lost
    and counted. `dead_letter_buffer` is how many refused messages are kept, `max_dynamic_topics`
    how many topics may be joined beside the static ones. `clock` gives nanoseconds since 1970 for
    timestamps.
    """

    def __init__(
        self,
        host: Host,
        coordination_topic: str = "",
        hmmm_topic: str = "",
        context_topic: str = "",
        *,
        logger: EventLogger | None = None,
        redactor: Redactor | None = None,
        payload_policy: PayloadPolicy = PayloadPolicy.WARN,
        limits: EnvelopeLimits = DEFAULT_LIMITS,
        buffer: int | None = None,
        dead_letter_buffer: int = 256,
        max_dynamic_topics: int = 256,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        if max_dynamic_topics < 0:
            raise LocalProtocolError(f"max_dynamic_topics is at least 0: {max_dynamic_topics}")
        self.coordination_topic = coordination_topic or COORDINATION_TOPIC
        self.hmmm_topic = hmmm_topic or HMMM_TOPIC
        self.context_topic = context_topic or CONTEXT_TOPIC
        self._host = host
        self._observers = Observers()
        self._journal = Journal(
            logger,
            {
                self.coordination_topic: COORDINATION_LOG_TOPIC,
                self.hmmm_topic: HMMM_LOG_TOPIC,
                self.context_topic: CONTEXT_LOG_TOPIC,
            },
        )
        self._agent = AgentParts(
            me=host.peer_id,
            limits=limits,
            clock=clock,
            payload_policy=PayloadPolicy(payload_policy),
            dead_letters=DeadLetters(dead_letter_buffer),
            checks=Checks(),
            intake=Intake(self._journal, self._observers),
            routing=Routing(),
            calls=HandlerCalls(),
        )
        self._redaction = Redaction(redactor, max_depth=limits.max_depth)
        self._publishing = Publishing(self._agent, self._journal, self._redaction)
        self._membership = Membership(
            host, self._agent, buffer=buffer, max_dynamic=max_dynamic_topics
        )
        self._tasks: TaskGroup | None = None

    # -- life ------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        tasks = anyio.create_task_group()
        await tasks.__aenter__()
        try:
            names = (self.coordination_topic, self.hmmm_topic, self.context_topic)
            await self._membership.open(tasks, names)
        except BaseException:
            # What was joined was left: no task is running.
            await tasks.__aexit__(None, None, None)
            raise
        self._tasks = tasks
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
            self._membership.close()

    async def close(self) -> None:
        """Leave all topics and stop the handlers, running ones too; nothing is published or heard
        from now on. May be called again, and in a handler."""
        self._membership.close()

    @property
    def host(self) -> Host:
        """The host it was made on."""
        return self._host

    # -- topics that come and go -----------------------------------------------------------

    async def join_dynamic_topic(self, topic: str) -> None:
        """Join a topic of envelopes, or nothing where it is joined already. HMMM's rooms, those
        that `join_issue_topic` joins, are joined as such.

        LocalProtocolError: a static topic, one the application has joined itself, no non-empty
        text, more than `max_dynamic_topics`, or not open.
        """
        await self._membership.join((topic,))

    def leave_dynamic_topic(self, topic: str) -> None:
        """Leave it and drop its handlers; a running one is left to end. Nothing happens where it
        is not joined. LocalProtocolError for a static topic."""
        self._membership.leave(topic)

    def is_joined(self, topic: str) -> bool:
        """Whether this agent is in that topic, static or dynamic, of envelopes or not."""
        return topic in self._membership.topics

    async def join_project_topic(self, project_id: str) -> str:
        """Join the project's coordination topic; returns its name. LocalProtocolError also where
        the id is empty or holds a slash or a control character."""
        return await self._join_one(project_topic(project_id))

    async def join_task_topic(self, task_id: str) -> str:
        """The same for the topic of a task."""
        return await self._join_one(task_topic(task_id))

    async def join_issue_topic(self, issue_id: str | int) -> str:
        """The same for HMMM's room about an issue, whose messages are no envelopes:
        `subscribe_raw_topic` gives it a handler, `publish_raw` speaks in it."""
        return await self._join_one(issue_topic(issue_id))

    async def _join_one(self, topic: str) -> str:
        await self.join_dynamic_topic(topic)
        return topic

    async def join_role_based_topics(
        self, role: str, expertise: Iterable[str] = (), reports_to: Iterable[str] = ()
    ) -> tuple[str, ...]:
        """Be of that role and expertise (`set_role`), and join the topics of the role, of each
        field of expertise and of each supervisor; returns their names.

        An empty role joins no topic of a role. All topics are joined or none; errors as in
        `join_project_topic`.
        """
        if isinstance(expertise, str) or isinstance(reports_to, str):
            raise LocalProtocolError("expertise and reports_to are several texts, not one")
        expertise = tuple(expertise)
        topics = [role_topic(role)] if role else []
        topics += [expertise_topic(field) for field in expertise]
        topics += [hierarchy_topic(supervisor) for supervisor in reports_to]
        await self._membership.join(topics)
        self._agent.routing.set(role, expertise)
        return tuple(dict.fromkeys(topics))

    def set_role(
        self, role: str = "", expertise: Iterable[str] = (), *, sees_everything: bool = False
    ) -> None:
        """What this agent is and knows, from now on.

        Of messages with `to_roles` its handlers get those to its role, of those with
        `required_expertise` those that ask for a field it knows; all with `sees_everything`.
        Names are compared as they stand in topics: "Tech Lead" is tech_lead.
        """
        self._agent.routing.set(role, expertise, sees_everything=sees_everything)

    # -- handling --------------------------------------------------------------------------

    def set_bzzz_message_handler(self, handler: Handler | None, types: Types = None) -> None:
        """Hand messages of the coordination topic to `handler`: those of the given type or types
        (unknown ones are plain strings), or all that have no handler of their own.

        It replaces the handler there was; None removes it. Messages of this node, and those for
        other roles, are never handed over. An exception in a handler is logged and stops nothing.
        `current_delivery` tells a handler more about the message. LocalProtocolError: not open.
        """
        self._set_handler(self.coordination_topic, handler, types)

    def set_hmmm_message_handler(self, handler: Handler | None, types: Types = None) -> None:
        """The same for the meta-discussion topic."""
        self._set_handler(self.hmmm_topic, handler, types)

    def set_context_feedback_handler(self, handler: Handler | None, types: Types = None) -> None:
        """The same for the context topic."""
        self._set_handler(self.context_topic, handler, types)

    def set_dynamic_handler(self, topic: str, handler: Handler | None, types: Types = None) -> None:
        """The same for any topic of envelopes that is joined. LocalProtocolError also where it is
        not, or has a schema of its own."""
        self._set_handler(topic, handler, types)

    def _set_handler(self, topic: str, handler: Handler | None, types: Types) -> None:
        handlers = self._membership.handlers_of(topic)
        handlers.set(handler, (types,) if isinstance(types, str) else types)

    async def join_raw_topic(self, topic: str) -> None:
        """Join a topic whose messages have a schema of their own. A dynamic topic of envelopes
        that is joined becomes one, and its handlers are dropped. Errors as in
        `join_dynamic_topic`."""
        await self._membership.join_raw(topic)

    async def subscribe_raw_topic(self, topic: str, handler: RawHandler | None) -> None:
        """Join the topic as `join_raw_topic` does and hand its messages to `handler` as they are,
        in place of the handler there was; None removes it."""
        if handler is not None and not callable(handler):
            kind = type(handler).__name__
            raise LocalProtocolError(f"a handler is a function, not of type {kind}")
        content = await self._membership.join_raw(topic)
        content.handler = handler

    # -- following everything --------------------------------------------------------------

    def add_observer(self, observer: Observer) -> None:
        """Have `observer` told of every envelope accepted from others or about to be sent, in
        all topics, in the order observers were added."""
        self._observers.add(observer)

    def remove_observer(self, observer: Observer) -> None:
        """LocalProtocolError when it was not added."""
        self._observers.remove(observer)

    def add_check(self, check: Check, *, live_only: bool = False, own_too: bool = False) -> None:
        """Have `check` asked about every envelope of others, in all topics; it may refuse.

        With `live_only` not about old ones that are caught up, as limits of rates should not be.
        With `own_too` also about this agent's own before they leave, where a refusal is a
        LocalProtocolError to whoever publishes.
        """
        self._agent.checks.add(check, live_only=live_only, own_too=own_too)

    def add_publishing_hook(self, hook: PublishingHook) -> None:
        """Have `hook(message_type, data)` return the payload of every envelope of ours that is to
        be sent in place of `data`, in the order hooks were added, before redaction."""
        self._publishing.add_hook(hook)

    def remove_publishing_hook(self, hook: PublishingHook) -> None:
        """LocalProtocolError when it was not added."""
        self._publishing.remove_hook(hook)

    def add_handler_wrapper(self, wrapper: HandlerWrapper) -> None:
        """Have handlers of envelopes called through `wrapper(handler)`, that of the last one added
        outermost."""
        self._agent.calls.add(wrapper)

    def remove_handler_wrapper(self, wrapper: HandlerWrapper) -> None:
        """LocalProtocolError when it was not added."""
        self._agent.calls.remove(wrapper)

    async def call_handler(self, handler: Handler, delivery: Delivery) -> bool:
        """Call `handler` as handlers of topics are called, wrappers and all: for observers that
        hand on what they hear. False when it failed, which is logged and goes no further."""
        return await self._agent.calls.call(handler, delivery)

    def is_for_us(self, envelope: Envelope) -> bool:
        """Whether the message's roles and expertise let this agent's handlers have it."""
        return self._agent.routing.is_for_us(envelope)

    def set_redactor(self, redactor: Redactor | None) -> None:
        """Let it see all that leaves from now on, raw publications too; None lets everything
        pass."""
        self._redaction.redactor = redactor

    def get_hypercore_log(self) -> EventLogger | None:
        """The event log that was given as `logger`."""
        return self._journal.event_logger

    def catch_up(self, signed: SignedMessage) -> bool:
        """Take an old message that another node's log told: it is judged as if it had arrived,
        but for limits of rates, logged, told to the observers, and handed to its handler when it
        is its turn.

        False, and nothing happened, where it is known, not genuine, refused, not of a joined
        topic of envelopes, or where 4,096 (or 16 MiB) of its topic wait for their handlers:
        offer it again later then. Verifies the signature (110 us) unless it is known.
        """
        return self._membership.catch_up(signed)

    def is_known(self, origin: bytes) -> bool:
        """Whether a message was taken before, as far as this agent or its event log remembers."""
        return self._agent.intake.is_known(origin)

    def topics_of_envelopes(self) -> tuple[str, ...]:
        """The joined topics whose messages are envelopes: those that `catch_up` takes."""
        return self._membership.topics_of_envelopes()

    # -- looking at it ---------------------------------------------------------------------

    async def wait_for_peers(self, count: int, *, timeout: float, topic: str | None = None) -> None:
        """Return when `count` peers are in each static topic, or in `topic`; TimeoutError after
        `timeout` seconds, LocalProtocolError where it is not joined."""
        topics = self._membership.static() if topic is None else (self._membership.find(topic),)
        with anyio.fail_after(timeout):
            for joined in topics:
                await joined.topic.wait_for_peers(count, timeout=timeout)

    def peers(self, topic: str | None = None) -> tuple[PeerId, ...]:
        """Connected peers in `topic`, or in the coordination topic. LocalProtocolError where it is
        not joined."""
        return self._membership.find(topic or self.coordination_topic).topic.peers()

    def statistics(self) -> ChorusStatistics:
        """What has happened since the topics were joined, in numbers."""
        topics = {name: topic.statistics() for name, topic in self._membership.topics.items()}
        return ChorusStatistics(
            MappingProxyType(topics),
            self._agent.dead_letters.counts(),
            refused_by_agent=self._agent.dead_letters.counts_by_agent(),
            log_failures=self._journal.failures,
            redaction_failures=self._redaction.failures,
        )

    def dead_letters(
        self,
        *,
        reason: RefusalReason | None = None,
        topic: str | None = None,
        sender: PeerId | str | None = None,
    ) -> tuple[DeadLetter, ...]:
        """The newest messages that were refused, oldest first, with the reasons: all, or those
        with this reason, topic and signer."""
        agent = None if sender is None else peer_id_of(sender)
        return self._agent.dead_letters.letters(reason=reason, topic=topic, sender=agent)

    def set_dead_letter_handler(self, handler: DeadLetterHandler | None) -> None:
        """Tell `handler` of each message that is refused from now on; it replaces the one there
        was, None removes it. It must be quick."""
        self._agent.dead_letters.set_handler(handler)
