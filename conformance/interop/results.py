"""What came of a run: from the script what had to happen, from the nodes' logs what did."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from pathlib import Path
from typing import Any

from gossipsub.conformance.interop.instructions import (
    AddPartialMessage,
    Publish,
    SubscribeToTopic,
    read_script,
)
from gossipsub.conformance.interop.scenarios import ALL_PARTS


@dataclass(slots=True)
class MessageResult:
    """One message, over all nodes."""

    number: int
    topic: str
    publisher: int
    wanted: frozenset[int]
    """Nodes that had to receive it."""
    published: float | None = None
    """Seconds since 1970, when its publisher first sent it; None: its log does not tell."""
    copies: int = 0
    """Receipts at all nodes, of other copies as well."""
    arrivals: dict[int, float] = field(default_factory=dict)
    """The first at each node."""

    @property
    def missing(self) -> list[int]:
        """Nodes that did not receive it."""
        return sorted(self.wanted - self.arrivals.keys())

    @property
    def latencies(self) -> list[float]:
        """Seconds from its publication to each node that wanted it, shortest first."""
        if self.published is None:
            return []
        start = self.published
        return sorted(at - start for node, at in self.arrivals.items() if node in self.wanted)


@dataclass(slots=True)
class RunResults:
    """A whole run."""

    statuses: Sequence[int | None]
    """Exit statuses by node; None: it did not end in time."""
    messages: list[MessageResult]
    groups_wanted: Mapping[int, frozenset[int]]
    """Groups of parts each node had to complete."""
    groups: Mapping[int, frozenset[int]]
    """Groups each node did complete."""

    def failures(self) -> list[str]:
        """What did not happen, a sentence each; empty where the run passed."""
        sentences = [
            f"node{node} did not end in time"
            if status is None
            else f"node{node} ended with {status}"
            for node, status in enumerate(self.statuses)
            if status != 0
        ]
        for message in self.messages:
            if message.missing:
                nodes = ", ".join(f"node{node}" for node in message.missing)
                sentences.append(f"message {message.number} did not reach {nodes}")
        for node, wanted in self.groups_wanted.items():
            missing = sorted(wanted - self.groups.get(node, frozenset()))
            if missing:
                numbers = ", ".join(map(str, missing))
                sentences.append(f"node{node} did not complete the groups {numbers}")
        return sentences

    @property
    def reach(self) -> float:
        """The part of the wanted receipts that were; of groups, where no message was sent."""
        wanted = sum(len(message.wanted) for message in self.messages)
        missing = sum(len(message.missing) for message in self.messages)
        if not self.messages:
            for node, groups in self.groups_wanted.items():
                wanted += len(groups)
                missing += len(groups - self.groups.get(node, frozenset()))
        return 1.0 if not wanted else (wanted - missing) / wanted

    @property
    def copies_per_delivery(self) -> float | None:
        """How often a node that wanted a message received it, on average; None without any."""
        delivered = sum(len(message.wanted) - len(message.missing) for message in self.messages)
        copies = sum(message.copies for message in self.messages)
        return copies / delivered if delivered else None

    def latency(self, share: float) -> float | None:
        """Seconds within which this share of the deliveries came (0.5: the median)."""
        return _percentile(sorted(it for each in self.messages for it in each.latencies), share)


def read_results(script: list[Any], statuses: Sequence[int | None], output: Path) -> RunResults:
    """Hold the logs below `output/hosts` to what the script asks for."""
    results = _expected(script, statuses)
    messages = {message.number: message for message in results.messages}
    groups: dict[int, frozenset[int]] = {}
    for node in range(len(statuses)):
        completed = set()
        for line in _lines(output / "hosts" / f"node{node}"):
            match line:
                case {"msg": "Received Message", "id": number, "time": moment}:
                    message = messages.get(_whole(number))
                    if message is not None:
                        message.copies += 1
                        message.arrivals.setdefault(node, _seconds(moment))
                case {"msg": "Sent Message", "id": number, "time": moment}:
                    message = messages.get(_whole(number))
                    if message is not None and message.publisher == node:
                        at = _seconds(moment)
                        message.published = min(at, message.published or at)
                case {"msg": "All parts received", "group id": number}:
                    completed.add(_whole(number))
        groups[node] = frozenset(completed)
    results.groups = groups
    return results


def _expected(script: list[Any], statuses: Sequence[int | None]) -> RunResults:
    own = {node: read_script(script, node=node) for node in range(len(statuses))}
    subscribers: dict[str, set[int]] = {}
    exchanging: dict[str, set[int]] = {}
    parts: dict[tuple[str, int], int] = {}
    complete: dict[int, set[int]] = {node: set() for node in own}
    published: list[tuple[Publish, int]] = []
    for node, instructions in own.items():
        for it in instructions:
            if isinstance(it, SubscribeToTopic):
                subscribers.setdefault(it.topic, set()).add(node)
                if it.partial:
                    exchanging.setdefault(it.topic, set()).add(node)
            elif isinstance(it, Publish):
                published.append((it, node))
            elif isinstance(it, AddPartialMessage):
                key = (it.topic, it.group_id)
                parts[key] = parts.get(key, 0) | it.parts
                if it.parts == ALL_PARTS:
                    complete[node].add(it.group_id)
    for (topic, group), bitmap in parts.items():
        if bitmap == ALL_PARTS:  # parts drawn by chance may lack one that nobody has
            for node in exchanging.get(topic, ()):
                complete[node].add(group)
    messages = [
        MessageResult(
            it.message_id, it.topic, node, frozenset(subscribers.get(it.topic, set()) - {node})
        )
        for it, node in sorted(published, key=lambda pair: pair[0].message_id)
    ]
    wanted = {node: frozenset(groups) for node, groups in complete.items()}
    return RunResults(statuses, messages, wanted, {})


def _lines(folder: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a node's standard output; what else it printed is passed over."""
    for path in sorted(folder.glob("*.stdout")):
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                if isinstance(entry, dict):
                    yield entry


