"""A rule: one kind of secret, how it is found and how bad it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_MAX_NAME = 64

Span = tuple[int, int]
"""Where something starts in a text and where it ends."""


class RedactionCategory(StrEnum):
    """What can be switched on and off."""

    CREDENTIALS = "credentials"
    """Tokens, keys, passwords."""
    FINANCE = "finance"
    """Cards and bank accounts."""
    IDENTITY = "identity"
    """Numbers that name a person, such as the US social security number."""
    CONTACT = "contact"
    """E-mail addresses and phone numbers."""
    NETWORK = "network"
    """Public IPv4 addresses."""


class RedactionSeverity(StrEnum):
    """How bad it would be had it left."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RedactionRule:
    """One kind of secret; checked at construction (ValueError).

    Give either `pattern` or `search`. The cut is the group `secret` of the pattern, or all of it
    where it has no such group. Patterns see text without invisible characters and with the
    escapes of JSON resolved; they are run by `re`, so one that backtracks without bound can hold
    up the event loop.
    """

    name: str
    """Lower case, digits and single hyphens; it stands in place of what was cut."""
    pattern: re.Pattern[str] | str | None = None
    accept: Callable[[re.Match[str]], bool] | None = None
    """Has the last word on a match: checksums and the like."""
    search: Callable[[str], Iterable[Span]] | None = None
    """Finds what no pattern can, in time linear in the text."""
    severity: RedactionSeverity = RedactionSeverity.HIGH
    category: RedactionCategory = RedactionCategory.CREDENTIALS
    tags: tuple[str, ...] = ()
    literals: tuple[str, ...] = ()
    """Of these, one stands in every match, in whatever case; ASCII. A text without any is passed
    over quickly; without literals the rule is tried on every text, which costs."""
    is_token: bool = False
    """Every match has 20 letters, digits and `+/_=.-` in a row, one of the literals among them in
    the very same case. Tokens are looked for in base64 as well."""
    is_in_base64: bool = False
    """Looked for in base64 though it is no token; by its literals, which are then case-sensitive
    there."""
    shapes: tuple[str, ...] = ()
    """As literals, for numbers: in every match one of these stands once digits are written `0`,
    capitals `A`, other letters `a`, and spaces, hyphens, points and parentheses `-`."""
    screen: str = ""
    """Something simple in every match, for re and re2 alike: a quick first look."""

    def __post_init__(self) -> None:
        if len(self.name) > _MAX_NAME or not _NAME.fullmatch(self.name):
            raise ValueError(f"a rule's name is lower case, digits and hyphens: {self.name!r}")
        if (self.pattern is None) is (self.search is None):
            raise ValueError(f"rule {self.name}: either pattern or search")
        if isinstance(self.pattern, str):
            try:
                object.__setattr__(self, "pattern", re.compile(self.pattern))
            except re.error as error:
                raise ValueError(f"rule {self.name}: {error}") from error
        for literal in self.literals:
            if not literal or not literal.isascii():
                raise ValueError(f"rule {self.name}: a literal is ASCII, not empty: {literal!r}")

    @property
    def marker(self) -> str:
        """What stands in place of what was cut."""
        return f"[REDACTED:{self.name}]"

    def spans(self, text: str) -> Iterator[Span]:
        """Where in `text` it was found, from left to right."""
        if self.search is not None:
            yield from self.search(text)
            return
        pattern = self.pattern
        if not isinstance(pattern, re.Pattern):  # __post_init__ compiled it
            return
        group: int | str = "secret" if "secret" in pattern.groupindex else 0
        accept = self.accept
        for match in pattern.finditer(text):
            start, end = match.span(group)
            if start < end and (accept is None or accept(match)):
                yield start, end
