"""The second walk over a payload, where the first look found something: it cuts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from gossipsub.chorus.redaction.credential_rules import SECRET_FIELD
from gossipsub.chorus.redaction.finding import RedactionFinding
from gossipsub.chorus.redaction.rule import RedactionRule
from gossipsub.chorus.redaction.secret_names import is_placeholder, looks_secret
from gossipsub.chorus.redaction.survey import FieldNames, is_named_pair, number_text
from gossipsub.chorus.redaction.text_search import TextSearch

MAX_DEPTH = 128
"""Levels that are walked, those of JSON in texts included. What lies deeper is cut as a whole."""
MAX_TEXTS_IN_TEXTS = 4
"""JSON in a text in JSON in a text: deeper, it is looked at as plain text."""
TOO_DEEP = "[REDACTED:too-deep]"

_MAX_POINTER = 512
_MAX_TOKEN = 64
_BARE_JSON = re.compile(r"\s*+(?:\{.*\}|\[.*\])\s*+", re.DOTALL)

Report = Callable[[RedactionFinding, str], None]
"""Told of each cut, and of what was cut."""

Place = tuple[str, ...]


class Rewrite:
    """One pass over one payload with the rules that may find something."""

    def __init__(
        self, search: TextSearch, fields: FieldNames, hits: list[int], report: Report
    ) -> None:
        self._search = search
        self._fields = fields
        self._hits = hits
        self._report = report
        self._texts_deep = 0

    def value(self, node: object, place: Place = (), depth: int = 0) -> object:
        """What may leave of `node`: itself where nothing was cut, else a new one."""
        if isinstance(node, str):
            return self._text(node, place, depth)
        if isinstance(node, (Mapping, list, tuple)):
            if depth >= MAX_DEPTH:
                return TOO_DEEP
            if isinstance(node, Mapping):
                return self._mapping(node, place, depth)
            return self._list(node, place, depth)
        digits = number_text(node)
        if digits is not None:
            cut = self._text(digits, place, depth)
            return node if cut == digits else cut
        return node

    def _mapping(self, node: Mapping[Any, object], place: Place, depth: int) -> object:
        is_pair = "value" in node and is_named_pair(node, self._fields)
        rewritten: dict[Any, object] = {}
        is_changed = False
        for name, value in node.items():
            kept, strength = self._name(name, place)
            inner = (*place, str(kept))
            if is_pair and name == "value":
                strength = 2
            if strength:
                left = self._secret(value, inner, depth + 1, is_strong=strength == 2)
            else:
                left = self.value(value, inner, depth + 1)
            if kept is not name:
                kept = _free(kept, node, rewritten)
            is_changed = is_changed or kept is not name or left is not value
            rewritten[kept] = left
        return rewritten if is_changed else node

    def _list(self, node: list[object] | tuple[object, ...], place: Place, depth: int) -> object:
        rewritten = [
            self.value(item, (*place, str(index)), depth + 1) for index, item in enumerate(node)
        ]
        is_same = all(new is old for new, old in zip(rewritten, node, strict=True))
        return node if is_same else rewritten

    def _name(self, name: object, place: Place) -> tuple[object, int]:
        """A field's name without the secrets in it, and how much it says about its value."""
        fields = self._fields
        if not isinstance(name, str) or name in fields.harmless:
            return name, 0
        strength = fields.strength(name)
        found = self._search.find(name, self._hits)
        if not found:
            if not strength:
                fields.remember((name,))
            return name, strength
        parts, done = [], 0
        for start, end, rule in found:
            parts += [name[done:start], rule.marker]
            done = end
        kept = "".join((*parts, name[done:]))
        for start, end, rule in found:
            self._tell(rule, (*place, kept), start, name[start:end], is_name=True)
        return kept, strength

    def _secret(self, value: object, place: Place, depth: int, *, is_strong: bool) -> object:
        """The value of a field whose name says that it is secret. A mapping is judged by the names
        in it: `password` may as well be a part of a form's description."""
        if isinstance(value, str):
            if is_placeholder(value) or not (is_strong or looks_secret(value)):
                return self._text(value, place, depth)
            self._tell(SECRET_FIELD, place, 0, str.__str__(value), is_name=False)
            return SECRET_FIELD.marker
        if isinstance(value, (list, tuple)) and depth < MAX_DEPTH:
            rewritten = [
                self._secret(item, (*place, str(index)), depth + 1, is_strong=is_strong)
                for index, item in enumerate(value)
            ]
            is_same = all(new is old for new, old in zip(rewritten, value, strict=True))
            return value if is_same else rewritten
        if is_strong and isinstance(value, (int, float)) and not isinstance(value, bool):
            self._tell(SECRET_FIELD, place, 0, _digits(value), is_name=False)
            return SECRET_FIELD.marker
        return self.value(value, place, depth)

    def _text(self, text: str, place: Place, depth: int) -> str:
        if _BARE_JSON.fullmatch(text) and self._texts_deep < MAX_TEXTS_IN_TEXTS:
            rewritten = self._json_text(text, place, depth)
            if rewritten is not None:
                return rewritten
        found = self._search.find(text, self._hits)
        if not found:
            return text
        parts, done = [], 0
        for start, end, rule in found:
            self._tell(rule, place, start, text[start:end], is_name=False)
            parts += [text[done:start], rule.marker]
            done = end
        parts.append(text[done:])
        return "".join(parts)

    def _json_text(self, text: str, place: Place, depth: int) -> str | None:
        """A text that is JSON, written anew without its secrets; None where it is none, or where
        the walk over it found nothing (of equal names it sees one only)."""
        try:
            parsed = json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return None
        self._texts_deep += 1
        try:
            inner = (*place[:-1], f"{place[-1]}#") if place else ("#",)
            rewritten = self.value(parsed, inner, depth + 1)
        finally:
            self._texts_deep -= 1
        if rewritten is parsed:
            return None
        try:
            return json.dumps(rewritten, ensure_ascii=False, allow_nan=False)
        except ValueError:
            return TOO_DEEP

    def _tell(
        self, rule: RedactionRule, place: Place, start: int, secret: str, *, is_name: bool
    ) -> None:
        finding = RedactionFinding(
            rule=rule.name,
            severity=rule.severity,
            category=rule.category,
            tags=rule.tags,
            place=_pointer(place),
            is_name=is_name,
            start=start,
            length=len(secret),
        )
        self._report(finding, secret)


def _digits(value: int | float) -> str:
    """A number as text; Python refuses to write very large ones in decimal."""
    return hex(value) if isinstance(value, int) and value.bit_length() > 1024 else str(value)


def _free(name: object, node: Mapping[Any, object], rewritten: Mapping[Any, object]) -> str:
    """The name, or with a number where another field has it."""
    number, free = 1, str(name)
    while free in node or free in rewritten:
        number += 1
        free = f"{name}#{number}"
    return free


def _pointer(place: Place) -> str:
    text = "".join(
        "/" + token[:_MAX_TOKEN].replace("~", "~0").replace("/", "~1") for token in place
    )
    return text[:_MAX_POINTER]


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"not JSON: {name}")
