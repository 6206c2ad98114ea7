from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, replace
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.payloads.catalogue import PAYLOADS
from gossipsub.chorus.payloads.coordination import TaskAnnouncement, TaskClaim, TaskProgress
from gossipsub.chorus.payloads.discussion import TaskHelpRequest
from gossipsub.chorus.payloads.kinds import BadPayload
from gossipsub.chorus.payloads.schema import Payload, schema_of
from gossipsub.chorus.timestamp import Timestamp
from gossipsub.wire.errors import LocalProtocolError

TEXT = st.text(max_size=8)
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(TEXT, JSON, max_size=3)
IDENTIFIERS = TEXT | st.integers()
URGENCY = st.sampled_from(["", "low", "medium", "high", "urgent"])
TIMES = st.datetimes().map(lambda moment: f"{moment.isoformat()}Z") | st.just("")

GOOD: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXT,
    "text or whole number": IDENTIFIERS,
    "true or false": st.booleans(),
    "number": NUMBERS,
    "number from 0 to 1": st.floats(0, 1) | st.integers(0, 1),
    "seconds, at least 0": st.floats(0, allow_infinity=False) | st.integers(0),
    "whole number, at least 0": st.integers(0),
    "time": TIMES | NUMBERS,
    "low, medium, high or urgent": URGENCY,
    "low, medium, high or critical": st.sampled_from(["", "low", "medium", "high", "critical"]),
    "low, medium, high or urgent, or whole number": URGENCY | st.integers(),
    "object": OBJECTS,
    "list of texts": st.lists(TEXT, max_size=3),
    "list of texts or whole numbers": st.lists(IDENTIFIERS, max_size=3),
    "list of objects": st.lists(OBJECTS, max_size=3),
    "anything": JSON.filter(lambda value: value is not None),
}
"""By the words of a kind."""

BAD: dict[str, list[tuple[object, str]]] = {
    "text": [
        (5, " is a number, not text"),
        (True, " is true or false, not text"),
        ([], " is a list, not text"),
        ({}, " is an object, not text"),
        (b"5", " is of type bytes, not text"),
    ],
    "text or whole number": [
        (1.5, " is a number, not text or a whole number"),
        (False, " is true or false, not text or a whole number"),
        ([], " is a list, not text or a whole number"),
    ],
    "true or false": [
        (1, " is a number, not true or false"),
        ("true", " is text, not true or false"),
    ],
    "number": [
        (True, " is true or false, not a number"),
        ("1", " is text, not a number"),
        (float("nan"), " is nan"),
        (float("-inf"), " is -inf"),
    ],
    "number from 0 to 1": [
        (-0.01, " is below 0"),
        (1.01, " is above 1"),
        (10**400, " is above 1"),
        (float("nan"), " is nan"),
        (True, " is true or false, not a number"),
        ("0.5", " is text, not a number"),
        ([0.5], " is a list, not a number"),
    ],
    "seconds, at least 0": [
        (-1, " is below 0"),
        (float("inf"), " is inf"),
        ("30s", " is text, not a number"),
    ],
    "whole number, at least 0": [
        (-1, " is below 0"),
        (1.5, " is not a whole number"),
        (True, " is true or false, not a whole number"),
        ("1", " is text, not a whole number"),
    ],
    "time": [
        ("tomorrow", " is not a time in the form of RFC 3339"),
        ("2026-11-23", " is not a time in the form of RFC 3339"),
        ("2026-11-23T12:00:00", " is not a time in the form of RFC 3339"),
        (float("inf"), " is inf"),
        (True, " is true or false, not a time"),
        ({}, " is an object, not a time"),
    ],
    "low, medium, high or urgent": [
        ("critical", " is 'critical', not low, medium, high or urgent"),
        ("u" * 99, f" is {'u' * 32!r}, not low, medium, high or urgent"),
        (1, " is a number, not text"),
    ],
    "low, medium, high or critical": [
        ("urgent", " is 'urgent', not low, medium, high or critical"),
        (False, " is true or false, not text"),
    ],
    "low, medium, high or urgent, or whole number": [
        ("asap", " is 'asap', not low, medium, high or urgent"),
        (1.5, " is a number, not a word or a whole number"),
        (True, " is true or false, not a word or a whole number"),
    ],
    "object": [
        ([], " is a list, not an object"),
        ("{}", " is text, not an object"),
    ],
    "list of texts": [
        ("go", " is text, not a list"),
        ({"go": 1}, " is an object, not a list"),
        (["a", "b", 5], "[2] is a number, not text"),
        (("a", None), "[1] is null, not text"),
        ([["a"]], "[0] is a list, not text"),
    ],
    "list of texts or whole numbers": [
        (7, " is a number, not a list"),
        (["a", 5, 1.5], "[2] is a number, not text or a whole number"),
    ],
    "list of objects": [
        ({}, " is an object, not a list"),
        ([{}, "a"], "[1] is text, not an object"),
    ],
    "anything": [],
}
"""By the words of a kind: a value, and the complaint about it, after the field's name."""


