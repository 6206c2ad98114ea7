"""Numbered messages between several peers: none lost, none twice, none changed, none too early."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest

from gossipsub.conformance.driver import PeerTimeout
from gossipsub.conformance.exchange import (
    ExchangeFailed,
    connect,
    exchange,
    in_mesh,
    knows,
    start_peers,
)

pytestmark = pytest.mark.anyio

Damage = Callable[[int, bytes], Iterator[bytes]]


class StubPeer:
    """Hands what it publishes to its neighbours' event queues, damaged as the test says."""

    name = "stub"

    def __init__(self, peer_id: str, damage: Damage | None = None) -> None:
        self.peer_id = peer_id
        self.neighbours: list[StubPeer] = []
        self.most_under_way = 0
        self._damage = damage
        self._credit = 0
        self._events: deque[dict[str, Any]] = deque()
        self._late: list[dict[str, Any]] = []

    def hear(self, author: str, data: bytes) -> None:
        self._events.append({"from": author, "data": data})

    def hear_late(self, author: str, data: bytes) -> None:
        """After all that was waited for."""
        self._late.append({"from": author, "data": data})

    async def command(self, name: str, /, timeout: float = 1, **fields: Any) -> dict[str, Any]:
        if name == "stats":
            self._events += self._late
            return {}
        assert name == "publish_many"
        for number in range(fields["count"]):
            while number - self._credit >= fields["window"]:
                await anyio.sleep(0.001)
            data = number.to_bytes(8, "big").ljust(fields["size"], b"x")
            for neighbour in self.neighbours:
                for version in self._damage(number, data) if self._damage else [data]:
                    neighbour.hear(self.peer_id, version)
            self.most_under_way = max(self.most_under_way, number + 1 - self._credit)
        self._credit = 0
        return {"sent": fields["count"] if fields["topic"] != "refused" else 0}

    async def credit(self, received: int) -> None:
        self._credit = received

    async def wait_event(self, kind: str, *, timeout: float) -> dict[str, Any]:
        with anyio.move_on_after(timeout):
            while not self._events:
                await anyio.sleep(0.001)
            return self._events.popleft()
        raise PeerTimeout("nothing came")

    def messages(self) -> list[dict[str, Any]]:
        taken = list(self._events)
        self._events.clear()
        return taken


def stubs(damage: Damage | None = None) -> tuple[Any, ...]:
    peers = [StubPeer("a", damage), StubPeer("b"), StubPeer("c")]
    for peer in peers:
        peer.neighbours = [other for other in peers if other is not peer]
    return tuple(peers)


async def test_an_exchange_in_which_all_arrives_is_fine_and_stays_within_the_window() -> None:
    a, b, c = stubs()
    b.hear("a", b"of an earlier run")
    await exchange([a, b], [a, b, c], topic="t", count=100, size=16, window=8)
    assert a.most_under_way == b.most_under_way == 8
    c.hear("a", b"of no run")
    await exchange([a], [b, c], topic="t", count=3, size=16, window=1)


def lost(number: int, data: bytes) -> Iterator[bytes]:
    if number != 3:
        yield data


def repeated(number: int, data: bytes) -> Iterator[bytes]:
    yield data
    if number == 3:
        yield data


def replaced(number: int, data: bytes) -> Iterator[bytes]:
    yield data if number != 3 else (77).to_bytes(8, "big").ljust(len(data))


def shortened(number: int, data: bytes) -> Iterator[bytes]:
    yield data[: len(data) - (number == 3)]


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (repeated, r"lacks \[\] of a's, got twice \[3\], never sent \[\]"),
        (replaced, r"lacks \[3\] of a's, got twice \[\], never sent \[77\]"),
        (shortened, "stub got a message of 19 bytes"),
    ],
)
async def test_what_does_not_arrive_once_and_whole_is_told(damage: Damage, complaint: str) -> None:
    a, b, c = stubs(damage)
    with pytest.raises(ExchangeFailed, match=complaint):
        await exchange([a], [b, c], topic="t", count=5, size=20)


async def test_a_message_that_never_comes_is_waited_for_in_vain() -> None:
    a, b, c = stubs(lost)
    with pytest.raises(PeerTimeout):
        await exchange([a], [b, c], topic="t", count=5, size=20, timeout=0.2)


async def test_a_repetition_behind_everything_else_is_noticed() -> None:
    a, b, c = stubs()
    c.hear_late("a", (4).to_bytes(8, "big").ljust(20))
    with pytest.raises(ExchangeFailed, match=r"c lacks \[\] of a's, got twice \[4\]"):
        await exchange([a], [b, c], topic="t", count=5, size=20)


async def test_a_publisher_that_does_not_send_all_is_told() -> None:
    a, b, c = stubs()
    with pytest.raises(ExchangeFailed, match=r"stub published \{'sent': 0\}"):
        await exchange([a], [b, c], topic="refused", count=5, size=20)


async def test_peers_are_started_with_their_seeds_and_meet() -> None:
    params = {"heartbeatMs": 100, "heartbeatInitialDelayMs": 10}
    async with start_peers("python", "python", topic="t", first_seed=5, params=params) as (a, b):
        assert a.peer_id != b.peer_id
        await connect(a, b, topic="t")
        await in_mesh(a, b, topic="t")
        await exchange([a, b], [a, b], topic="t", count=20, size=16)
        with pytest.raises(PeerTimeout):
            await knows(a, a, topic="t", timeout=0.1)
