"""What cases are tried on: a test peer that is started for each, or a node that runs already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gossipsub.conformance.kit.deviations import known_deviations

HEARTBEAT = 0.3
"""Seconds between heartbeats of a target, where its parameters are ours to choose."""

RUNNING_HEARTBEAT = 1.0
"""And of a node that runs already, unless it is said: what the specification recommends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`name` is one of our test peers unless a command or an address is given; then it is only
    what reports say."""

    name: str
    command: tuple[str, ...] | None = None
    """Starts any other program that speaks the test-peer protocol."""
    address: str | None = None
    """The multiaddr of a running node. Cases that need control of it are skipped."""
    topic: str = "t"
    """What the running node is subscribed to."""
    heartbeat: float = HEARTBEAT
    """Seconds."""
    known: Mapping[str, str] = field(default_factory=dict)
    """Cases that it is known to fail, and why."""


def named_target(name: str, *, heartbeat: float = HEARTBEAT) -> Target:
    """One of our test peers, with what is known of it."""
    return Target(name=name, heartbeat=heartbeat, known=known_deviations(name))