def required_data(payload: type[Payload]) -> dict[str, object]:
    """The least that satisfies the schema."""
    schema = schema_of(payload)
    least: dict[str, object] = {"number from 0 to 1": 0}
    return {name: least.get(schema.kinds[name].words, "x") for name in schema.required}


@st.composite
def payload_data(draw: st.DrawFn, payload: type[Payload]) -> dict[str, object]:
    """`data` with any of the fields of a type, and unknown ones."""
    schema = schema_of(payload)
    data = {
        name: draw(GOOD[kind.words])
        for name, kind in schema.kinds.items()
        if name in schema.required or draw(st.booleans())
    }
    data |= {name: "x" for name in schema.required if data[name] == ""}
    names = TEXT.filter(lambda name: name not in schema.kinds)
    return data | draw(st.dictionaries(names, JSON, max_size=2))


EVERY_FIELD = [
    (payload, name) for payload in PAYLOADS.values() for name in schema_of(payload).kinds
]

every_type = pytest.mark.parametrize("payload", PAYLOADS.values(), ids=lambda each: each.__name__)


def complaint(payload: type[Payload], data: Any) -> tuple[str, str]:
    """Path and reason of what is wrong with `data`."""
    with pytest.raises(BadPayload) as caught:
        schema_of(payload).check(data)
    assert str(caught.value) == f"{caught.value.path} {caught.value.reason}"
    return caught.value.path, caught.value.reason


# Whatever is said, in all types


@every_type
@settings(max_examples=20)
@given(data=st.data())
def test_what_fits_is_read_written_sent_and_read_again(
    payload: type[Payload], data: st.DataObject
) -> None:
    said = data.draw(payload_data(payload))
    schema_of(payload).check(said)
    read = payload.from_data(said)
    written = read.to_data()
    schema_of(payload).check(written)
    assert payload.from_data(written) == read
    assert written == {name: said[name] for name in written}
    assert all(said[name] in ("", [], None) for name in said.keys() - written.keys())
    sent = Envelope(payload.message_type, "me", Timestamp("2026-11-23T12:00:00Z"), written)
    received = Envelope.decode(sent.encode()).data
    assert payload.from_data(received).to_data() == received


@every_type
def test_each_field_refuses_what_does_not_fit_and_is_named(payload: type[Payload]) -> None:
    least = required_data(payload)
    for name, kind in schema_of(payload).kinds.items():
        for value, expected in BAD[kind.words]:
            with pytest.raises(BadPayload) as caught:
                schema_of(payload).check(least | {name: value})
            assert str(caught.value) == f"{name}{expected}"
            with pytest.raises(BadPayload) as caught:
                payload(**least | {name: value})
            assert str(caught.value) == f"{name}{expected}"
            with pytest.raises(BadPayload) as caught:
                payload.from_data(least | {name: value})
            assert str(caught.value) == f"{name}{expected}"


@given(field=st.sampled_from(EVERY_FIELD), value=JSON)
def test_no_value_raises_anything_but_bad_payload(
    field: tuple[type[Payload], str], value: object
) -> None:
    payload, name = field
    data = required_data(payload) | {name: value}
    try:
        read = payload.from_data(data)
    except BadPayload:
        with pytest.raises(BadPayload):
            schema_of(payload).check(data)
    else:
        assert payload.from_data(read.to_data()) == read


