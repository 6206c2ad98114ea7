"""What the topics of one agent share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gossipsub.chorus.checks import Checks
from gossipsub.chorus.dead_letters import KEPT_BYTES, DeadLetter, DeadLetters
from gossipsub.chorus.envelope import EnvelopeLimits
from gossipsub.chorus.errors import MalformedEnvelope
from gossipsub.chorus.handlers import HandlerCalls
from gossipsub.chorus.intake import Intake
from gossipsub.chorus.payloads.policy import PayloadPolicy
from gossipsub.chorus.routing import Routing
from gossipsub.chorus.timestamp import Timestamp
from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.message import ReceivedMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentParts:
    me: PeerId
    limits: EnvelopeLimits
    clock: Callable[[], int]
    """Nanoseconds since 1970."""
    payload_policy: PayloadPolicy
    dead_letters: DeadLetters
    checks: Checks
    intake: Intake
    routing: Routing
    calls: HandlerCalls

    def refuse(self, message: ReceivedMessage, error: MalformedEnvelope) -> None:
        """Keep what is refused among the dead letters."""
        self.dead_letters.add(
            DeadLetter(
                topic=message.topic,
                reason=error.reason,
                detail=str(error),
                sender=message.sender,
                received_from=message.received_from,
                received_at=Timestamp.from_unix_ns(self.clock()),
                data=message.data[:KEPT_BYTES],
                size=len(message.data),
            )
        )
