"""The `validator` command: verdicts by the beginning of a message's data, after a delay."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import anyio

from gossipsub.message import ReceivedMessage
from gossipsub.router.effects import Verdict

_VERDICTS = {"accept": Verdict.ACCEPT, "reject": Verdict.REJECT, "ignore": Verdict.IGNORE}


@dataclass(frozen=True, slots=True)
class Rule:
    prefix: bytes
    verdict: Verdict
    delay: float


class ValidatorRules:
    """The rules of one topic; the newest whose prefix matches decides, none means ACCEPT."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []

    def change(self, command: dict[str, Any]) -> None:
        """Add a rule, or take all away. ValueError or KeyError for a command that cannot be."""
        verdict = command["verdict"]
        if verdict == "clear":
            self._rules.clear()
            return
        if verdict not in _VERDICTS:
            raise ValueError(f"verdict must be accept, reject, ignore or clear: {verdict}")
        prefix = base64.b64decode(command.get("prefix_b64", ""), validate=True)
        delay = float(command.get("delay_ms", 0)) / 1000
        self._rules.insert(0, Rule(prefix, _VERDICTS[verdict], delay))

    async def judge(self, message: ReceivedMessage) -> Verdict:
        for rule in self._rules:
            if message.data.startswith(rule.prefix):
                if rule.delay:
                    await anyio.sleep(rule.delay)
                return rule.verdict
        return Verdict.ACCEPT
