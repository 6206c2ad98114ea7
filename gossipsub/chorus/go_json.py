"""JSON byte for byte as Go's encoding/json writes it, and read as strictly as Go reads it."""

from __future__ import annotations

import gc
import json
import math
import re
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring
from typing import Any, NoReturn

from gossipsub.chorus.errors import MalformedEnvelope, RefusalReason
from gossipsub.wire.errors import LocalProtocolError

quote: Callable[[str], str] = encode_basestring
"""A JSON string; `finish` escapes the rest of what Go escapes."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_PLAIN_INT = 1 << 1023
"""Integers below it fit into a float64, the number type of whoever reads JSON in Go."""
_LONG_TEXT = 4096
_INT_CHARACTERS = 308
"""No integer of so few characters is beyond a float64."""
_TEXT_ALONE = frozenset((str,))
_PLAIN_ENCODER = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":"), allow_nan=False
)


# Writing


class Written(dict[str, object]):
    """An object that brings its JSON along, so that it need not be written again. What is in its
    values must not be changed."""

    __slots__ = ("_text", "_values")

    def __init__(self, values: dict[str, object], text: str) -> None:
        """`text` is what `write_value` makes of `values`."""
        super().__init__(values)
        self._values = values
        self._text = text

    def text(self) -> str | None:
        """Not yet finished; None where members were put in, replaced or taken away since."""
        return self._text if self == self._values else None


def finish(text: str) -> bytes:
    """The bytes of a JSON text that `quote` and `write_value` made.

    What Go escapes for the sake of HTML and JavaScript stands only in strings, so that one pass
    over the whole text will do. What is no Unicode (a lone surrogate here, an invalid byte in
    Go) becomes U+FFFD, which Go writes as an escape then.
    """
    text = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub(r"\\ufffd", text).encode()


def value_text(value: object, depth: int) -> str:
    """The JSON of `value`, to be finished; limits and errors as `write_value`."""
    parts: list[str] = []
    write_value(value, parts, depth)
    return "".join(parts)


def write_value(value: object, parts: list[str], depth: int) -> None:
    """Append the JSON of `value`, which may be nested `depth` deep.

    Takes text, bool, int, float, None, mappings with text keys, lists and tuples.
    LocalProtocolError for anything else, deeper nesting, NaN, infinities, and integers beyond a
    float64.
    """
    if type(value) is dict and _is_plain(value, depth):
        parts.append(_PLAIN_ENCODER.encode(value))
    else:
        _write(value, parts, depth)


def _is_plain(value: dict[Any, Any], depth: int) -> bool:
    """Whether Python's own encoder, which is written in C, gives what Go does: a look at each value
    and that encoder together take three quarters of the time of `_write`."""
    waiting: list[Any] = [value]
    for node in waiting:  # grows as we go
        if type(node) is dict:
            if not _TEXT_ALONE.issuperset(map(type, node)):
                return False
            node = node.values()
        for item in node:
            kind = type(item)
            if kind is str:
                continue
            if kind is float:
                # Go writes whole ones without a fraction, and exponents in another form.
                if item.is_integer() or not 1e-4 <= abs(item) < math.inf:
                    return False
            elif kind is int:
                if not -_PLAIN_INT < item < _PLAIN_INT:
                    return False
            elif kind is dict or kind is list:
                waiting.append(item)
            elif item is not None and kind is not bool:
                return False
        # So few cannot nest deeper, not even where one is within itself.
        if len(waiting) > depth:
            return False
    return True


def _write(value: object, parts: list[str], depth: int) -> None:
    # The plain types first: asking whether something is a Mapping costs as much as writing it.
    if isinstance(value, str):
        parts.append(quote(value))
    elif isinstance(value, dict):
        write_object(value, parts, depth)
    elif isinstance(value, (list, tuple)):
        _write_array(value, parts, depth)
    elif value is None or value is True or value is False:
        parts.append("null" if value is None else "true" if value else "false")
    elif isinstance(value, int):
        parts.append(_int_text(value))
    elif isinstance(value, float):
        parts.append(float_text(value))
    elif isinstance(value, Mapping):
        write_object(value, parts, depth)
    else:
        raise LocalProtocolError(f"JSON has no form for {type(value).__name__}")


def write_object(value: Mapping[str, object], parts: list[str], depth: int) -> None:
    """Append the JSON of a mapping with its keys sorted; limits and errors as `write_value`."""
    if not depth:
        raise LocalProtocolError("nested too deep, or within itself")
    try:
        # Go sorts by the bytes of UTF-8, which is the order of code points.
        names = sorted(value)
        "".join(names)
    except TypeError as error:
        raise LocalProtocolError("the keys of an object are text") from error
    before = "{"
    for name in names:
        item = value[name]
        # Most values are text; not calling for them saves a tenth of the time.
        if type(item) is str:
            parts.append(f"{before}{quote(name)}:{quote(item)}")
        else:
            parts.append(f"{before}{quote(name)}:")
            _write(item, parts, depth - 1)
        before = ","
    parts.append("}" if names else "{}")


def _write_array(value: list[object] | tuple[object, ...], parts: list[str], depth: int) -> None:
    if not depth:
        raise LocalProtocolError("nested too deep, or within itself")
    before = "["
    for item in value:
        parts.append(before)
        _write(item, parts, depth - 1)
        before = ","
    parts.append("]" if value else "[]")


def _int_text(value: int) -> str:
    if not -_PLAIN_INT < value < _PLAIN_INT:
        try:
            float(value)
        except OverflowError as error:
            raise LocalProtocolError("an integer beyond a float64") from error
    return int.__repr__(value)


def float_text(value: float) -> str:
    """The shortest digits that give `value` back, in Go's form: plain from 1e-6 to below 1e21."""
    if not math.isfinite(value):
        raise LocalProtocolError(f"JSON has no form for {value!r}")
    text = float.__repr__(value)
    if text.endswith(".0"):
        return text[:-2]
    mantissa, has_exponent, exponent = text.partition("e")
    if not has_exponent:
        return text
    # Python turns to exponents earlier, below 1e-4 and from 1e16, and writes e-07 for Go's e-7.
    power = int(exponent)
    sign = "-" if mantissa[0] == "-" else ""
    digits = mantissa.lstrip("-").replace(".", "")
    if -6 <= power < 0:
        return f"{sign}0.{'0' * (-power - 1)}{digits}"
    if 0 < power < 21:
        return f"{sign}{digits.ljust(power + 1, '0')}"
    return f"{mantissa}e{power}" if power < 0 else text


