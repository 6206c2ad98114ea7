"""The `validator` command: verdicts by the beginning of a message's data, after a delay."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass

import anyio

from gossipsub.crypto.peer_id import PeerId
from gossipsub.peer.fields import BadCommand, Fields
from gossipsub.pubsub.message import ReceivedMessage
from gossipsub.router.effects import Verdict

_VERDICTS = {"accept": Verdict.ACCEPT, "reject": Verdict.REJECT, "ignore": Verdict.IGNORE}


@dataclass(frozen=True, slots=True)
class Rule:
    prefix: bytes
    verdict: Verdict
    delay: float
    """Seconds."""


class ValidatorRules:
    """The rules of one topic; the newest whose prefix matches decides, none means ACCEPT."""

    def __init__(self, me: PeerId) -> None:
        self._me = me
        self._rules: list[Rule] = []

    def __bool__(self) -> bool:
        return bool(self._rules)

    def change(self, fields: Fields) -> None:
        """Add a rule in front of all others, or take rules away. BadCommand for neither."""
        verdict, prefix = fields.text("verdict"), fields.data("prefix_b64", default=b"")
        delay = fields.number("delay_ms", default=0) / 1000
        if verdict == "clear":
            kept = [rule for rule in self._rules if prefix and rule.prefix != prefix]
            self._rules = kept
        elif verdict in _VERDICTS:
            # An older rule with the same prefix could never decide again.
            kept = [rule for rule in self._rules if rule.prefix != prefix]
            self._rules = [Rule(prefix, _VERDICTS[verdict], delay), *kept]
        else:
            raise BadCommand(f"verdict: must be accept, reject, ignore or clear: {verdict!r}")

    def judge(self, message: ReceivedMessage) -> Verdict | Awaitable[Verdict]:
        """The validator. A node's own messages do not wait: the delay stands for work on what
        others sent, and would hold up the commands here."""
        for rule in self._rules:
            if message.data.startswith(rule.prefix):
                if rule.delay and message.received_from != self._me:
                    return _delayed(rule)
                return rule.verdict
        return Verdict.ACCEPT


async def _delayed(rule: Rule) -> Verdict:
    await anyio.sleep(rule.delay)
    return rule.verdict
