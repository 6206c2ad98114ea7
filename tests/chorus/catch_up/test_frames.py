from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.chorus.catch_up.frames import (
    Compare,
    GetMessages,
    Given,
    Listed,
    ListOrigins,
    Minutes,
    Refused,
    decode_answer,
    decode_request,
    encode_answer,
    encode_request,
)
from gossipsub.wire.errors import RemoteProtocolError

REQUESTS = {
    '{"compare":{"first":60,"last":179,"topics":{"t":{"1":"AAE=","2":"Ag=="}}}}': Compare(
        60, 179, {"t": {1: b"\0\1", 2: b"\2"}}
    ),
    '{"list":{"topic":"t","minutes":[61,62]}}': ListOrigins("t", (61, 62)),
    '{"get":{"topic":"t","origins":{"61":["AAE="]}}}': GetMessages("t", {61: [b"\0\1"]}),
}
ANSWERS = {
    '{"minutes":{"t":{"61":"AAE="}}}': Minutes({"t": {61: b"\0\1"}}),
    '{"origins":{"61":["AAE="]},"more":true}': Listed({61: [b"\0\1"]}, more=True),
    '{"origins":{}}': Listed({}, more=False),
    '{"messages":["AAE="],"more":true}': Given([b"\0\1"], more=True),
    '{"refused":"no log here"}': Refused("no log here"),
}


@pytest.mark.parametrize("text", list(REQUESTS))
def test_requests_are_those_of_the_document(text: str) -> None:
    assert encode_request(REQUESTS[text]) == text.encode()
    assert decode_request(text.encode()) == REQUESTS[text]


@pytest.mark.parametrize("text", list(ANSWERS))
def test_answers_are_those_of_the_document(text: str) -> None:
    assert encode_answer(ANSWERS[text]) == text.encode()
    assert decode_answer(text.encode()) == ANSWERS[text]


MANY = b",".join([b'"AA=="'] * 1025)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b'{"origins":{"1":[%s]}}' % MANY, "too many origins"),
        (b'{"origins":{%s}}' % b",".join(b'"%d":[]' % n for n in range(1025)), "too many origins"),
        (b'{"messages":[%s]}' % MANY, "too many messages"),
        (b'{"minutes":{"t":{%s}}}' % b",".join(b'"%d":""' % n for n in range(10_001)), "digests"),
    ],
)
def test_an_answer_does_not_make_the_asker_work_for_long(frame: bytes, reason: str) -> None:
    with pytest.raises(RemoteProtocolError, match=reason):
        decode_answer(frame)


LEAVES = st.none() | st.booleans() | st.integers() | st.sampled_from(["", "1", "AAE=", "?", "-1"])
WORDS = st.sampled_from(
    ["compare", "list", "get", "minutes", "origins", "messages", "refused", "topic", "topics", "1"]
)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, min_size=1, max_size=3)
    ),
    max_leaves=6,
)


@given(st.binary(max_size=20) | JSON.map(lambda fields: json.dumps(fields).encode()))
def test_nothing_else_is_raised_for_whatever_comes(frame: bytes) -> None:
    for decode in (decode_request, decode_answer):
        with suppress(RemoteProtocolError):
            decode(frame)
