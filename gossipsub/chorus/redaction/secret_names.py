"""Names that say that what follows is secret, and values that only stand for a secret."""

from __future__ import annotations

import re

_NOT_ALPHANUMERIC = re.compile(r"[^0-9a-z]+")
_STRONG = re.compile(
    r"(?:pass(?:word|wd|phrase|code)|pwd|secret"
    r"|(?:api|access|secret|private|priv|signing|encryption|master|shared|account|auth|service)key"
    r"|(?:access|auth|refresh|bearer|session|security|api|id|oauth|deploy|bot|personal)token"
    r"|secretaccesskey|connectionstring|mnemonic|seedphrase|passwordhash|cvv|cvc)(?:s|value)?"
)
_WEAK = re.compile(r"(?:.*token|(?:proxy)?authorization|credentials?|(?:set)?cookie)")
_HARMLESS_TOKEN = re.compile(
    r".*(?:page|next|continuation|sync|cursor|resume|stop|start|eos|bos|pad|unk|mask|cls|sep|special"
    r"|max|min|per|prompt|completion|total|input|output)token"
)
_SCHEME = re.compile(r"(?i:bearer|basic|digest|token|apikey|negotiate|aws4-hmac-sha256)\s")
_LONGEST_NAME = 128
"""Characters of a name that are looked at, its last."""

WORDS = (
    r"passw(?:or)?d|passphrase|passcode|pwd|secret"
    r"|(?:api|access|secret|private|priv|signing|encryption|master|shared|account|auth|service)"
    r"[_.\- ]?key|token|authorization|credential|connection[_-]?string|mnemonic|seed[_-]?phrase"
    r"|cvv|cvc|cookie"
)
"""The same names as they end in running text, in the form that re and re2 share."""

WORD_LITERALS = (
    "pass", "pwd", "secret", "key", "token", "authorization", "credential", "connection",
    "mnemonic", "seed", "cvv", "cvc", "cookie",
)  # fmt: skip

_PLACEHOLDER = re.compile(
    r"\[REDACTED.*|\$\{.*|\$\(.*|\$[A-Za-z_]\w*|\{\{.*|\{\w*\}|<.*>?|%\(?\w+.*|[*x•.…_-]+"
    r"|(?i:none|null|nil|undefined|true|false|yes|no|string|str|text|required|optional|hidden|unset"
    r"|masked|redacted|changeme|empty|n/a|todo|tbd)",
    re.ASCII | re.DOTALL,
)


def strength(name: str) -> int:
    """2 for a name whose value is secret whatever it is, 1 for one whose value is secret where it
    looks so, 0 for others."""
    squeezed = _NOT_ALPHANUMERIC.sub("", name[-_LONGEST_NAME:].lower())
    if _HARMLESS_TOKEN.fullmatch(squeezed):
        return 0
    if any(_STRONG.fullmatch(squeezed, start) for start in _starts(squeezed)):
        return 2
    return 1 if _WEAK.fullmatch(squeezed) else 0


_FIRST = re.compile(r"[pasmeibrocd]")


def _starts(squeezed: str) -> list[int]:
    """Where the name's end that counts may start: the longest takes 22 characters."""
    return [match.start() for match in _FIRST.finditer(squeezed, max(0, len(squeezed) - 24))]


def is_placeholder(value: str) -> bool:
    """True for what stands in a secret's place: `${TOKEN}`, `<password>`, `***`, `null`, or what
    was redacted before."""
    value = value.strip()
    return len(value) < 2 or _PLACEHOLDER.fullmatch(value) is not None


def looks_secret(value: str) -> bool:
    """What the value of a weak name must look like: `token` is also a word of a text."""
    value = value.strip()
    if _SCHEME.match(value):
        return True
    return len(value) >= 16 and not any(map(str.isspace, value)) and any(map(str.isdigit, value))
