"""How a message leaves, step by step: `Publishing.publish` is the one place where it happens."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from gossipsub.chorus.agent_parts import AgentParts
from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.envelope_topic import EnvelopeTopic, peer_text
from gossipsub.chorus.errors import EventLogFailed, MalformedEnvelope
from gossipsub.chorus.go_json import value_text
from gossipsub.chorus.joined_topic import JoinedTopic
from gossipsub.chorus.journal import Journal
from gossipsub.chorus.message_options import NO_OPTIONS, MessageOptions
from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.payloads.catalogue import check_payload
from gossipsub.chorus.redacting import Redaction, copied
from gossipsub.chorus.timestamp import Timestamp
from gossipsub.pubsub.message import PublishResult, ReceivedMessage
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.wire.errors import LocalProtocolError

logger = logging.getLogger("gossipsub.chorus.publishing")

PublishingHook = Callable[[MessageType | str, Mapping[str, object]], Mapping[str, object]]
"""Is given the type and the payload of a message of ours, and returns the payload to be sent in
its place; it must not change the one it was given. It must be quick. When it raises, or
returns what is no payload of the type, that is logged, and the payload stays as it was."""


class Publishing:
    """What all topics of one agent publish through."""

    def __init__(self, agent: AgentParts, journal: Journal, redaction: Redaction) -> None:
        self._hooks: list[PublishingHook] = []
        self._agent = agent
        self._journal = journal
        self._redaction = redaction

    def add_hook(self, hook: PublishingHook) -> None:
        if not callable(hook):
            kind = type(hook).__name__
            raise LocalProtocolError(f"a publishing hook is a function, not of type {kind}")
        self._hooks.append(hook)

    def remove_hook(self, hook: PublishingHook) -> None:
        """LocalProtocolError when it was not added."""
        if hook not in self._hooks:
            raise LocalProtocolError("this publishing hook was not added")
        self._hooks.remove(hook)

    async def publish(
        self,
        topic: JoinedTopic,
        message_type: MessageType | str,
        data: Mapping[str, object] | None,
        options: MessageOptions | None,
        *,
        log_first: bool = False,
    ) -> PublishResult:
        """Check, copy, add what hooks add, redact, encode, sign, log, tell, send."""
        if not isinstance(options, MessageOptions | None):
            kind = type(options).__name__
            raise LocalProtocolError(f"options are MessageOptions, not of type {kind}")
        payload = self._redacted(topic.name, message_type, self._prepared(message_type, data))
        envelope = self._envelope(message_type, payload, options or NO_OPTIONS)
        # Written once, for the message and for the log.
        data_text = value_text(payload, self._agent.limits.max_depth - 1)
        encoded = envelope.encode(self._agent.limits, data_text=data_text)
        self._require_allowed(topic.name, envelope, encoded)
        signed = topic.sign(encoded)
        await self._stand_behind(
            topic.name, envelope, signed, data_text=data_text, log_first=log_first
        )
        return await topic.send(signed)

    def _prepared(
        self, message_type: MessageType | str, data: Mapping[str, object] | None
    ) -> dict[str, object] | None:
        """A copy of the payload, checked, with what hooks add; None stays None where they add
        nothing."""
        if data is not None and not isinstance(data, Mapping):
            raise LocalProtocolError(f"data is a mapping, not of type {type(data).__name__}")
        check_payload(message_type, data)
        if data is None and not self._hooks:
            return None
        depth = self._agent.limits.max_depth - 1
        payload: dict[str, object] = copied(data or {}, depth)
        for hook in tuple(self._hooks):
            try:
                changed = copied(dict(hook(message_type, payload)), depth)
                check_payload(message_type, changed)
            except Exception:
                logger.exception("a publishing hook failed name=%r", hook)
                continue
            payload = changed
        return None if data is None and not payload else payload

    def _redacted(
        self, topic: str, message_type: str, payload: dict[str, object] | None
    ) -> dict[str, object] | None:
        if payload is None:
            return None
        return self._redaction.redact(payload, topic=topic, message_type=str(message_type))

    def _envelope(
        self,
        message_type: MessageType | str,
        payload: Mapping[str, object] | None,
        options: MessageOptions,
    ) -> Envelope:
        return Envelope(
            message_type,
            peer_text(self._agent.me),
            Timestamp.from_unix_ns(self._agent.clock()),
            payload,
            hop_count=options.hop_count,
            from_role=options.from_role,
            to_roles=options.to_roles,
            required_expertise=options.required_expertise,
            project_id=options.project_id,
            priority=options.priority,
            thread_id=options.thread_id,
        )

    def _require_allowed(self, topic: str, envelope: Envelope, encoded: bytes) -> None:
        checks, me = self._agent.checks, self._agent.me
        if checks.ask_about_own:
            checks.judge_own(envelope, ReceivedMessage(topic, encoded, me, me, b"", None))

    async def _stand_behind(
        self,
        topic: str,
        envelope: Envelope,
        signed: SignedMessage,
        *,
        data_text: str | None = None,
        log_first: bool = False,
    ) -> None:
        """Log it, durably where that is asked for, and tell the observers."""
        agent = self._agent
        delivery = Delivery(envelope, topic, agent.me, signed, agent.clock(), is_own=True)
        is_logged = agent.intake.log(delivery, data_text=data_text)
        if log_first:
            if not is_logged:
                raise EventLogFailed("nothing was sent, the event log did not take the message")
            await self._journal.flush()
        agent.intake.tell(delivery)

    async def publish_signed(self, topic: JoinedTopic, signed: SignedMessage) -> PublishResult:
        """Send what this agent signed before; it is logged and told where it is not known."""
        if signed.sender != self._agent.me or not signed.is_genuine():
            raise LocalProtocolError("it does not bear this agent's own signature")
        if isinstance(topic.content, EnvelopeTopic):
            envelope = self._own_envelope(signed.data)
            self._require_allowed(topic.name, envelope, signed.data)
            if not self._agent.intake.is_known(signed.origin):
                await self._stand_behind(topic.name, envelope, signed)
        return await topic.send(signed)

    async def publish_raw(self, topic: JoinedTopic, payload: bytes) -> PublishResult:
        """Redact and send what has a schema of its own."""
        if not isinstance(payload, bytes):
            kind = type(payload).__name__
            raise LocalProtocolError(f"a raw payload is bytes, not of type {kind}")
        redacted = self._redaction.redact_raw(payload, topic=topic.name)
        limit = self._agent.limits.max_bytes
        if len(redacted) > limit:
            raise LocalProtocolError(f"the payload has {len(redacted)} bytes, the limit is {limit}")
        if not isinstance(topic.content, EnvelopeTopic):
            return await topic.send(topic.sign(redacted))
        envelope = self._own_envelope(redacted)
        self._require_allowed(topic.name, envelope, redacted)
        signed = topic.sign(redacted)
        await self._stand_behind(topic.name, envelope, signed)
        return await topic.send(signed)

    def _own_envelope(self, payload: bytes) -> Envelope:
        """LocalProtocolError, or BadPayload, which is one, for what other agents would refuse in a
        topic of envelopes."""
        try:
            envelope = Envelope.decode(payload, self._agent.limits)
        except MalformedEnvelope as error:
            raise LocalProtocolError(
                f"the topic carries envelopes, and this is none: {error}; a topic with a schema of "
                "its own is joined by subscribe_raw_topic"
            ) from error
        if envelope.from_peer != peer_text(self._agent.me):
            raise LocalProtocolError("the envelope is from another agent")
        check_payload(envelope.type, envelope.data)
        return envelope
