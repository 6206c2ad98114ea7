"""Who got which message when, kept small: one array of times per message."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256

NEVER = -1.0


@dataclass(slots=True)
class Publication:
    """One message published."""

    message_id: bytes
    topic: str
    publisher: int
    """Index of the node, as everywhere here."""
    time: float
    audience: tuple[int, ...]
    """Nodes subscribed when it was published; the publisher may be among them."""
    times: array[float] = field(default_factory=lambda: array("d"))
    """By node: when it was first delivered there, or `NEVER`."""

    def latencies(self) -> Iterator[float]:
        """Seconds from publication to each delivery, without the publisher's own."""
        for index, time in enumerate(self.times):
            if time != NEVER and index != self.publisher:
                yield time - self.time


class Deliveries:
    """All publications of a simulation, and when nodes left, which excuses what they missed."""

    def __init__(self) -> None:
        self.publications: dict[bytes, Publication] = {}
        self.repeated = 0
        """Deliveries to a node that had the message before: after a restart it knows nothing."""
        self._departures: dict[int, list[tuple[float, str | None]]] = {}

    def published(self, publication: Publication, nodes: int) -> None:
        publication.times = array("d", (NEVER,)) * nodes
        self.publications[publication.message_id] = publication

    def delivered(self, message_id: bytes, node: int, now: float) -> None:
        publication = self.publications.get(message_id)
        if publication is None:
            return
        times = publication.times
        if node >= len(times):
            times.extend((NEVER,) * (node + 1 - len(times)))
        if times[node] == NEVER:
            times[node] = now
        else:
            self.repeated += 1

    def departed(self, node: int, topic: str | None, now: float) -> None:
        """A node left a topic, or with None stopped."""
        self._departures.setdefault(node, []).append((now, topic))

    def missed_by(self, publication: Publication, patience: float) -> list[int]:
        """Nodes that should have got a message and did not.

        A node that left within `patience` seconds of the publication is excused: the message
        could still have come.
        """
        times, last = publication.times, publication.time + patience
        return [
            node
            for node in publication.audience
            if times[node] == NEVER and not self._left(node, publication, last)
        ]

    def _left(self, node: int, publication: Publication, last: float) -> bool:
        return any(
            publication.time <= time <= last and topic in (None, publication.topic)
            for time, topic in self._departures.get(node, ())
        )

    def digest(self) -> str:
        """SHA-256, in hexadecimal, of all publications and the time of each delivery."""
        total = sha256()
        for publication in self.publications.values():
            total.update(publication.message_id)
            total.update(repr(publication.time).encode())
            total.update(publication.times.tobytes())
        return total.hexdigest()


def percentiles(values: Iterable[float], shares: Iterable[float]) -> list[float]:
    """The smallest value that at least that share of all values do not exceed; 0 of none."""
    ordered = sorted(values)
    if not ordered:
        return [0.0 for _ in shares]
    last = len(ordered) - 1
    # Rounded first: 0.07 * 100 is a little more than 7.
    ranks = (round(share * len(ordered), 9) for share in shares)
    return [ordered[min(last, max(0, -int(-rank // 1) - 1))] for rank in ranks]
