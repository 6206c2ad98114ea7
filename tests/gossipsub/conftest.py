"""What tests of a host's parts need in place of the others: timers, connections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.peer_id import PeerId
from gossipsub.transport.address import Address


@dataclass(eq=False)
class FakeTimer:
    when: float
    action: Callable[[], None]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


class FakeTimers:
    """As `Timers`, without a task: `wait` runs what is due meanwhile, each at its time."""

    def __init__(self) -> None:
        self._now = 0.0
        self._timers: list[FakeTimer] = []

    def now(self) -> float:
        return self._now

    def at(self, when: float, action: Callable[[], None]) -> FakeTimer:
        self._timers.append(FakeTimer(when, action))
        return self._timers[-1]

    def after(self, seconds: float, action: Callable[[], None]) -> FakeTimer:
        return self.at(self._now + seconds, action)

    def armed(self) -> list[float]:
        """When something will happen."""
        return sorted(each.when for each in self._timers if not each.is_cancelled)

    def wait(self, seconds: float = 0.0) -> None:
        end = self._now + seconds
        while due := [t for t in self._timers if not t.is_cancelled and t.when <= end]:
            timer = min(due, key=lambda each: each.when)
            self._timers.remove(timer)
            self._now = max(self._now, timer.when)
            timer.action()
        self._now = end


@dataclass(eq=False)
class FakeConnection:
    """What there is to see of a connection; it ends when the test says so."""

    peer: PeerId
    opened_at: float
    outbound: bool = False
    remote_address: Address | None = None
    streams: dict[int, object] = field(default_factory=dict)
    closed_for: str | None = None

    @property
    def is_open(self) -> bool:
        return self.closed_for is None

    def close(self, reason: str) -> None:
        self.closed_for = self.closed_for or reason


class FakeConnections:
    """The table of connections that parts look at, by peer."""

    def __init__(self, timers: FakeTimers) -> None:
        self.by_peer: dict[bytes, list[FakeConnection]] = {}
        self._timers = timers

    @staticmethod
    def peer(number: int) -> PeerId:
        return PrivateKey.from_node_number(number).peer_id()

    def make(self, number: int, *, ip: str | None = None, outbound: bool = False) -> FakeConnection:
        address = None if ip is None else Address("ip6" if ":" in ip else "ip4", ip, 4001)
        return FakeConnection(self.peer(number), self._timers.now(), outbound, address)

    def add(self, connection: FakeConnection) -> None:
        self.by_peer.setdefault(connection.peer, []).append(connection)

    def remove(self, connection: FakeConnection) -> None:
        self.by_peer[connection.peer].remove(connection)
        if not self.by_peer[connection.peer]:
            del self.by_peer[connection.peer]

    def closed(self) -> list[tuple[PeerId, str]]:
        """Those that were told to close, with the reason."""
        every = [each for connections in self.by_peer.values() for each in connections]
        return [(each.peer, each.closed_for) for each in every if each.closed_for is not None]


@pytest.fixture
def timers() -> FakeTimers:
    return FakeTimers()


@pytest.fixture
def connections(timers: FakeTimers) -> FakeConnections:
    return FakeConnections(timers)
