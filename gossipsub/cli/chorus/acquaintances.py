"""Whom a command knows: by what agents say, and by what neighbours' logs tell of the last minutes.

`Presence` counts what it hears itself, since old news keep nobody alive. A command that looks on
for a few seconds would know nobody by that: agents tell of themselves every half minute.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

from gossipsub.wake import Wake

if TYPE_CHECKING:
    from gossipsub.chorus.agent_table import Agent, AgentTable
    from gossipsub.chorus.delivery import Delivery

GONE_AFTER = 105.0
"""Seconds of silence, as agents have it that tell of themselves every half minute."""
MAX_AGENTS = 1024


class Acquaintances:
    """An observer of a `ChorusPubSub`."""

    def __init__(self) -> None:
        from gossipsub.chorus.agent_table import AgentTable

        self.changed = Wake()
        """Set when somebody came, went, or told something new."""
        self._table: AgentTable = AgentTable(gone_after=GONE_AFTER, bound=MAX_AGENTS)

    def observe(self, delivery: Delivery) -> None:
        if delivery.is_own:
            return
        now = anyio.current_time()
        age = 0.0
        if delivery.is_caught_up:
            age = max(0.0, (time.time_ns() - delivery.envelope.timestamp.unix_ns) / 1e9)
        if age < GONE_AFTER and self._table.hear(delivery.sender, delivery.envelope, now=now - age):
            self.changed.set()

    def agents(self) -> tuple[Agent, ...]:
        """Those that are there."""
        now = anyio.current_time()
        self._table.expire(now=now)
        return tuple(a for a in self._table.agents() if a.last_seen + GONE_AFTER > now)

    def name_of(self, agent: str) -> str:
        """What people call the agent with that peer id."""
        from gossipsub.chorus.sentences import shortened
        from gossipsub.crypto.peer_id import PeerId
        from gossipsub.wire.errors import LocalProtocolError

        try:
            known = self._table.find(PeerId.parse(agent))
        except LocalProtocolError:
            return shortened(agent)
        return (known.card.name if known is not None else "") or shortened(agent)
