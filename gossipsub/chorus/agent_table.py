"""Which agents are there: whoever was heard of late, with what they told of themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from gossipsub.chorus.agent_card import AgentCard, read_card, read_count, read_text
from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.message_type import MessageType
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError

OFFLINE = "offline"
"""The status with which an agent says goodbye."""

TELLING = frozenset(
    (
        MessageType.AVAILABILITY_BROADCAST,
        MessageType.CAPABILITY_BROADCAST,
        MessageType.ROLE_ANNOUNCEMENT,
    )
)
"""Messages in which agents tell of themselves."""


@dataclass(frozen=True, slots=True)
class Agent:
    """Another agent that is there, as far as it told; it may say what it likes."""

    peer: PeerId
    card: AgentCard
    status: str
    """ready, working, busy, or a word of its own; empty where it said none."""
    current_tasks: int
    is_available: bool
    """It said that it takes work."""
    last_seen: float
    """When it was last heard, in seconds of the event loop's clock (`anyio.current_time()`)."""


class ChangeKind(StrEnum):
    """What happened to an agent."""

    JOINED = "joined"
    CHANGED = "changed"
    """It told something new of itself."""
    GONE = "gone"
    """It said goodbye, or nothing for too long."""


@dataclass(frozen=True, slots=True)
class PresenceChange:
    kind: ChangeKind
    agent: Agent
    """As it is now, or was at last."""


@dataclass(slots=True)
class _Record:
    """An agent, and the times, by its own clock, of the newest messages: of all, and of those
    that told its card and its status. Topics do not keep the order among each other."""

    agent: Agent
    newest: int = 0
    card_at: int = 0
    status_at: int = 0


class AgentTable:
    """At most `bound` agents; while it is full, further ones are left out and counted.

    Whoever is known stays known, so that no crowd of new names can push the fleet out. Of an
    agent only messages no older than what it said before make it seen: an old one, held back or
    played again by somebody else, does not. Its goodbye holds against older messages as well,
    for `gone_after` seconds.
    """

    def __init__(self, *, gone_after: float, bound: int) -> None:
        if bound < 1:
            raise LocalProtocolError(f"the table holds at least 1 agent: {bound}")
        self.left_out = 0
        """Messages of agents there was no place for."""
        self._gone_after = gone_after
        self._bound = bound
        # Both in the order of time, the oldest first.
        self._records: dict[PeerId, _Record] = {}
        self._departed: dict[PeerId, tuple[float, int]] = {}

    def hear(self, peer: PeerId, envelope: Envelope, *, now: float) -> PresenceChange | None:
        """Note that `peer` said this just now; what changed by it."""
        said_at = envelope.timestamp.unix_ns
        record = self._records.get(peer)
        if record is None and self._departed.get(peer, (0.0, said_at - 1))[1] >= said_at:
            return None
        known = None if record is None else record.agent
        if record is None:
            record = _Record(Agent(peer, AgentCard(), "", 0, False, now))
        if said_at >= record.newest:
            # Several may be of one time, by a coarse clock.
            record.newest = said_at
            record.agent = replace(record.agent, last_seen=now)
            self._records.pop(peer, None)
        _take(record, envelope, said_at)
        if record.agent.status == OFFLINE:
            return self._depart(record, known, now)
        if known is None and len(self._records) == self._bound:
            self.left_out += 1
            return None
        self._departed.pop(peer, None)
        self._records.setdefault(peer, record)
        if known is None:
            return PresenceChange(ChangeKind.JOINED, record.agent)
        if record.agent != replace(known, last_seen=record.agent.last_seen):
            return PresenceChange(ChangeKind.CHANGED, record.agent)
        return None

    def expire(self, *, now: float) -> list[PresenceChange]:
        """Forget those that were silent for `gone_after` seconds."""
        for peer, (left_at, _) in tuple(self._departed.items()):
            if left_at + self._gone_after > now:
                break
            del self._departed[peer]
        gone = []
        for peer, record in tuple(self._records.items()):
            if record.agent.last_seen + self._gone_after > now:
                break
            del self._records[peer]
            self._note_departed(record, now)
            gone.append(PresenceChange(ChangeKind.GONE, record.agent))
        return gone

    def next_expiry(self, *, now: float) -> float:
        """When to call `expire` at the latest."""
        oldest = next(iter(self._records.values()), None)
        return (now if oldest is None else oldest.agent.last_seen) + self._gone_after

    def find(self, peer: PeerId) -> Agent | None:
        record = self._records.get(peer)
        return None if record is None else record.agent

    def agents(self) -> tuple[Agent, ...]:
        """Those heard last at the end."""
        return tuple(record.agent for record in self._records.values())

    def _depart(self, record: _Record, known: Agent | None, now: float) -> PresenceChange | None:
        self._records.pop(record.agent.peer, None)
        self._note_departed(record, now)
        return None if known is None else PresenceChange(ChangeKind.GONE, record.agent)

    def _note_departed(self, record: _Record, now: float) -> None:
        self._departed.pop(record.agent.peer, None)
        if len(self._departed) == self._bound:
            del self._departed[next(iter(self._departed))]
        self._departed[record.agent.peer] = (now, record.newest)


def _take(record: _Record, envelope: Envelope, said_at: int) -> None:
    """What the message tells of its agent, as far as nothing newer is known."""
    if envelope.type not in TELLING:
        return
    if said_at >= record.card_at:
        record.card_at = said_at
        record.agent = replace(record.agent, card=read_card(record.agent.card, envelope))
    if envelope.type != MessageType.AVAILABILITY_BROADCAST or said_at < record.status_at:
        return
    record.status_at = said_at
    agent, data = record.agent, envelope.data or {}
    current = read_count(data, "current_tasks", agent.current_tasks)
    says = data.get("available_for_work")
    record.agent = replace(
        agent,
        status=read_text(data, "status", agent.status),
        current_tasks=current,
        is_available=says if isinstance(says, bool) else current < agent.card.max_tasks,
    )
