"""Who said what, who heard it, and how long it took: the demo's account."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

COUNTED = ("task_announcement", "task_claim", "task_progress", "task_complete")


@dataclass
class Account:
    """One agent's lines of the table."""

    name: str
    implementation: str
    said: Counter[str] = field(default_factory=Counter)
    heard: dict[tuple[str, int], float] = field(default_factory=dict)
    """(sender, serial) of each task message heard, and its latency in microseconds."""
    repeated: int = 0


class Ledger:
    """Every task message said must be heard once by every other agent."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.said: dict[tuple[str, int], str] = {}
        self.completed: dict[str, str] = {}
        """Task to the peer that completed it."""

    def note_said(self, peer: str, kind: str, data: dict[str, Any]) -> None:
        if kind in COUNTED:
            self.said[peer, int(data["serial"])] = kind
            self.accounts[peer].said[kind] += 1
            if kind == "task_complete" and data.get("result") == "success":
                self.completed[data["task_id"]] = peer

    def note_heard(
        self, peer: str, kind: str, sender: str, serial: object, latency_us: float
    ) -> None:
        if kind in COUNTED and isinstance(serial, int):
            heard = self.accounts[peer].heard
            if (sender, serial) in heard:
                self.accounts[peer].repeated += 1
            heard[sender, serial] = latency_us

    def missing(self) -> list[tuple[str, str, int]]:
        """(listener, sender, serial) of each message said and not heard."""
        return [
            (listener, sender, serial)
            for listener, account in self.accounts.items()
            for sender, serial in self.said
            if sender != listener and (sender, serial) not in account.heard
        ]

    def row(self, peer: str) -> dict[str, Any]:
        account = self.accounts[peer]
        expected = sum(sender != peer for sender, _ in self.said)
        latencies = sorted(account.heard.values())
        completed = sum(by == peer for by in self.completed.values())
        lost = sum(listener == peer for listener, _, _ in self.missing())
        return {
            "agent": account.name,
            "implementation": account.implementation,
            "peer": peer,
            "completed": completed,
            "said": sum(account.said.values()),
            "heard": len(account.heard),
            "expected": expected,
            "lost": lost,
            "repeated": account.repeated,
            "latency_ms": {
                "median": _percentile(latencies, 0.5) / 1000,
                "p99": _percentile(latencies, 0.99) / 1000,
            },
        }


def _percentile(ordered: list[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0
