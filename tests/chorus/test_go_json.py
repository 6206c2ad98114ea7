from __future__ import annotations

import contextlib
import gc
import json
import math
import struct
from collections import UserDict
from copy import copy, deepcopy
from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.chorus.errors import MalformedEnvelope, RefusalReason
from gossipsub.chorus.go_json import Written, finish, float_text, read_value, write_value
from gossipsub.chorus.message_type import MessageType
from gossipsub.wire.errors import LocalProtocolError

Vectors = dict[str, list[dict[str, Any]]]


def written(value: object, depth: int = 64) -> bytes:
    parts: list[str] = []
    write_value(value, parts, depth)
    return finish("".join(parts))


def refusal(data: bytes, max_depth: int = 64) -> tuple[RefusalReason, str]:
    with pytest.raises(MalformedEnvelope) as raised:
        read_value(data, max_depth=max_depth)
    return raised.value.reason, str(raised.value)


# Writing


def test_floats_are_written_as_go_writes_them(go_vectors: Vectors) -> None:
    assert len(go_vectors["floats"]) == 400
    for case in go_vectors["floats"]:
        (value,) = struct.unpack(">d", bytes.fromhex(case["bits"]))
        assert float_text(value) == case["text"], case


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_read_back_from_its_text(value: float) -> None:
    text = float_text(value)
    assert struct.pack(">d", float(text)) == struct.pack(">d", value)
    plain = value == 0 or 1e-6 <= abs(value) < 1e21
    assert ("e" not in text) is plain
    assert "e-0" not in text


def test_strings_are_written_as_go_writes_them(go_vectors: Vectors) -> None:
    """Bytes that are no UTF-8 are lone surrogates in Python: one a byte, as Go counts."""
    for case in go_vectors["strings"]:
        text = bytes.fromhex(case["utf8_hex"]).decode("utf-8", "surrogateescape")
        assert written(text) == case["text"].encode(), case


