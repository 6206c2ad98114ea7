"""What can come of a case."""

from __future__ import annotations

from enum import Enum

from gossipsub.wire.errors import GossipSubError


class Verdict(Enum):
    PASSED = "passed"
    FAILED = "failed"
    """The target does not do what the rule says."""
    KNOWN = "known deviation"
    """Failed, as it is known to; somebody has looked at why."""
    SKIPPED = "skipped"
    """The case cannot be tried on this target; the reason says why."""
    BROKEN = "broken"
    """The case itself went wrong: a defect of the kit."""


class Deviation(GossipSubError):
    """The target did something else than the rule says. Ends the case."""

    def __init__(self, expected: str, came: str) -> None:
        super().__init__(f"expected {expected}; came {came}")
        self.expected = expected
        self.came = came


class CannotTry(GossipSubError):
    """The case needs what this target does not offer. Ends the case."""


class CompanionFailed(GossipSubError):
    """A node of this project beside the target went wrong: nothing is known of the target."""


class RefusesStart(CannotTry):
    """The target said that it cannot start as the case wants it: by its exit status, before it was
    ready, and not by a crash."""
