"""Tokens in base64: their first characters give away where to decode."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator

from gossipsub.chorus.redaction.rule import RedactionRule

_SHORTEST_LITERAL = 4
"""Characters; of shorter ones too little is left to look for."""
_RUN = re.compile(
    r"[0-9A-Za-z+/_-]{16,}+(?:(?:\\+[rn]|\r?\n){1,2}[0-9A-Za-z+/_-]{16,}+)*+"
    r"(?:(?:\r?\n)[0-9A-Za-z+/_-]{1,15}+(?==|$))?={0,2}",
    re.ASCII,
)
_NOT_BASE64 = re.compile(r"\\+[rn]|[^0-9A-Za-z+/]")
_TO_STANDARD = str.maketrans("-_", "+/")


def forms_in_base64(literal: str) -> tuple[str, ...]:
    """What a text that holds `literal` certainly holds once it is base64, in both alphabets: one
    form for each place that the literal can have in a group of three bytes."""
    found: dict[str, None] = {}
    data = literal.encode()
    if len(data) < _SHORTEST_LITERAL:
        return ()
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + data).decode()
        bits_start, bits_end = 8 * shift, 8 * (shift + len(data))
        form = text[-(-bits_start // 6) : bits_end // 6]
        found[form] = None
        found[form.replace("+", "-").replace("/", "_")] = None
    return tuple(found)


class Base64Search:
    """Finds runs of base64 in which one of the tokens stands."""

    def __init__(self, rules: Iterable[RedactionRule]) -> None:
        self.rules = tuple(rules)
        self.forms = tuple(
            dict.fromkeys(
                form
                for rule in self.rules
                for literal in rule.literals
                for form in forms_in_base64(literal)
            )
        )
        alternatives = "|".join(map(re.escape, self.forms))
        self._form = re.compile(alternatives) if self.forms else None

    def find(self, text: str) -> Iterator[tuple[int, int, RedactionRule]]:
        """The whole run is the span: a part of it could not be decoded any more."""
        if self._form is None:
            return
        for run in _RUN.finditer(text):
            if self._form.search(run[0]):
                rule = self._rule_in(run[0])
                if rule is not None:
                    yield run.start(), run.end(), rule

    def _rule_in(self, run: str) -> RedactionRule | None:
        encoded = _NOT_BASE64.sub("", run.translate(_TO_STANDARD))
        # The run may have begun before the base64 did, with a word or a path.
        for offset in range(4):
            part = encoded[offset:]
            decoded = base64.b64decode(part[: len(part) // 4 * 4] or b"")
            rest = part[len(part) // 4 * 4 :]
            if len(rest) > 1:
                decoded += base64.b64decode(rest + "=" * (4 - len(rest)))
            text = decoded.decode("latin-1")
            for rule in self.rules:
                if any(literal in text for literal in rule.literals):
                    for _ in rule.spans(text):
                        return rule
        return None