class Level(IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, b"null"),
        (True, b"true"),
        (0, b"0"),
        (2**64 - 1, b"18446744073709551615"),
        (Level.HIGH, b"3"),
        (MessageType.TASK_CLAIM, b'"task_claim"'),
        ((1, [2, ()]), b"[1,[2,[]]]"),
        ({"b": {}, "a": [False]}, b'{"a":[false],"b":{}}'),
        ({MessageType.TASK_CLAIM: 1}, b'{"task_claim":1}'),
        (UserDict({"x": UserDict()}), b'{"x":{}}'),
        ({"\uffff": 1, "\U00010000": 2}, '{"\uffff":1,"\U00010000":2}'.encode()),
    ],
)
def test_values_are_written_without_spaces_and_with_sorted_keys(
    value: object, expected: bytes
) -> None:
    assert written(value) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "JSON has no form for object"),
        (b"raw", "JSON has no form for bytes"),
        ({1, 2}, "JSON has no form for set"),
        ([math.nan], "JSON has no form for nan"),
        ({"x": -math.inf}, "JSON has no form for -inf"),
        ({1: 2}, "the keys of an object are text"),
        ({"a": 1, None: 2}, "the keys of an object are text"),
        (2**1024, "an integer beyond a float64"),
        (-(10**5000), "an integer beyond a float64"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_json_cannot_hold_is_an_error(value: object, message: str) -> None:
    with pytest.raises(LocalProtocolError) as raised:
        written(value)
    assert str(raised.value) == message


def test_nesting_is_limited_and_a_value_within_itself_is_an_error() -> None:
    assert written([[{}]], depth=3) == b"[[{}]]"
    endless: list[object] = []
    endless.append({"again": endless})
    for value, depth in (([[{}]], 2), ([[[]]], 2), (endless, 64)):
        with pytest.raises(LocalProtocolError, match=r"^nested too deep, or within itself$"):
            written(value, depth)


def test_an_object_brings_its_json_along_until_its_members_change() -> None:
    inner = {"b": 1}
    for change in (
        lambda it: it.update(a=[]),
        lambda it: it.update(a={"b": 2}),
        lambda it: it.update(c=1),
        lambda it: it.pop("a"),
        lambda it: it.clear(),
        lambda it: it.setdefault("c"),
    ):
        value = Written({"a": inner}, '{"a":{"b":1}}')
        for each in (value, copy(value), deepcopy(value)):
            assert each == {"a": inner}
            assert each.text() == json.dumps(each, separators=(",", ":"))
            change(each)
            assert each.text() is None


# A dict of plain values is left to Python's encoder, a mapping of another class never is.
EDGES: tuple[object, ...] = (
    *(0.0, -0.0, 1.0, 0.5, -0.5, 1e-4, 9.9e-5, -9.9e-5, 1e-7, 2.0**53, 1e16, -1e16, 1.5e17, 1e21),
    *(5e-324, math.nan, math.inf, -math.inf, 2**1023, 2**1024, -(2**1024), 10**308),
    *((), (1,), True, None, Level.HIGH, MessageType.TASK_CLAIM, UserDict({"b": 1, "a": 2}), b"raw"),
    *(
        "<&>\u2028\ud800\x7f\n\x00",
        {1: 2},
        {None: 1},
        {MessageType.TASK_CLAIM: 1},
        {"b": 1, "a": 2},
    ),
)
anything = st.recursive(
    st.sampled_from(EDGES) | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=12,
)


def outcome(mapping: object, depth: int) -> bytes | str:
    try:
        return written(mapping, depth)
    except LocalProtocolError as error:
        return str(error)


@pytest.mark.parametrize("value", EDGES, ids=lambda value: repr(value)[:20])
def test_an_odd_value_is_written_in_a_dict_as_in_any_other_mapping(value: object) -> None:
    assert outcome({"x": value}, 3) == outcome(UserDict({"x": value}), 3)


@given(st.dictionaries(st.text(st.characters()), anything), st.integers(0, 5))
def test_a_dict_is_written_as_any_other_mapping(value: dict[str, object], depth: int) -> None:
    assert outcome(value, depth) == outcome(UserDict(value), depth)


# Reading


@pytest.mark.parametrize(
    ("data", "reason", "message"),
    [
        (b"", RefusalReason.NOT_JSON, "not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"[NaN]", RefusalReason.NOT_JSON, "not JSON: NaN"),
        (b"-Infinity", RefusalReason.NOT_JSON, "not JSON: -Infinity"),
        (b"1e309", RefusalReason.NUMBER_OUT_OF_RANGE, "a number beyond a float64: 1e309"),
        (
            b"9" * 100_000,
            RefusalReason.NUMBER_OUT_OF_RANGE,
            "a number beyond a float64: " + "9" * 32,
        ),
        (b"9" * 309, RefusalReason.NUMBER_OUT_OF_RANGE, "a number beyond a float64: " + "9" * 32),
        (b"[[[]]]", RefusalReason.TOO_DEEP, "nested deeper than 2 levels"),
        (b'{"a":[{}]}', RefusalReason.TOO_DEEP, "nested deeper than 2 levels"),
        (b"[" * 1_000_000, RefusalReason.TOO_DEEP, "nested far too deep"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_refused_is_refused_for_its_reason(
    data: bytes, reason: RefusalReason, message: str
) -> None:
    assert refusal(data, max_depth=2) == (reason, message)


def test_numbers_at_the_edge_of_a_float64_are_read() -> None:
    greatest = int(1.7976931348623157e308)
    assert read_value(str(greatest).encode(), max_depth=1) == greatest
    assert read_value(str(-greatest).encode(), max_depth=1) == -greatest
    assert read_value(b"1e-400", max_depth=1) == 0
    assert written(read_value(b"[-0,-0.0,0]", max_depth=1)) == b"[-0,-0,0]"


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert read_value(b"[" + b"[]," * 99 + b"{}]", max_depth=2) == [[]] * 99 + [{}]


# A whole float from 2**53 to 1e21 is written in digits and read as another, whole, number.
floats = st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda value: not 2**53 <= abs(value) < 1e21
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | floats
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


@given(json_values)
def test_what_was_written_is_read_back(value: object) -> None:
    data = written(value)
    assert read_value(data, max_depth=64) == value
    assert written(read_value(data, max_depth=64)) == data


@given(st.text(st.characters()))
def test_any_text_can_be_written_and_reads_as_unicode(text: str) -> None:
    read = read_value(written([text]), max_depth=1)
    assert read == ["".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)]


@given(st.binary())
def test_any_bytes_are_json_or_malformed(data: bytes) -> None:
    try:
        value = read_value(data, max_depth=8)
    except MalformedEnvelope:
        return
    written(value)


@pytest.mark.parametrize("enabled", [True, False])
def test_reading_leaves_the_garbage_collector_as_it_was(enabled: bool) -> None:
    was = gc.isenabled()
    try:
        gc.enable() if enabled else gc.disable()
        for text in (b"[%s]" % b",".join([b"[]"] * 10_000), b"[" * 10_000):
            with contextlib.suppress(MalformedEnvelope):
                read_value(text, max_depth=2)
            assert gc.isenabled() is enabled
    finally:
        gc.enable() if was else gc.disable()


def test_reading_many_objects_does_not_set_off_the_garbage_collector() -> None:
    collected: list[str] = []

    def note(phase: str, info: dict[str, int]) -> None:
        collected.append(phase)

    text = b"[%s]" % b",".join([b"[]"] * 50_000)
    gc.callbacks.append(note)
    try:
        read_value(text, max_depth=2)
    finally:
        gc.callbacks.remove(note)
    assert collected.count("start") <= 3
