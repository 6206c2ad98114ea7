"""The application's checks of envelopes: which are asked about what."""

from __future__ import annotations

import inspect
import logging
from dataclasses import dataclass

from gossipsub.chorus.delivery import Check
from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.errors import MalformedEnvelope, RefusalReason
from gossipsub.pubsub.message import ReceivedMessage
from gossipsub.wire.errors import LocalProtocolError

logger = logging.getLogger("gossipsub.chorus.checks")


@dataclass(frozen=True, slots=True)
class _Entry:
    check: Check
    live_only: bool
    own_too: bool

    def ask(self, envelope: Envelope, message: ReceivedMessage) -> None:
        """MalformedEnvelope where it refuses, or fails: what it cannot judge does not pass."""
        try:
            self.check(envelope, message)
        except MalformedEnvelope:
            raise
        except Exception as error:
            logger.exception("a check failed name=%r", self.check)
            detail = f"a check failed: {type(error).__name__}"
            raise MalformedEnvelope(RefusalReason.CHECK_FAILED, detail) from error


class Checks:
    """Asked one after the other, in the order they were added. One that fails is logged, and
    refuses."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []

    def add(self, check: Check, *, live_only: bool, own_too: bool) -> None:
        if not callable(check):
            kind = type(check).__name__
            raise LocalProtocolError(f"a check is a function, not of type {kind}")
        if inspect.iscoroutinefunction(check):
            # Nobody would await it, so that it would let everything pass.
            raise LocalProtocolError("a check is a plain function, not a coroutine function")
        self._entries.append(_Entry(check, live_only, own_too))

    def judge(self, envelope: Envelope, message: ReceivedMessage) -> None:
        """MalformedEnvelope where one of them refuses what another agent says."""
        for entry in self._entries:
            entry.ask(envelope, message)

    def judge_caught_up(self, envelope: Envelope, message: ReceivedMessage) -> None:
        """The same for old news, without the checks that are for live messages only."""
        for entry in self._entries:
            if not entry.live_only:
                entry.ask(envelope, message)

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
                entry.ask(envelope, message)
            except MalformedEnvelope as error:
                raise LocalProtocolError(f"refused as {error.reason}: {error}") from error
