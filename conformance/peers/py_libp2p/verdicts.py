"""The `validator` command with a library whose validators know yes and no."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import trio

from gossipsub.peer.fields import BadCommand, Fields

_VERDICTS = {"accept": True, "reject": False}


@dataclass(frozen=True, slots=True)
class Rule:
    prefix: bytes
    accepts: bool
    delay: float
    """Seconds."""


class Verdicts:
    """The rules of one topic; the newest whose prefix matches decides, none means to accept."""

    def __init__(self, me: Any) -> None:
        self._me = me
        self._rules: list[Rule] = []

    def __bool__(self) -> bool:
        return bool(self._rules)

    def change(self, fields: Fields) -> None:
        """Add a rule in front of all others, or take rules away. BadCommand for neither."""
        verdict, prefix = fields.text("verdict"), fields.data("prefix_b64", default=b"")
        delay = fields.number("delay_ms", default=0) / 1000
        if verdict == "ignore":
            raise BadCommand("unsupported: validators of this library accept or reject")
        if verdict != "clear" and verdict not in _VERDICTS:
            raise BadCommand(f"verdict: must be accept, reject, ignore or clear: {verdict!r}")
        others = [rule for rule in self._rules if rule.prefix != prefix]
        if verdict == "clear":
            self._rules = others if prefix else []
        else:
            self._rules = [Rule(prefix, _VERDICTS[verdict], delay), *others]

    async def judge(self, forwarder: Any, message: Any) -> bool:
        for rule in self._rules:
            if message.data.startswith(rule.prefix):
                if forwarder != self._me:
                    await trio.sleep(rule.delay)
                return rule.accepts
        return True