def _whole(value: object) -> int:
    """A number as JSON or in decimals; -1 for what is none."""
    try:
        return int(value) if isinstance(value, str | int) else -1
    except ValueError:
        return -1


def _seconds(moment: object) -> float:
    """RFC 3339, with any number of digits, in seconds since 1970; 0 for what is none."""
    try:
        return datetime.fromisoformat(str(moment)).timestamp()
    except ValueError:
        return 0.0


def _percentile(values: Sequence[float], share: float) -> float | None:
    return values[max(0, ceil(len(values) * share) - 1)] if values else None


# For people


def table(results: RunResults) -> str:
    """A line for each message, or for each node that had groups to complete."""
    rows: list[tuple[str, ...]]
    if results.messages:
        rows = [("message", "topic", "from", "reach", "copies", "median", "slowest")]
        for message in results.messages:
            delays = message.latencies
            wanted = len(message.wanted)
            rows.append(
                (
                    str(message.number),
                    message.topic,
                    f"node{message.publisher}",
                    f"{wanted - len(message.missing)}/{wanted}",
                    str(message.copies),
                    milliseconds(_percentile(delays, 0.5)),
                    milliseconds(_percentile(delays, 1.0)),
                )
            )
    else:
        rows = [("node", "groups")]
        for node, wanted_groups in results.groups_wanted.items():
            done = len(wanted_groups & results.groups.get(node, frozenset()))
            rows.append((f"node{node}", f"{done}/{len(wanted_groups)}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def summary(results: RunResults) -> str:
    """The whole run in a line."""
    words = [f"reach {results.reach:.3f}"]
    copies = results.copies_per_delivery
    if copies is not None:
        words.append(f"{copies:.2f} copies per delivery")
        times = [milliseconds(results.latency(share)) for share in (0.5, 0.95, 1.0)]
        words.append("latency median {}, 95 % {}, slowest {}".format(*times))
    return ", ".join(words)


def milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f} ms"
