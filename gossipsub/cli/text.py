"""What strangers sent, as text that does nothing to a terminal."""

from __future__ import annotations

import unicodedata


def printable(data: bytes | str) -> str:
    """`data` on one line: what is no UTF-8, and what terminals act on or cannot show, is written
    as in Python's literals (`\\n`, `\\x1b`, `\\u202e`). Not to be read back: a backslash stays.
    """
    text = data if isinstance(data, str) else data.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(each if _is_harmless(each) else _escaped(each) for each in text)


def _is_harmless(character: str) -> bool:
    return character.isprintable() or character == "\t" or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
