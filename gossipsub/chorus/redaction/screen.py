"""The first look at a text: which rules could find something in it at all.

Two of them: one asks google-re2, which looks for everything at once in time linear in the text,
the other does with what Python has. They may name a rule too many, never one too few, and what
is found in the end is the same with both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Protocol

from gossipsub.chorus.redaction.folding import CONTROL, ESCAPE
from gossipsub.chorus.redaction.rule import RedactionRule

ODD = -1
"""Instead of a rule's number: something in the text is not what it seems; fold it first."""
BASE64 = -2
"""There may be a token in base64."""

MAX_MEMORY_BYTES = 16 << 20
"""What re2 may use for the states it builds while it looks."""

_RUNS = re.compile(r"[0-9A-Za-z+/_=.-]{20,}+")
_SHAPES = str.maketrans(
    digits + ascii_uppercase + ascii_lowercase + " .()",
    "0" * len(digits) + "A" * len(ascii_uppercase) + "a" * len(ascii_lowercase) + "----",
)
_ODD_PATTERN = f"{CONTROL}|{ESCAPE}"


class Screen(Protocol):
    def hits(self, text: str) -> list[int]:
        """Numbers of the rules that may find something, `ODD` and `BASE64` among them."""
        ...


def screen_of(
    rules: tuple[RedactionRule, ...], forms: Iterable[str], *, use_re2: bool | None
) -> Screen:
    """The better one there is. ImportError if `use_re2` is True and google-re2 is missing."""
    if use_re2 is not False:
        try:
            return Re2Screen(rules, tuple(forms))
        except ImportError as error:
            if use_re2:
                raise ImportError("google-re2 is missing: pip install gossipsub[chorus]") from error
    return PlainScreen(rules, tuple(forms))


class Re2Screen:
    """All rules as one automaton. Bytes are read as Latin-1: rules look for ASCII only."""

    def __init__(self, rules: tuple[RedactionRule, ...], forms: tuple[str, ...]) -> None:
        import re2

        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.max_mem = MAX_MEMORY_BYTES
        options.never_capture = True
        options.log_errors = False
        self._set = re2.Set.SearchSet(options)
        self._numbers: list[int] = []
        self._always: list[int] = []
        self._add(_ODD_PATTERN, ODD)
        if forms:
            self._add("|".join(map(re.escape, forms)), BASE64)
        for number, rule in enumerate(rules):
            if rule.screen:
                self._add(rule.screen, number)
            elif rule.literals:
                self._add("(?i)" + "|".join(map(re.escape, rule.literals)), number)
            else:
                self._always.append(number)
        self._set.Compile()

    def _add(self, pattern: str, number: int) -> None:
        self._set.Add(pattern.encode("latin-1"))
        self._numbers.append(number)

    def hits(self, text: str) -> list[int]:
        found = self._set.Match(text.encode("utf-8", "surrogatepass"))
        if not found:
            return self._always
        return [*(self._numbers[index] for index in found), *self._always]


class PlainScreen:
    """Literals first: looking for one takes a microsecond, trying a pattern ten and more."""

    def __init__(self, rules: tuple[RedactionRule, ...], forms: tuple[str, ...]) -> None:
        self._in_runs = [(form, BASE64) for form in forms]
        self._literals: dict[str, list[int]] = {}
        self._shapes: dict[str, list[int]] = {}
        self._patterns: dict[int, re.Pattern[str]] = {}
        self._always: list[int] = []
        self._odd = re.compile(_ODD_PATTERN)
        for number, rule in enumerate(rules):
            if rule.screen:
                self._patterns[number] = re.compile(rule.screen, re.ASCII)
            if rule.is_token:
                self._in_runs += [(literal, number) for literal in rule.literals]
            elif rule.shapes:
                for shape in rule.shapes:
                    self._shapes.setdefault(shape, []).append(number)
            elif rule.literals:
                for literal in rule.literals:
                    self._literals.setdefault(literal.lower(), []).append(number)
            else:
                self._always.append(number)
        words = [literal for literal, _ in self._in_runs]
        self._any_in_runs = re.compile(_pattern_of(words)) if words else None

    def hits(self, text: str) -> list[int]:
        if not text.isascii():
            text = text.encode("utf-8", "surrogatepass").decode("latin-1")
        found = dict.fromkeys(self._always)
        runs = " ".join(_RUNS.findall(text))
        if runs and self._any_in_runs and self._any_in_runs.search(runs):
            found |= {number: None for literal, number in self._in_runs if literal in runs}
        lowered = text.lower()
        for literal, numbers in self._literals.items():
            if literal in lowered:
                found |= dict.fromkeys(numbers)
        shaped = text.translate(_SHAPES)
        for shape, numbers in self._shapes.items():
            if shape in shaped:
                found |= dict.fromkeys(numbers)
        hits = [number for number in found if self._may_match(number, text)]
        if ("\\" in text or not text.isprintable()) and self._odd.search(text):
            hits.append(ODD)
        return hits

    def _may_match(self, number: int, text: str) -> bool:
        pattern = self._patterns.get(number)
        return pattern is None or pattern.search(text) is not None


def _pattern_of(words: Iterable[str]) -> str:
    """Any of the words, common beginnings written once: six times as fast as one after the
    other."""
    rests: dict[str, list[str]] = {}
    for word in sorted(words):
        if not word:
            return ""  # a word that ends here needs nothing more
        rests.setdefault(word[0], []).append(word[1:])
    branches = [re.escape(first) + _pattern_of(rest) for first, rest in rests.items()]
    return branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"
