"""Text as a reader takes it: without invisible characters, and with JSON's escapes resolved.

A zero-width space within a token, or its first letter as an escape, must not hide it.
"""

from __future__ import annotations

import re
import unicodedata
from array import array

_INVISIBLE = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2"
    "\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_VARIANTS = "\uff01-\uff5e\U0001d400-\U0001d7ff"
"""Full width and mathematical letters and digits: NFKC makes ASCII of them."""

ESCAPE = (
    r"\\u(?:00(?:[01]|2[^6cC]|3[^ceCE]|[4-7]|[aA][dD])|034[fF]|061[cC]|115|17[bB]4|180|20[0-36]|3164"
    r"|[fF][eEfF])|\\/"
)
"""Escapes worth resolving, for re and re2 alike: not `<`, `>` and `&`, which Go always escapes."""
CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"

_ODD = re.compile(
    rf"(?P<gone>[{_INVISIBLE}]+)|[{_VARIANTS}]+|\\+u(?P<code>[0-9a-fA-F]{{4}})|\\+(?=/)"
)
_ODD_CHARACTER = re.compile(f"[{_INVISIBLE}{_VARIANTS}]")
_GONE = re.compile(f"[{_INVISIBLE}]")


class Folded:
    """A text for the rules to look at, and where in the original its characters stand."""

    __slots__ = ("_origins", "text")

    def __init__(self, original: str) -> None:
        self.text = original
        self._origins: array[int] | None = None
        if _ODD.search(original):
            self._fold(original)

    def _fold(self, original: str) -> None:
        pieces: list[str] = []
        origins = array("I")
        done = 0
        for match in _ODD.finditer(original):
            start, end = match.span()
            pieces.append(original[done:start])
            origins.extend(range(done, start))
            plain = _plain(match)
            pieces.append(plain)
            is_same_length = len(plain) == end - start
            origins.extend(range(start, end) if is_same_length else [start] * len(plain))
            done = end
        pieces.append(original[done:])
        origins.extend(range(done, len(original) + 1))
        self.text = "".join(pieces)
        self._origins = origins

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original that is read as this one."""
        origins = self._origins
        if origins is None:
            return start, end
        first, last = origins[start], origins[end - 1]
        while end < len(origins) - 1 and origins[end] == last:
            end += 1
        return first, origins[end]


def fold(text: str) -> str:
    """The text alone."""
    return Folded(text).text


def has_odd_characters(text: str) -> bool:
    """True where a character that is no ASCII is invisible or stands for an ASCII one."""
    return _ODD_CHARACTER.search(text) is not None


def _plain(match: re.Match[str]) -> str:
    if match["gone"] or match[0][-1] == "\\":
        return ""
    code = match["code"]
    character = chr(int(code, 16)) if code else match[0]
    if code and not character.isascii() and not _ODD_CHARACTER.match(character):
        return match[0]  # a letter of some language
    if character in "\n\r\t":
        return character
    return "" if _GONE.match(character) else unicodedata.normalize("NFKC", character)
