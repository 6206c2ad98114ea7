"""What an agent can say: one method for each kind of publication."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gossipsub.chorus.membership import Membership
from gossipsub.chorus.message_options import MessageOptions
from gossipsub.chorus.message_type import (
    CONTEXT_TYPES,
    COORDINATION_TYPES,
    HMMM_TOPIC_TYPES,
    ROLE_TYPES,
    MessageType,
)
from gossipsub.chorus.publishing import Publishing
from gossipsub.pubsub.message import PublishResult
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.wire.errors import LocalProtocolError

_PUBLISHERS = {
    "publish_bzzz_message": COORDINATION_TYPES,
    "publish_hmmm_message": HMMM_TOPIC_TYPES,
    "publish_context_feedback_message": CONTEXT_TYPES,
}
_ALL_TYPES = frozenset(MessageType)

Data = Mapping[str, object] | None
"""What JSON can hold; None is sent as `null`."""


class SaysItsType(Protocol):
    """A payload that knows its type, as those in `gossipsub.chorus.payloads` do."""

    @property
    def message_type(self) -> MessageType | str: ...

    def to_data(self) -> Mapping[str, object]: ...


class Publications:
    """The part of `ChorusPubSub` that publishes.

    Every method takes `options` with the optional fields of the envelope, and returns what became
    of the message. All of them raise LocalProtocolError, and nothing was sent, where it is not
    open, `data` cannot be encoded or is too large, or a check refuses; BadPayload, a ValueError,
    where `data` is not what its type promises; and RedactionFailed where the redactor fails.
    """

    coordination_topic: str
    hmmm_topic: str
    context_topic: str
    _membership: Membership
    _publishing: Publishing

    async def publish(
        self,
        payload: SaysItsType,
        options: MessageOptions | None = None,
        *,
        topic: str | None = None,
        log_first: bool = False,
    ) -> PublishResult:
        """Publish a payload of this package, or one like them, to the topic where its type is at
        home, or to any joined `topic` of envelopes.

        With `log_first` the signed message is durable in the event log before it is sent, so that
        an agent that dies in between has said it all the same: the log can tell it to others.
        EventLogFailed, and nothing was sent, where the log cannot; LocalProtocolError where there
        is no log, or the type has no home and no `topic` was given.
        """
        if isinstance(payload, type) or not callable(getattr(payload, "to_data", None)):
            raise LocalProtocolError(
                f"publish takes a payload, as TaskClaim(task_id=…), not {_described(payload)}; "
                "publish_bzzz_message and its like take a type and a mapping"
            )
        joined = self._membership.find_enveloped(topic or self._home(payload.message_type))
        return await self._publishing.publish(
            joined, payload.message_type, payload.to_data(), options, log_first=log_first
        )

    def _home(self, message_type: MessageType | str) -> str:
        if message_type in COORDINATION_TYPES:
            return self.coordination_topic
        if message_type in HMMM_TOPIC_TYPES:
            return self.hmmm_topic
        if message_type in CONTEXT_TYPES:
            return self.context_topic
        raise LocalProtocolError(f"say to which topic: {_described(message_type)} has no home")

    async def publish_bzzz_message(
        self, message_type: MessageType, data: Data, options: MessageOptions | None = None
    ) -> PublishResult:
        """Publish one of the six coordination types to the coordination topic. LocalProtocolError
        also for another type."""
        _require_type("publish_bzzz_message", message_type)
        return await self._publish(self.coordination_topic, message_type, data, options)

    async def publish_hmmm_message(
        self, message_type: MessageType, data: Data, options: MessageOptions | None = None
    ) -> PublishResult:
        """The same for a discussion, role or SLURP type and the meta-discussion topic."""
        _require_type("publish_hmmm_message", message_type)
        return await self._publish(self.hmmm_topic, message_type, data, options)

    async def publish_context_feedback_message(
        self, message_type: MessageType, data: Data, options: MessageOptions | None = None
    ) -> PublishResult:
        """The same for one of the five context types and the context topic."""
        _require_type("publish_context_feedback_message", message_type)
        return await self._publish(self.context_topic, message_type, data, options)

    async def publish_role_based_message(
        self, message_type: MessageType, data: Data, options: MessageOptions | None = None
    ) -> PublishResult:
        """The same for one of the ten role types, to the meta-discussion topic: `options` say
        whose handlers get it."""
        if message_type not in ROLE_TYPES:
            raise LocalProtocolError(f"not a role-based type: {_described(message_type)}")
        return await self._publish(self.hmmm_topic, message_type, data, options)

    async def publish_to_dynamic_topic(
        self,
        topic: str,
        message_type: MessageType | str,
        data: Data,
        options: MessageOptions | None = None,
    ) -> PublishResult:
        """Publish an envelope of any type, also one that is none of ours, to a dynamic topic.
        LocalProtocolError where it is not joined or has a schema of its own."""
        self._membership.find_dynamic(topic)
        return await self._publish(topic, message_type, data, options)

    async def publish_extension(
        self, topic: str, message_type: str, data: Data, options: MessageOptions | None = None
    ) -> PublishResult:
        """Publish an envelope of an application's own type to any topic of envelopes, static or
        dynamic. LocalProtocolError for one of the 31, and where the topic is not joined."""
        if not isinstance(message_type, str) or not message_type or message_type in _ALL_TYPES:
            raise LocalProtocolError(f"not a type of your own: {_described(message_type)}")
        return await self._publish(topic, message_type, data, options)

    async def publish_slurp_event_generated(
        self, data: Data, options: MessageOptions | None = None
    ) -> PublishResult:
        """Tell that a discussion's consensus made a SLURP event."""
        return await self._publish(
            self.hmmm_topic, MessageType.SLURP_EVENT_GENERATED, data, options
        )

    async def publish_slurp_event_ack(
        self, data: Data, options: MessageOptions | None = None
    ) -> PublishResult:
        """Acknowledge a SLURP event."""
        return await self._publish(self.hmmm_topic, MessageType.SLURP_EVENT_ACK, data, options)

    async def publish_slurp_context_update(
        self, data: Data, options: MessageOptions | None = None
    ) -> PublishResult:
        """Pass on what SLURP says about a context."""
        return await self._publish(self.hmmm_topic, MessageType.SLURP_CONTEXT_UPDATE, data, options)

    async def publish_raw(self, topic: str, payload: bytes) -> PublishResult:
        """Publish `payload`, JSON as a rule, without an envelope; it is redacted like others.

        To a topic with a schema of its own whatever it is; to a topic of envelopes, static or
        dynamic, an envelope of this agent with a payload of its type, since others would refuse
        anything else and blame it.
        LocalProtocolError where the topic is not joined, or this is not so.
        """
        return await self._publishing.publish_raw(self._membership.find(topic), payload)

    async def publish_signed(self, signed: SignedMessage) -> PublishResult:
        """Send a message that this agent signed before, say in an earlier life: what its event log
        holds and nobody may have heard. Where it was sent lately nothing happens.

        LocalProtocolError where it is another agent's or its topic is not joined.
        """
        return await self._publishing.publish_signed(self._membership.find(signed.topic), signed)

    async def _publish(
        self,
        topic: str,
        message_type: MessageType | str,
        data: Data,
        options: MessageOptions | None,
    ) -> PublishResult:
        joined = self._membership.find_enveloped(topic)
        return await self._publishing.publish(joined, message_type, data, options)


def _require_type(publisher: str, message_type: object) -> None:
    if message_type in _PUBLISHERS[publisher]:
        return
    for right, types in _PUBLISHERS.items():
        if message_type in types:
            raise LocalProtocolError(f"{publisher} does not take {message_type}, but {right} does")
    raise LocalProtocolError(f"not a message type: {_described(message_type)}")


def _described(message_type: object) -> str:
    if isinstance(message_type, str):
        return repr(str(message_type[:64]))
    return type(message_type).__name__
