"""The first walk over a payload: all its texts, to be looked at together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gossipsub.chorus.redaction.secret_names import strength

SMALLEST_NUMBER = 10**12
LARGEST_NUMBER = 10**19
"""Numbers between them may be those of a card."""

_KNOWN_NAMES = 1024
_LONGEST_KNOWN = 64


class FieldNames:
    """Which names of fields say that their value is secret; remembers those it has met.

    Agents use the same few names over and over. At most 1024 of up to 64 characters are
    remembered, then it starts anew.
    """

    def __init__(self, always: Iterable[str], *, is_on: bool) -> None:
        self._always = frozenset(map(_squeezed, always))
        self._is_on = is_on
        self.harmless: dict[str, None] = {}
        """Names that neither are secret nor say that anything is."""

    def strength(self, name: str) -> int:
        """As `secret_names.strength`, with the names that were added."""
        if not self._is_on:
            return 0
        if self._always and _squeezed(name) in self._always:
            return 2
        return strength(name)

    def remember(self, names: Iterable[str]) -> None:
        """A first look at these names found nothing, and they say nothing."""
        for name in names:
            if len(name) <= _LONGEST_KNOWN:
                if len(self.harmless) >= _KNOWN_NAMES:
                    self.harmless.clear()
                self.harmless[name] = None


def _squeezed(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()


class Survey:
    """All texts of a payload, and whether a field's name makes a closer look necessary."""

    __slots__ = ("is_named", "names", "texts")

    def __init__(self, payload: object, fields: FieldNames) -> None:
        self.texts: list[str] = []
        self.names: list[str] = []
        """Names of fields met for the first time that say nothing; they are looked at with the
        texts."""
        self.is_named = False
        self._walk(payload, fields)

    def _walk(self, payload: object, fields: FieldNames) -> None:
        texts, harmless = self.texts, fields.harmless
        waiting: list[object] = [payload]
        met: set[int] = set()  # a payload that holds itself must not keep us for ever
        for node in waiting:  # grows as we go, without recursion
            if id(node) in met:
                continue
            met.add(id(node))
            values: Iterable[object]
            if isinstance(node, (list, tuple)):
                values = node
            elif isinstance(node, (dict, Mapping)):
                for name in node:
                    if name not in harmless:
                        self._meet(name, fields)
                if "value" in node and not self.is_named:
                    self.is_named = is_named_pair(node, fields)
                values = node.values()
            else:
                values = (node,)
            for value in values:
                kind = type(value)
                if kind is str:
                    texts.append(value)
                elif kind is dict or kind is list:
                    waiting.append(value)
                elif kind is int or kind is float:
                    if value >= SMALLEST_NUMBER:
                        texts.append(number_text(value) or "")
                elif value is not None and kind is not bool:
                    self._add_other(value, waiting)

    def _add_other(self, value: object, waiting: list[object]) -> None:
        if isinstance(value, str):
            self.texts.append(str.__str__(value))
        elif isinstance(value, (Mapping, list, tuple)):
            waiting.append(value)
        elif isinstance(value, (int, float)):
            self.texts.append(number_text(value) or "")

    def _meet(self, name: object, fields: FieldNames) -> None:
        if not isinstance(name, str):
            return
        if fields.strength(name):
            self.is_named = True
            self.texts.append(name)
        else:
            self.names.append(name)


def number_text(value: object) -> str | None:
    """The digits of a number that may be a card's; None for others."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if not SMALLEST_NUMBER <= value < LARGEST_NUMBER or value != int(value):
        return None
    return str(int(value))


def is_named_pair(node: Mapping[object, object], fields: FieldNames) -> bool:
    """True for `{"name": "DB_PASSWORD", "value": …}`, as headers and environments are written."""
    for name in ("name", "key"):
        says = node.get(name)
        if isinstance(says, str) and fields.strength(says):
            return True
    return False
