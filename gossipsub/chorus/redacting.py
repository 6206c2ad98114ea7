"""The seam to the redactor: nothing leaves that it has not seen, nothing at all when it fails."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from gossipsub.chorus.errors import RedactionFailed
from gossipsub.chorus.go_json import finish, write_value
from gossipsub.chorus.redaction.redactor import Redactor
from gossipsub.wire.errors import LocalProtocolError

_PLAIN = frozenset((str, int, float, bool, type(None)))

SOURCE = "pubsub"
"""The label `source`."""


class Redaction:
    """Applies the application's redactor, if there is one."""

    def __init__(self, redactor: Redactor | None, *, max_depth: int) -> None:
        self.redactor = redactor
        self.failures = 0
        """Publications that it stopped by failing."""
        self._max_depth = max_depth

    def redact(
        self, data: dict[str, object], *, topic: str, message_type: str
    ) -> dict[str, object]:
        """What may leave of `data`, which may be changed; RedactionFailed where the redactor
        fails."""
        if self.redactor is None:
            return data
        labels = {"source": SOURCE, "topic": topic, "message_type": message_type}
        try:
            redacted = self.redactor.redact_map_with_labels(data, labels)
        except Exception as error:
            raise self._failed(error) from error
        if not isinstance(redacted, Mapping):
            raise self._failed(f"it returned {type(redacted).__name__} for a payload")
        return dict(redacted)

    def redact_raw(self, payload: bytes, *, topic: str) -> bytes:
        """The same for a payload without envelope. A JSON object is redacted as a map, an array
        as its one member, a JSON text as text, and everything else as the text it is in UTF-8,
        in which bytes that are none are kept. What is not changed leaves byte for byte; a changed
        object is written anew, with its keys sorted."""
        if self.redactor is None:
            return payload
        try:
            value, has_doubles = _read(payload)
        except (ValueError, RecursionError):
            text = self._redact_text(payload.decode("utf-8", "surrogateescape"), topic)
            return text.encode("utf-8", "surrogateescape")
        redacted: object = value
        if isinstance(value, dict):
            redacted = self.redact(copied(value, self._max_depth), topic=topic, message_type="")
        elif isinstance(value, list):
            member = {"": copied(value, self._max_depth)}
            redacted = self.redact(member, topic=topic, message_type="").get("", [])
        elif isinstance(value, str):
            redacted = self._redact_text(value, topic)
        else:
            return self._redact_text(payload.decode(), topic).encode()
        if redacted == value and not has_doubles:
            return payload
        parts: list[str] = []
        write_value(redacted, parts, self._max_depth)
        return finish("".join(parts))

    def _redact_text(self, text: str, topic: str) -> str:
        if self.redactor is None:
            return text
        labels = {"source": SOURCE, "topic": topic, "message_type": ""}
        try:
            redacted = self.redactor.redact_text_with_labels(text, labels)
        except Exception as error:
            raise self._failed(error) from error
        if not isinstance(redacted, str):
            raise self._failed(f"it returned {type(redacted).__name__} for a text")
        return redacted

    def _failed(self, why: object) -> RedactionFailed:
        self.failures += 1
        # Not what it raised in words: that may hold what it found.
        what = why if isinstance(why, str) else f"it raised {type(why).__name__}"
        return RedactionFailed(f"nothing was sent, the redactor failed: {what}")


def copied(value: Any, depth: int) -> Any:
    """A deep copy of what JSON can hold, with lists for tuples; other things are left as they are.
    LocalProtocolError where it is nested deeper than `depth`."""
    # Asking whether something is a Mapping costs as much as the rest: it comes last.
    if type(value) in _PLAIN:
        return value
    is_list = isinstance(value, (list, tuple))
    if not is_list and not isinstance(value, (dict, Mapping)):
        return value
    if not depth:
        raise LocalProtocolError("nested too deep, or within itself")
    if is_list:
        if _PLAIN.issuperset(map(type, value)):
            return list(value)
        return [item if type(item) in _PLAIN else copied(item, depth - 1) for item in value]
    # All at once, then what is not plain: half the time of one by one.
    mapping = dict(value)
    for name, item in mapping.items():
        if type(item) not in _PLAIN:
            mapping[name] = copied(item, depth - 1)
    return mapping


def _read(payload: bytes) -> tuple[Any, bool]:
    """The JSON value, and whether an object in it has equal keys, the first of which a redactor
    would not see. ValueError where it is no JSON."""
    doubles = 0

    def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal doubles
        value = dict(pairs)
        doubles += len(pairs) - len(value)
        return value

    value = json.loads(
        payload.decode(), object_pairs_hook=read_object, parse_constant=_refuse_constant
    )
    return value, doubles > 0


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"not JSON: {name}")
