"""Everything the rules find in one text, as spans that do not overlap."""

from __future__ import annotations

from collections.abc import Sequence

from gossipsub.chorus.redaction.encoded import Base64Search
from gossipsub.chorus.redaction.folding import Folded, fold, has_odd_characters
from gossipsub.chorus.redaction.rule import RedactionRule
from gossipsub.chorus.redaction.screen import BASE64, ODD, screen_of

Found = tuple[int, int, RedactionRule]
"""Where it starts and ends in the text, and the rule that found it."""


class TextSearch:
    """Looks for what `rules` describe; of spans that overlap, the first rule's name counts."""

    def __init__(self, rules: Sequence[RedactionRule], *, use_re2: bool | None) -> None:
        self._rules = tuple(rules)
        self._rank = {id(rule): number for number, rule in enumerate(self._rules)}
        self._base64 = Base64Search(
            rule for rule in self._rules if rule.is_token or rule.is_in_base64
        )
        self._screen = screen_of(self._rules, self._base64.forms, use_re2=use_re2)

    def hits(self, text: str) -> list[int]:
        """Numbers of the rules that may find something in it; empty means that none can."""
        if not text.isascii() and has_odd_characters(text):
            text = fold(text)
        found = self._screen.hits(text)
        if ODD in found:
            return [*self._screen.hits(fold(text)), ODD]
        return found

    def find(self, text: str, hits: list[int]) -> list[Found]:
        """From left to right; `hits` are those of a text that this one is part of."""
        folded = Folded(text) if ODD in hits or not text.isascii() else None
        read = text if folded is None else folded.text
        found: list[Found] = []
        for number in hits:
            if number == BASE64:
                found += self._base64.find(read)
            elif number != ODD:
                rule = self._rules[number]
                found += [(start, end, rule) for start, end in rule.spans(read)]
        if not found:
            return found
        if folded is not None:
            found = [(*folded.origin(start, end), rule) for start, end, rule in found]
        return self._merged(found)

    def _merged(self, found: list[Found]) -> list[Found]:
        found.sort(key=lambda each: (each[0], -each[1], self._rank[id(each[2])]))
        merged = [found[0]]
        for start, end, rule in found[1:]:
            last_start, last_end, last_rule = merged[-1]
            if start >= last_end:
                merged.append((start, end, rule))
                continue
            if self._rank[id(rule)] < self._rank[id(last_rule)]:
                last_rule = rule
            merged[-1] = (last_start, max(end, last_end), last_rule)
        return merged
