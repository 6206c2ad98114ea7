"""What one measurement of an implementation is given, and what it tells.

It is given what starts nodes, measures once, and returns values and their units by the figure's
name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gossipsub.conformance.driver import PeerProcess
from gossipsub.wire.errors import GossipSubError

Readings = Mapping[str, tuple[float, str]]
"""Value and unit by the figure's name."""
START_SECONDS = 60.0


class Starter(Protocol):
    """Starts a node: `start_peer` with all but the seed, the waiting and parameters settled."""

    def __call__(
        self, *, seed: int, start_timeout: float, params: Mapping[str, object] | None = None
    ) -> PeerProcess: ...


class NotEndured(GossipSubError):
    """What was to hold does not; it was measured all the same."""

    def __init__(self, why: str, readings: Readings) -> None:
        super().__init__(why)
        self.readings = readings
