"""Names that agents gave to things of late, such as their requests, and what is known of each."""

from __future__ import annotations

from typing import Generic, TypeVar

from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError

MAX_CHARACTERS = 64
"""Of a name; what is longer is no name of ours."""

T = TypeVar("T")


def read_name(value: object) -> str | None:
    """The name a stranger's field holds, if it can be one."""
    return value if isinstance(value, str) and 0 < len(value) <= MAX_CHARACTERS else None


class RecentNames(Generic[T]):
    """At most `bound` names, and an eighth of them of one agent: nobody can push out what others
    named. When full, the agent that named something longest ago loses its oldest."""

    def __init__(self, bound: int) -> None:
        if bound < 1:
            raise LocalProtocolError(f"the table holds at least 1 name: {bound}")
        self._bound = bound
        self._share = max(1, bound // 8)
        self._by_agent: dict[PeerId, dict[str, T]] = {}
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def find(self, agent: PeerId, name: str) -> T | None:
        return self._by_agent.get(agent, {}).get(name)

    def add(self, agent: PeerId, name: str, value: T) -> None:
        """A name that is there is replaced."""
        names = self._by_agent.pop(agent, {})
        self._by_agent[agent] = names
        if name in names:
            names[name] = value
            return
        if len(names) == self._share:
            self._forget_of(agent)
        elif self._total == self._bound:
            self._forget_of(next(iter(self._by_agent)))
        self._by_agent.setdefault(agent, names)[name] = value
        self._total += 1

    def _forget_of(self, agent: PeerId) -> None:
        names = self._by_agent[agent]
        del names[next(iter(names))]
        self._total -= 1
        if not names:
            del self._by_agent[agent]
