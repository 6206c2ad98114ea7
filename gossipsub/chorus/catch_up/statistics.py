"""What catching up has done on one node, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gossipsub.chorus.catch_up.neighbours import CatchUpOutcome


@dataclass(frozen=True, slots=True)
class CatchUpStatistics:
    """Totals since it was opened."""

    remembered: int
    """Messages of the window that are compared with those of others, now."""
    sessions: Mapping[CatchUpOutcome, int]
    """Sessions with neighbours that were asked, by how they ended."""
    taken: int
    """Messages that were lacking and came."""
    refused: int
    """Messages that came and were refused: no envelopes that this node takes."""
    served: int
    """Sessions of others that were answered."""
    turned_away: int
    """Sessions of others that were not: they came too often."""
    given: int
    """Messages that others lacked and got."""
