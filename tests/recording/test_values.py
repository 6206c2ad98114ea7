from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import is_dataclass, replace
from enum import Enum
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.recording.errors import RecordingUnreadable
from gossipsub.recording.recorder import INPUTS
from gossipsub.recording.values import (
    CLASSES,
    Captured,
    answer_to_json,
    capture,
    from_json,
    to_json,
)
from gossipsub.router.effects import Effect, Lane, PublishReceipt, Verdict
from gossipsub.router.params import GossipParams, TopicParams
from gossipsub.router.router import Router
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.message_codec import encode_message
from gossipsub.wire.rpc import Control, IHave, Message, Prune, Rpc, SubOpts


def no_function(number: int) -> Captured:
    raise AssertionError


def again(value: object) -> object:
    return from_json(json.loads(json.dumps(to_json(value))), no_function)


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.sampled_from([Verdict.ACCEPT, Lane.OWN])
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.binary(), inner),
)


@given(values)
def test_a_value_comes_back_equal_and_of_its_type(value: object) -> None:
    assert again(value) == value
    assert type(again(value)) is type(value)


def test_numbers_that_json_does_not_have_come_back() -> None:
    assert again(math.inf) == math.inf
    assert math.isnan(again(math.nan))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [
        Rpc((SubOpts("t"),), (Message("t", b"data"),), Control(ihave=(IHave("t", (b"1",)),))),
        Message("t", b"", unknown=b"\x3a\x00"),
        Message("t", None, b"a", b"n", b"s", b"k", encoding=b"not what the fields say"),
        Prune("t", backoff=0),
        PublishReceipt(b"id", (b"p",), duplicate=True),
        GossipParams(topics={"t": TopicParams(max_data_bytes=5)}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_dataclass_comes_back_equal(value: object) -> None:
    assert again(value) == value


def test_a_message_from_the_network_is_written_as_its_bytes_alone() -> None:
    message = Message("t", b"data", b"author", bytes(8), b"signature")
    encode_message(message)
    assert to_json(message) == {
        "$": "Message",
        "encoding": {"$b": "CgZhdXRob3ISBGRhdGEaCAAAAAAAAAAAIgF0KglzaWduYXR1cmU="},
    }
    assert again(message) == message


def test_the_bytes_kept_for_sending_an_rpc_are_left_out() -> None:
    assert again(Rpc(encoding=b"")) == Rpc()


def test_parameters_are_written_whole_for_versions_with_other_defaults() -> None:
    written = to_json(GossipParams())
    assert written["flood_publish"] is True
    assert written["mesh"]["d"] == 6
    assert written["score"] is None


def test_functions_are_captured_wherever_they_are() -> None:
    found: list[Callable[..., object]] = []

    def wrap(function: Callable[..., object]) -> Captured:
        found.append(function)
        return Captured(len(found) - 1, function)

    def one(message: Message) -> bytes:
        return b"1"

    def two(message: Message) -> bytes:
        return b"2"

    params = GossipParams(message_id=one, topics={"t": TopicParams(message_id=two)})
    captured = capture(params, wrap)
    assert set(found) == {one, two}
    assert captured.message_id(Message("t")) == b"1"
    assert captured.topics["t"].message_id(Message("t")) == b"2"
    plain = GossipParams()
    assert capture(plain, wrap) is plain

    def function(number: int) -> Captured:
        return Captured(number, found[number])

    back = from_json(to_json(captured), function)
    assert replace(back, message_id=one, topics=params.topics) == params


@pytest.mark.parametrize(
    ("answer", "written"),
    [
        (b"id", {"$b": "aWQ="}),
        (None, None),
        (2, 2),
        (object(), {"$u": "object"}),
        (1 + 2j, {"$u": "complex"}),
    ],
)
def test_an_answer_of_any_kind_is_written(answer: object, written: object) -> None:
    assert answer_to_json(answer) == written


def test_a_number_of_another_library_is_written_as_a_number() -> None:
    class Number:
        def __float__(self) -> float:
            return 2.5

    assert answer_to_json(Number()) == 2.5


def test_every_class_that_goes_into_a_router_or_comes_out_of_it_is_known() -> None:
    found: dict[str, object] = {}

    def reach(hint: object) -> None:
        for part in get_args(hint):
            reach(part)
        is_class = isinstance(hint, type) and (is_dataclass(hint) or issubclass(hint, Enum))
        if is_class and hint.__name__ not in found:
            found[hint.__name__] = hint
            for below in get_type_hints(hint).values():
                reach(below)

    for root in (GossipParams, Effect):
        reach(root)
    for name in INPUTS:
        for hint in get_type_hints(getattr(Router, name)).values():
            reach(hint)
    assert {"GossipParams", "TopicScoreParams", "SendRpc", "Rpc", "Verdict"} <= found.keys()
    assert {name: CLASSES.get(name) for name in found} == found


@pytest.mark.parametrize("value", [object(), print, {1, 2}, 1j])
def test_what_is_no_data_is_refused(value: object) -> None:
    with pytest.raises(LocalProtocolError, match="cannot record a "):
        to_json(value)


@pytest.mark.parametrize(
    "value",
    [
        {"$": "Popen"},
        {"$": "Verdict"},
        {"$": "SubOpts"},
        {"$": "SubOpts", "topic": "t", "new": 1},
        {"$": "Message", "encoding": {"$b": "IgU="}},
        {"$": "Message", "encoding": 5},
        {"$b": "%"},
        {"$b": 5},
        {"$e": ["Verdict", "NONE"]},
        {"$e": ["Rpc", "x"]},
        {"$e": 1},
        {"$m": [[1]]},
        {"$m": [[{"$m": []}, 1]]},
        {"$f": "eval"},
        {"$f": None},
        {},
        {"plain": 1},
    ],
    ids=str,
)
def test_what_was_not_written_so_is_refused(value: object) -> None:
    with pytest.raises(RecordingUnreadable):
        from_json(value, no_function)