# Reading


def read_value(data: bytes, *, max_depth: int) -> object:
    """What a JSON text says: dict, list, str, int, float, bool or None.

    As in Go, the last of equal keys counts, and what is no Unicode is read as U+FFFD: each
    invalid byte, each lone surrogate escape. MalformedEnvelope for anything that is not JSON,
    nesting deeper than `max_depth`, and numbers beyond a float64; nothing else for any bytes.
    """
    try:
        text, is_damaged = data.decode(), False
    except UnicodeDecodeError:
        # One surrogate a byte, as Go counts; errors="replace" would take several bytes as one.
        text, is_damaged = data.decode("utf-8", "surrogateescape"), True
    try:
        value = _decoded(text)
    except RecursionError as error:
        raise MalformedEnvelope(RefusalReason.TOO_DEEP, "nested far too deep") from error
    except ValueError as error:
        raise MalformedEnvelope(RefusalReason.NOT_JSON, f"not JSON: {error}") from error
    # So few brackets cannot nest deeper; most messages need no walk.
    if text.count("[") + text.count("{") > max_depth:
        _require_depth(value, max_depth)
    # Looking for one character takes a twentieth of the time of looking for three.
    if is_damaged or ("\\" in text and ("\\ud" in text or "\\uD" in text)):
        return _without_surrogates(value)
    return value


def _decoded(text: str) -> object:
    if len(text) <= _LONG_TEXT or not gc.isenabled():
        return _DECODER.decode(text)
    # Thousands of empty lists set off the collector again and again, which finds nothing: it took
    # 50 ms of an event loop's time where decoding takes 13.
    gc.disable()
    try:
        return _DECODER.decode(text)
    finally:
        gc.enable()


def _require_depth(value: object, max_depth: int) -> None:
    depth = 0
    level = [value] if isinstance(value, (dict, list)) else []
    while level:
        depth += 1
        if depth > max_depth:
            raise MalformedEnvelope(
                RefusalReason.TOO_DEEP, f"nested deeper than {max_depth} levels"
            )
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        ]


def _without_surrogates(value: object) -> object:
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {
            _LONE_SURROGATE.sub("\ufffd", name): _without_surrogates(item)
            for name, item in value.items()
        }
    return value


def _read_int(text: str) -> int | float:
    if len(text) > _INT_CHARACTERS and math.isinf(float(text)):
        raise _out_of_range(text)
    # Go keeps the sign of zero, an int would lose it.
    return -0.0 if text == "-0" else int(text)


def _read_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _out_of_range(text)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedEnvelope(RefusalReason.NOT_JSON, f"not JSON: {name}")


def _out_of_range(text: str) -> MalformedEnvelope:
    return MalformedEnvelope(
        RefusalReason.NUMBER_OUT_OF_RANGE, f"a number beyond a float64: {text[:32]}"
    )


_DECODER = json.JSONDecoder(
    parse_int=_read_int, parse_float=_read_float, parse_constant=_refuse_constant
)
