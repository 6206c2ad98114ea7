"""The application's checks of envelopes: which are asked about what."""

from __future__ import annotations

from dataclasses import dataclass

from gossipsub.chorus.delivery import Check
from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.errors import MalformedEnvelope
from gossipsub.pubsub.message import ReceivedMessage
from gossipsub.wire.errors import LocalProtocolError


@dataclass(frozen=True, slots=True)
class _Entry:
    check: Check
    live_only: bool
    own_too: bool


class Checks:
    """Asked one after the other, in the order they were added."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []

    def add(self, check: Check, *, live_only: bool, own_too: bool) -> None:
        if not callable(check):
            kind = type(check).__name__
            raise LocalProtocolError(f"a check is a function, not of type {kind}")
        self._entries.append(_Entry(check, live_only, own_too))

    def judge(self, envelope: Envelope, message: ReceivedMessage) -> None:
        """MalformedEnvelope where one of them refuses what another agent says."""
        for entry in self._entries:
            entry.check(envelope, message)

    def judge_caught_up(self, envelope: Envelope, message: ReceivedMessage) -> None:
        """The same for old news, without the checks that are for live messages only."""
        for entry in self._entries:
            if not entry.live_only:
                entry.check(envelope, message)

    @property
    def ask_about_own(self) -> bool:
        """Whether there is one that is asked about own messages too."""
        return any(entry.own_too for entry in self._entries)

    def judge_own(self, envelope: Envelope, message: ReceivedMessage) -> None:
        """LocalProtocolError where one that is asked about own messages too refuses."""
        for entry in self._entries:
            if not entry.own_too:
                continue
            try:
                entry.check(envelope, message)
            except MalformedEnvelope as error:
                raise LocalProtocolError(f"refused as {error.reason}: {error}") from error