@every_type
def test_what_is_required_may_not_be_missing_null_or_empty(payload: type[Payload]) -> None:
    least = required_data(payload)
    schema_of(payload).check(least)
    assert payload.from_data(least).to_data() == least
    for name in least:
        without = {other: value for other, value in least.items() if other != name}
        assert complaint(payload, without) == (name, "is missing")
        assert complaint(payload, least | {name: None}) == (name, "is null")
        assert complaint(payload, least | {name: ""}) == (name, "is empty")
        with pytest.raises(BadPayload, match=f"^{name} is missing$"):
            payload.from_data(without)
        with pytest.raises(BadPayload, match=f"^{name} is empty$"):
            payload(**least | {name: ""})


@every_type
def test_what_is_null_is_left_out(payload: type[Payload]) -> None:
    least = required_data(payload)
    nothing = dict.fromkeys(schema_of(payload).defaults)
    assert payload.from_data(nothing | least) == payload(**least) == payload(**nothing | least)


# One by one


def test_a_payload_is_no_object_or_nothing() -> None:
    assert complaint(TaskClaim, None) == ("task_id", "is missing")
    assert complaint(TaskClaim, []) == ("data", "is a list, not an object")
    assert complaint(TaskClaim, "task") == ("data", "is text, not an object")
    assert TaskHelpRequest.from_data(None) == TaskHelpRequest()
    assert TaskHelpRequest().to_data() == {}


def test_any_mapping_will_do() -> None:
    data = MappingProxyType({"task_id": "t", "input": MappingProxyType({"path": "/"})})
    assert TaskAnnouncement.from_data(data).to_data() == dict(data)


def test_nothing_is_not_the_same_as_zero_false_and_an_empty_object() -> None:
    data = {"task_id": 0, "progress": 0.0, "attempt": 0, "result": False}
    assert TaskProgress.from_data(data).to_data() == data
    empty = {"task_id": "t", "input": {}}
    assert TaskAnnouncement.from_data(empty).to_data() == empty
    assert TaskProgress(task_id="t", result="").to_data() == {"task_id": "t", "result": ""}


def test_a_list_is_taken_for_a_tuple_and_sent_as_a_list() -> None:
    wanted = ["go", "tests"]
    claim = TaskClaim(task_id="t", capabilities=wanted)  # type: ignore[arg-type]
    assert claim == TaskClaim(task_id="t", capabilities=("go", "tests"))
    assert claim.capabilities == ("go", "tests")
    assert claim.to_data() == {"task_id": "t", "capabilities": ["go", "tests"]}
    wanted.append("more")
    assert claim.capabilities == ("go", "tests")


def test_unknown_fields_are_kept() -> None:
    data = {"task_id": "t", "shape": {"round": True}, "extra": 1, "nothing": None}
    claim = TaskClaim.from_data(data)
    assert claim.extra == {"shape": {"round": True}, "extra": 1, "nothing": None}
    assert claim.to_data() == data
    assert TaskClaim(task_id="t", extra={"colour": "red"}).to_data() == {
        "task_id": "t",
        "colour": "red",
    }


def test_extra_is_copied_and_holds_no_known_field() -> None:
    mine = {"colour": "red"}
    claim = TaskClaim(task_id="t", extra=mine)
    mine["task_id"] = "other"
    assert claim.extra == {"colour": "red"}
    for extra, message in (
        (mine, "task_id is a field of its own, not one of extra"),
        ({5: "five"}, "extra has a name that is not text"),
        ([], "extra is a list, not an object"),
    ):
        with pytest.raises(BadPayload, match=f"^{message}$"):
            TaskClaim(task_id="t", extra=extra)  # type: ignore[arg-type]


def test_it_does_not_change_and_is_replaced_with_a_check() -> None:
    claim = TaskClaim(task_id="t")
    with pytest.raises(FrozenInstanceError):
        claim.task_id = "other"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        object.__setattr__(claim, "tsak_id", "other")
    assert replace(claim, attempt=2).to_data() == {"task_id": "t", "attempt": 2}
    with pytest.raises(BadPayload, match=r"^attempt is below 0$"):
        replace(claim, attempt=-1)


def test_a_field_that_does_not_exist_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="tsak_id"):
        TaskClaim(tsak_id="t")  # type: ignore[call-arg]


def test_a_bad_payload_is_the_callers_error_and_a_value_error() -> None:
    assert issubclass(BadPayload, LocalProtocolError)
    assert issubclass(BadPayload, ValueError)


def test_payloads_can_be_pickled() -> None:
    claim = TaskClaim(task_id="t", capabilities=("go",), extra={"a": [1]})
    assert pickle.loads(pickle.dumps(claim)) == claim
